//! One sort for all that need not be fast. The standard library's is 3 to 20 KB of WebAssembly for
//! each type and comparison that it is used with; this is one.

use std::cmp::Ordering;

/// `0..len` as `compare` orders them; equal ones keep their order.
pub fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn equal_ones_keep_their_order() {
        let keys = [3, 1, 2, 1, 3, 0];
        assert_eq!(order(keys.len(), &|a, b| keys[a].cmp(&keys[b])), [5, 1, 3, 2, 0, 4]);
        assert!(order(0, &|_, _| Ordering::Equal).is_empty());
    }
}
