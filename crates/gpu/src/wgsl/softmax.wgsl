// SOFTMAX over the channels: 64 threads share a row.
struct Params { quads: u32, last: u32, beta: f32, _a: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> src: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dst: array<vec4<f32>>;

var<workgroup> shared_values: array<f32, 64>;

fn lanes(quad: u32) -> vec4<bool> {
  return vec4(quad * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(p.last);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let base = (group.x + group.y * 65535u) * p.quads;
  var greatest = -3.4e38;
  for (var q = thread; q < p.quads; q += 64u) {
    let x = select(vec4(-3.4e38), src[base + q], lanes(q));
    greatest = max(greatest, max(max(x.x, x.y), max(x.z, x.w)));
  }
  shared_values[thread] = greatest;
  for (var stride = 32u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) { shared_values[thread] = max(shared_values[thread], shared_values[thread + stride]); }
  }
  workgroupBarrier();
  greatest = shared_values[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var q = thread; q < p.quads; q += 64u) {
    let e = select(vec4<f32>(), exp((src[base + q] - greatest) * p.beta), lanes(q));
    sum += e.x + e.y + e.z + e.w;
  }
  shared_values[thread] = sum;
  for (var stride = 32u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) { shared_values[thread] += shared_values[thread + stride]; }
  }
  workgroupBarrier();
  let factor = 1.0 / shared_values[0];
  for (var q = thread; q < p.quads; q += 64u) {
    dst[base + q] = select(vec4<f32>(), exp((src[base + q] - greatest) * p.beta) * factor, lanes(q));
  }
}
