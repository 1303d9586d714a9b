// RESIZE_BILINEAR: a thread makes a pixel by 4 channels. The two places that each row and column lies
// between, and the share of the second, are a table, which Rust computes.
struct Params { quads: u32, out_w: u32, out_h: u32, pixels: u32, in_w: u32, in_h: u32, _a: u32, _b: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> src: array<$STORED>;
@group(0) @binding(3) var<storage, read_write> dst: array<$STORED>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  let quad = at % p.quads;
  let pixel = at / p.quads;
  if (pixel >= p.pixels) { return; }
  let row = pixel / p.out_w;
  let image = row / p.out_h * p.in_h;
  let down = table[row % p.out_h];
  let right = table[p.out_h + pixel % p.out_w];
  let a = $UNPACK(src[((image + down.x) * p.in_w + right.x) * p.quads + quad]);
  let b = $UNPACK(src[((image + down.x) * p.in_w + right.y) * p.quads + quad]);
  let c = $UNPACK(src[((image + down.y) * p.in_w + right.x) * p.quads + quad]);
  let d = $UNPACK(src[((image + down.y) * p.in_w + right.y) * p.quads + quad]);
  //@if FLOAT
  let top = a + (b - a) * bitcast<f32>(right.z);
  let bottom = c + (d - c) * bitcast<f32>(right.z);
  dst[at] = top + (bottom - top) * bitcast<f32>(down.z);
  //@else
  // XNNPACK's: shares of 1/2048, rounded half upwards.
  let top = (a << vec4(11u)) + (b - a) * i32(right.w);
  let bottom = (c << vec4(11u)) + (d - c) * i32(right.w);
  let sum = (top << vec4(11u)) + (bottom - top) * i32(down.w);
  dst[at] = pack4xI8((sum + (1 << 21u)) >> vec4(22u));
  //@end
}
