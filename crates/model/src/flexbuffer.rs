//! The part of FlexBuffers that custom operators' options use: a map from names to numbers.
//!
//! Every offset is checked. Formulas: the FlexBuffers format. The last byte is the width of the
//! root, the one before its type; a map is a vector of values behind which stand their types, and
//! before which stand its size, the width of the keys and the distance back to the vector of keys.
#![deny(clippy::arithmetic_side_effects)]

const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const INDIRECT_INT: u8 = 6;
const INDIRECT_UINT: u8 = 7;
const INDIRECT_FLOAT: u8 = 8;
const MAP: u8 = 9;
const BOOL: u8 = 26;

/// A map; lookups scan it, as options are few.
pub(crate) struct Map<'a> {
    bytes: &'a [u8],
    /// Where the values begin, and the width of each.
    values: (usize, usize),
    /// Where the references to the keys begin, and the width of each.
    keys: (usize, usize),
    size: usize,
}

/// The unsigned number of `width` bytes at `at`.
fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let cut = bytes.get(at..at.checked_add(width)?)?;
    let mut word = [0; 8];
    word.get_mut(..width)?.copy_from_slice(cut);
    Some(u64::from_le_bytes(word))
}

/// The place that the distance back at `at` refers to.
fn indirect(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    at.checked_sub(usize::try_from(unsigned(bytes, at, width)?).ok()?)
}

fn is_width(width: usize) -> bool {
    matches!(width, 1 | 2 | 4 | 8)
}

impl<'a> Map<'a> {
    /// The map at the root of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&width, rest) = bytes.split_last()?;
        let (&kind, rest) = rest.split_last()?;
        let width = usize::from(width);
        if kind >> 2 != MAP || !is_width(width) {
            return None;
        }
        let values = indirect(bytes, rest.len().checked_sub(width)?, width)?;
        let width = 1usize << (kind & 3);
        let before = |words: usize| values.checked_sub(words.checked_mul(width)?);
        let size = usize::try_from(unsigned(bytes, before(1)?, width)?).ok()?;
        let key_width = usize::try_from(unsigned(bytes, before(2)?, width)?).ok()?;
        let keys = indirect(bytes, before(3)?, width)?;
        let fits = |at: usize, width: usize| {
            size.checked_mul(width)?.checked_add(at).filter(|&end| end <= bytes.len())
        };
        if !is_width(key_width) {
            return None;
        }
        fits(values, width)?;
        fits(keys, key_width)?;
        Some(Self { bytes, values: (values, width), keys: (keys, key_width), size })
    }

    /// The number, or truth value as 0 or 1, under a name.
    pub fn number(&self, name: &str) -> Option<f64> {
        let place =
            |(start, width): (usize, usize), i: usize| start.checked_add(i.checked_mul(width)?);
        let is_named = |&i: &usize| {
            let key = place(self.keys, i).and_then(|at| indirect(self.bytes, at, self.keys.1));
            let key = key.and_then(|at| self.bytes.get(at..));
            key.is_some_and(|key| {
                key.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
            })
        };
        let i = (0..self.size).find(is_named)?;
        let types = place(self.values, self.size)?;
        let kind = *self.bytes.get(types.checked_add(i)?)?;
        let (at, width) = (place(self.values, i)?, self.values.1);
        let (at, width) = match kind >> 2 {
            INDIRECT_INT | INDIRECT_UINT | INDIRECT_FLOAT => {
                (indirect(self.bytes, at, width)?, 1usize << (kind & 3))
            }
            _ => (at, width),
        };
        let word = unsigned(self.bytes, at, width)?;
        // Widths are 1, 2, 4 or 8.
        Some(match (kind >> 2, width) {
            (INT | INDIRECT_INT, 1) => f64::from(word as u8 as i8),
            (INT | INDIRECT_INT, 2) => f64::from(word as u16 as i16),
            (INT | INDIRECT_INT, 4) => f64::from(word as u32 as i32),
            (INT | INDIRECT_INT, _) => word as i64 as f64,
            (UINT | INDIRECT_UINT | BOOL, _) => word as f64,
            (FLOAT | INDIRECT_FLOAT, 4) => f64::from(f32::from_bits(word as u32)),
            (FLOAT | INDIRECT_FLOAT, 8) => f64::from_bits(word),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Map;

    /// `{"a": -7, "b": true}`, every word one byte wide.
    const BYTES: [u8; 17] =
        [b'a', 0, b'b', 0, 2, 5, 4, 2, 1, 2, 0xf9, 1, 1 << 2, 26 << 2, 4, 9 << 2, 1];

    #[test]
    fn numbers_are_found_by_name() {
        let map = Map::read(&BYTES).expect("a map");
        assert_eq!(map.number("a"), Some(-7.0));
        assert_eq!(map.number("b"), Some(1.0));
        assert_eq!(map.number("c"), None);
        assert_eq!(map.number(""), None);
    }

    #[test]
    fn damaged_maps_end() {
        for at in 0..BYTES.len() {
            for value in 0..=255 {
                let mut damaged = BYTES;
                damaged[at] = value;
                if let Some(map) = Map::read(&damaged) {
                    let _ = (map.number("a"), map.number("b"));
                }
            }
            assert!(Map::read(&BYTES[..at]).is_none_or(|map| map.number("c").is_none()));
        }
    }
}
