// Layer and RMS normalization over the channels: 64 threads share a row.
struct Params { quads: u32, last: u32, epsilon: f32, factor: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> src: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dst: array<vec4<f32>>;

var<workgroup> sums: array<f32, 64>;

fn total(thread: u32, value: f32) -> f32 {
  sums[thread] = value;
  for (var stride = 32u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) { sums[thread] += sums[thread + stride]; }
  }
  workgroupBarrier();
  let result = sums[0];
  workgroupBarrier();
  return result;
}

fn lanes(quad: u32) -> vec4<bool> {
  return vec4(quad * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(p.last);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let base = group.x * p.quads;
  var mean = 0.0;
  //@if CENTERED
  var sum = 0.0;
  for (var q = thread; q < p.quads; q += 64u) {
    let x = src[base + q];
    sum += x.x + x.y + x.z + x.w;
  }
  mean = total(thread, sum) * p.factor;
  //@end
  var squares = 0.0;
  for (var q = thread; q < p.quads; q += 64u) {
    let x = select(vec4<f32>(), src[base + q] - mean, lanes(q));
    squares += dot(x, x);
  }
  let scale = inverseSqrt(total(thread, squares) * p.factor + p.epsilon);
  for (var q = thread; q < p.quads; q += 64u) {
    dst[base + q] = (src[base + q] - mean) * scale * weights[q] + weights[p.quads + q];
  }
}
