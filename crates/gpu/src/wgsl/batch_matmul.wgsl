// BATCH_MATMUL of float32: a thread makes 4 columns of a row.
struct Params {
  rows: u32, out_quads: u32, depth: u32, total: u32,
  a_outer: u32, a_inner: u32, b_outer: u32, b_inner: u32,
  inner: u32, b_quads: u32, columns: u32, last: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, $ACCESS_A> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, $ACCESS_B> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dst: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  if (at >= p.total) { return; }
  let quad = at % p.out_quads;
  let row = at / p.out_quads % p.rows;
  let batch = at / p.out_quads / p.rows;
  // In quads; padded lanes of both operands are zero.
  let left = batch / p.inner * p.a_outer + batch % p.inner * p.a_inner + row * p.depth;
  let right = batch / p.inner * p.b_outer + batch % p.inner * p.b_inner;
  var sum = vec4<f32>();
  for (var k = 0u; k < p.depth; k++) {
    let x = a[left + k];
    //@if TRANSPOSED
    let column = right + quad * 4u * p.b_quads + k;
    sum += vec4(dot(x, b[column]), dot(x, b[column + p.b_quads]), dot(x, b[column + 2u * p.b_quads]), dot(x, b[column + 3u * p.b_quads]));
    //@else
    // Behind the last row lies another matrix; lanes of the first operand are zero there.
    let rows = min(vec4(k * 4u) + vec4(0u, 1u, 2u, 3u), vec4(p.last)) * p.b_quads + vec4(right + quad);
    sum += x.x * b[rows.x] + x.y * b[rows.y] + x.z * b[rows.z] + x.w * b[rows.w];
    //@end
  }
  // Behind the last column lies another matrix, or nothing.
  dst[at] = select(vec4<f32>(), sum, vec4(quad * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(p.columns));
}
