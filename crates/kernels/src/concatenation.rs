//! CONCATENATION: one input after another along a dimension.
//!
//! All dimensions before the axis count as `rows`; the axis and what follows it are one part of
//! each output row for each input.

/// Copies one input, `[rows, input.len() / rows]`, into its part of `out`,
/// `[rows, out.len() / rows]`, from `offset` in each row.
pub fn concatenate_part<T: Copy>(rows: usize, offset: usize, input: &[T], out: &mut [T]) {
    for_each_part(rows, offset, input, out, |from, to| to.copy_from_slice(from));
}

/// The same through a table, for an 8-bit input whose scale or zero point differs from the
/// output's: see [`table::concatenation`](crate::table::concatenation).
pub fn concatenate_part_mapped(
    rows: usize,
    offset: usize,
    table: &[u8; 256],
    input: &[u8],
    out: &mut [u8],
) {
    for_each_part(rows, offset, input, out, |from, to| crate::table::apply(table, from, to));
}

fn for_each_part<T>(
    rows: usize,
    offset: usize,
    input: &[T],
    out: &mut [T],
    copy: impl Fn(&[T], &mut [T]),
) {
    if input.is_empty() {
        return;
    }
    let (part, row) = (input.len() / rows, out.len() / rows);
    for (from, to) in input.chunks_exact(part).zip(out.chunks_exact_mut(row)) {
        copy(from, &mut to[offset..offset + part]);
    }
}
