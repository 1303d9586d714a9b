// A function of two tensors, broadcast: a thread makes 4 channels.
struct Params {
  h: u32, w: u32, quads: u32, total: u32,
  a_n: u32, a_h: u32, a_w: u32, a_c: u32,
  b_n: u32, b_h: u32, b_w: u32, b_c: u32,
  last: u32, first: i32, second: i32, shift: u32,
  low: $SCALAR, high: $SCALAR, bias: i32, zero_point: i32,
  a_zero: i32, b_zero: i32, _a: u32, _b: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, $ACCESS_A> a: array<$STORED>;
@group(0) @binding(2) var<storage, $ACCESS_B> b: array<$STORED>;
@group(0) @binding(3) var<storage, read_write> dst: array<$STORED>;
//@if TABLE
@group(0) @binding(4) var<storage, read> weights: array<i32>;

fn step_of(x: i32) -> i32 {
  var at = 0;
  for (var stride = 128; stride > 0; stride >>= 1u) {
    if (x >= weights[at + stride - 1]) { at += stride; }
  }
  return at - 128;
}
//@end

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  if (at >= p.total) { return; }
  let quad = at % p.quads;
  let pixel = at / p.quads;
  let column = pixel % p.w;
  let row = pixel / p.w % p.h;
  let image = pixel / p.w / p.h;
  let stored_a = a[image * p.a_n + row * p.a_h + column * p.a_w + quad * p.a_c];
  let stored_b = b[image * p.b_n + row * p.b_h + column * p.b_w + quad * p.b_c];
  var x = $UNPACK(stored_a);
  var y = $UNPACK(stored_b);
  if (p.a_c == 0u) { x = vec4(x.x); }
  if (p.b_c == 0u) { y = vec4(y.x); }
  $COMPUTE
  value = clamp(value, vec4(p.low), vec4(p.high));
  //@if FLOAT
  if (quad == p.quads - 1u) { value = select(vec4<f32>(), value, vec4(0u, 1u, 2u, 3u) < vec4(p.last)); }
  //@end
  dst[at] = $PACK(value);
}
