// RESIZE_NEAREST_NEIGHBOR: a thread makes a pixel by 4 channels. Where each row and column comes from is
// a table, which Rust computes.
struct Params { quads: u32, out_w: u32, out_h: u32, pixels: u32, in_w: u32, in_h: u32, _a: u32, _b: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> src: array<$STORED>;
@group(0) @binding(3) var<storage, read_write> dst: array<$STORED>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  let quad = at % p.quads;
  let pixel = at / p.quads;
  if (pixel >= p.pixels) { return; }
  let row = pixel / p.out_w;
  let y = row / p.out_h * p.in_h + table[row % p.out_h];
  let x = table[p.out_h + pixel % p.out_w];
  dst[at] = src[(y * p.in_w + x) * p.quads + quad];
}
