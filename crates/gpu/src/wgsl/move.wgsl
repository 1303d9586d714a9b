// Copies a box of elements from place to place: a thread makes an element of float32, or 4 bytes.
struct Params {
  size_1: u32, size_2: u32, size_3: u32, total: u32,
  from_0: i32, from_1: i32, from_2: i32, from_3: i32,
  to_0: i32, to_1: i32, to_2: i32, to_3: i32,
  src_base: i32, dst_base: i32, fill: u32, _a: u32,
  low_0: u32, low_1: u32, low_2: u32, low_3: u32,
  high_0: u32, high_1: u32, high_2: u32, high_3: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, $ACCESS> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> dst: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  if (at >= p.total) { return; }
  let i3 = at % p.size_3;
  let i2 = at / p.size_3 % p.size_2;
  let i1 = at / p.size_3 / p.size_2 % p.size_1;
  let i0 = at / p.size_3 / p.size_2 / p.size_1;
  var value = p.fill;
  // Outside of low..high is the border.
  let i = vec4(i0, i1, i2, i3);
  if (all(i >= vec4(p.low_0, p.low_1, p.low_2, p.low_3)) && all(i < vec4(p.high_0, p.high_1, p.high_2, p.high_3))) {
    value = src[p.src_base + i32(i0) * p.from_0 + i32(i1) * p.from_1 + i32(i2) * p.from_2 + i32(i3) * p.from_3];
  }
  dst[p.dst_base + i32(i0) * p.to_0 + i32(i1) * p.to_1 + i32(i2) * p.to_2 + i32(i3) * p.to_3] = value;
}
