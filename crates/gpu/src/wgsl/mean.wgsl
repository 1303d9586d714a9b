// MEAN over height and width: 64 threads share an image's 4 channels.
struct Params {
  quads: u32, pixels: u32, factor: f32, table: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
//@if INT
@group(0) @binding(3) var<storage, read> weights: array<i32>;
//@end
@group(0) @binding(1) var<storage, read_write> src: array<$STORED>;
@group(0) @binding(2) var<storage, read_write> dst: array<$STORED>;

var<workgroup> sums: array<vec4<$SCALAR>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  var sum = vec4<$SCALAR>();
  for (var i = thread; i < p.pixels; i += 64u) {
    sum += $UNPACK(src[(group.y * p.pixels + i) * p.quads + group.x]);
  }
  sums[thread] = sum;
  for (var stride = 32u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) { sums[thread] += sums[thread + stride]; }
  }
  if (thread > 0u) { return; }
  let total = sums[0];
  //@if INT
  dst[group.y * p.quads + group.x] = pack4xI8(vec4(step_of(total.x), step_of(total.y), step_of(total.z), step_of(total.w)));
  //@else
  dst[group.y * p.quads + group.x] = total * p.factor;
  //@end
}
//@if INT

// How many of the 255 thresholds a number reaches, from -128: any monotone function onto 8 bits.
fn step_of(x: i32) -> i32 {
  var at = 0;
  for (var stride = 128; stride > 0; stride >>= 1u) {
    if (x >= weights[at + stride - 1]) { at += stride; }
  }
  return at - 128;
}
//@end
