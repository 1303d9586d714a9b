// CONV_2D and FULLY_CONNECTED as a matrix product of float32: a thread makes $ROWS pixels by 4 channels,
// $TX by $TY threads share $TM pixels of the input and 32 rows of the weights at a time.
struct Params {
  pixels: u32, out_quads: u32, in_quads: u32, depth: u32,
  out_w: u32, out_h: u32, in_w: u32, in_h: u32,
  stride_h: u32, stride_w: u32, pad_top: u32, pad_left: u32,
  kernel_w: u32, dilation_h: u32, dilation_w: u32, bias: u32,
  low: f32, high: f32, sum_low: f32, sum_high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> src: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dst: array<vec4<f32>>;
//@if RESIDUAL
@group(0) @binding(4) var<storage, read_write> residual: array<vec4<f32>>;
//@end

var<workgroup> tile_a: array<vec4<f32>, $SIZE_A>;
var<workgroup> tile_b: array<vec4<f32>, $SIZE_B>;

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % $TXu;
  let ty = thread / $TXu;
  let quad = thread % 8u;
  let first = group.y * $TMu + thread / 8u;
  //@loads
  let pixel$i = min(first + $THREADSu / 8u * $iu, p.pixels - 1u);
  //@if WINDOW
  let row$i = pixel$i / p.out_w;
  let image$i = row$i / p.out_h * p.in_h;
  let y$i = row$i % p.out_h * p.stride_h - p.pad_top;
  let x$i = pixel$i % p.out_w * p.stride_w - p.pad_left;
  //@end
  //@end
  //@rows
  var sum$r = vec4<f32>();
  //@end
  let columns = min(group.x * $TXu + thread % $TXu, p.out_quads - 1u);
  for (var start = 0u; start < p.depth; start += 8u) {
    let k = start + quad;
    //@if WINDOW
    let tap = k / p.in_quads;
    let channel = k % p.in_quads;
    let down = tap / p.kernel_w * p.dilation_h;
    let right = tap % p.kernel_w * p.dilation_w;
    //@end
    //@loads
    var a$i = vec4<f32>();
    //@if WINDOW
    let iy$i = y$i + down;
    let ix$i = x$i + right;
    if (k < p.depth && iy$i < p.in_h && ix$i < p.in_w) {
      a$i = src[((image$i + iy$i) * p.in_w + ix$i) * p.in_quads + channel];
    }
    //@else
    if (k < p.depth) { a$i = src[pixel$i * p.in_quads + k]; }
    //@end
    tile_a[(thread / 8u + $THREADSu / 8u * $iu) * 8u + quad] = a$i;
    //@end
    //@weights
    tile_b[thread + $THREADSu * $iu] = weights[(start * 4u + thread / $TXu + $TYu * $iu) * p.out_quads + columns];
    //@end
    workgroupBarrier();
    for (var q = 0u; q < 8u; q++) {
      let b0 = tile_b[(q * 4u) * $TXu + tx];
      let b1 = tile_b[(q * 4u + 1u) * $TXu + tx];
      let b2 = tile_b[(q * 4u + 2u) * $TXu + tx];
      let b3 = tile_b[(q * 4u + 3u) * $TXu + tx];
      //@rows
      let v$r = tile_a[(ty + $TYu * $ru) * 8u + q];
      sum$r += v$r.x * b0 + v$r.y * b1 + v$r.z * b2 + v$r.w * b3;
      //@end
    }
    workgroupBarrier();
  }
  let out = group.x * $TXu + tx;
  if (out >= p.out_quads) { return; }
  let bias = weights[p.bias + out];
  //@rows
  {
    let pixel = group.y * $TMu + ty + $TYu * $ru;
    if (pixel < p.pixels) {
      var value = clamp(sum$r + bias, vec4(p.low), vec4(p.high));
      //@if RESIDUAL
      value = clamp(value + residual[pixel * p.out_quads + out], vec4(p.sum_low), vec4(p.sum_high));
      //@end
      dst[pixel * p.out_quads + out] = value;
    }
  }
  //@end
}
