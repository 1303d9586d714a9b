// Rows of $FROM elements as rows of $TO, both padded to 4 where they are channels: RESHAPE, and between
// tensors as callers have them and as the GPU has them. A thread makes 4 elements.
struct Params { elements: u32, from_row: u32, from_step: u32, to_row: u32, to_step: u32, total: u32, flip: u32, fill: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> dst: array<u32>;

fn element(at: u32) -> u32 {
  let row = at / p.to_step;
  let column = at % p.to_step;
  let index = row * p.to_row + column;
  if (column >= p.to_row || index >= p.elements) { return p.fill; }
  let place = index / p.from_row * p.from_step + index % p.from_row;
  //@if INT
  return ((src[place >> 2u] >> ((place & 3u) * 8u)) & 0xffu) ^ p.flip;
  //@else
  return src[place];
  //@end
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  if (at >= p.total) { return; }
  //@if INT
  dst[at] = element(at * 4u) | (element(at * 4u + 1u) << 8u) | (element(at * 4u + 2u) << 16u) | (element(at * 4u + 3u) << 24u);
  //@else
  for (var i = 0u; i < 4u; i++) { dst[at * 4u + i] = element(at * 4u + i); }
  //@end
}
