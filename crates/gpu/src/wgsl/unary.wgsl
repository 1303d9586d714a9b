// A function of each element: a thread makes 4.
struct Params { quads: u32, channel_quads: u32, last: u32, _a: u32, a: f32, b: f32, _b: f32, _c: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> src: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dst: array<vec4<f32>>;

$FUNCTIONS
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  if (at >= p.quads) { return; }
  let x = src[at];
  var value = $EXPRESSION;
  // Lanes beyond the last channel stay zero.
  if (at % p.channel_quads == p.channel_quads - 1u) { value = select(vec4<f32>(), value, vec4(0u, 1u, 2u, 3u) < vec4(p.last)); }
  dst[at] = value;
}
