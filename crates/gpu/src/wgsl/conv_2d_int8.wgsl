// CONV_2D and FULLY_CONNECTED as a matrix product of bytes: a thread makes $ROWS pixels by 4 channels,
// $TX by $TY threads share $TM pixels of the input and 8 rows of packed weights at a time.
struct Params {
  pixels: u32, out_quads: u32, in_quads: u32, depth: u32,
  out_w: u32, out_h: u32, in_w: u32, in_h: u32,
  stride_h: u32, stride_w: u32, pad_top: u32, pad_left: u32,
  kernel_w: u32, dilation_h: u32, dilation_w: u32, bias: u32,
  low: i32, high: i32, zero_point: i32, padding: u32,
  weight_zero_point: i32, first: i32, second: i32, shift: u32,
  sum_bias: i32, sum_zero_point: i32, sum_low: i32, sum_high: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> src: array<u32>;
@group(0) @binding(3) var<storage, read_write> dst: array<u32>;
//@if RESIDUAL
@group(0) @binding(4) var<storage, read_write> residual: array<u32>;
//@end

var<workgroup> tile_a: array<u32, $SIZE_A>;
var<workgroup> tile_b: array<vec4<u32>, $SIZE_B>;

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
  var sum$r = vec4<i32>();
  //@if WEIGHT_ZERO
  var total$r = 0;
  //@end
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
    var a$i = 0u;
    if (k < p.depth) {
      //@if WINDOW
      a$i = p.padding;
      let iy$i = y$i + down;
      let ix$i = x$i + right;
      if (iy$i < p.in_h && ix$i < p.in_w) {
        a$i = src[((image$i + iy$i) * p.in_w + ix$i) * p.in_quads + channel];
      }
      //@else
      a$i = src[pixel$i * p.in_quads + k];
      //@end
    }
    tile_a[(thread / 8u + $THREADSu / 8u * $iu) * 8u + quad] = a$i;
    //@end
    //@weights
    if (thread + $THREADSu * $iu < $SIZE_Bu) {
      tile_b[thread + $THREADSu * $iu] = weights[(start + thread / $TXu + $TYu * $iu) * p.out_quads + columns];
    }
    //@end
    workgroupBarrier();
    for (var q = 0u; q < 8u; q++) {
      let b = tile_b[q * $TXu + tx];
      //@rows
      let v$r = tile_a[(ty + $TYu * $ru) * 8u + q];
      sum$r += vec4(dot4I8Packed(v$r, b.x), dot4I8Packed(v$r, b.y), dot4I8Packed(v$r, b.z), dot4I8Packed(v$r, b.w));
      //@if WEIGHT_ZERO
      total$r += dot4I8Packed(v$r, 0x01010101u);
      //@end
      //@end
    }
    workgroupBarrier();
  }
  let out = group.x * $TXu + tx;
  if (out >= p.out_quads) { return; }
  let bias = bitcast<vec4<i32>>(weights[p.bias + out]);
  let scale = weights[p.bias + p.out_quads + out];
  //@rows
  {
    let pixel = group.y * $TMu + ty + $TYu * $ru;
    if (pixel < p.pixels) {
      var sum = sum$r + bias;
      //@if WEIGHT_ZERO
      sum -= vec4(total$r * p.weight_zero_point);
      //@end
      var value = requantize(sum, scale, p.zero_point, p.low, p.high);
      //@if RESIDUAL
      let other = unpack4xI8(residual[pixel * p.out_quads + out]);
      value = ((p.sum_bias + p.first * value + p.second * other) >> vec4(p.shift)) + p.sum_zero_point;
      value = clamp(value, vec4(p.sum_low), vec4(p.sum_high));
      //@end
      dst[pixel * p.out_quads + out] = pack4xI8(value);
    }
  }
  //@end
}
