// DEPTHWISE_CONV_2D: a thread makes $WIDE pixels of a row by 4 channels.
struct Params {
  quads: u32, out_w: u32, out_h: u32, rows: u32,
  in_w: u32, in_h: u32, stride_h: u32, stride_w: u32,
  pad_top: u32, pad_left: u32, kernel_h: u32, dilation_h: u32,
  low: $SCALAR, high: $SCALAR, in_zero: i32, weight_zero: i32,
  out_zero: i32, bias: u32, _a: u32, _b: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> weights: array<$WEIGHTS>;
@group(0) @binding(2) var<storage, read_write> src: array<$STORED>;
@group(0) @binding(3) var<storage, read_write> dst: array<$STORED>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let quad = id.x % p.quads;
  let x = id.x / p.quads * $WIDEu;
  if (x >= p.out_w || id.y >= p.rows) { return; }
  let image = id.y / p.out_h * p.in_h;
  let top = id.y % p.out_h * p.stride_h - p.pad_top;
  let left = x * p.stride_w - p.pad_left;
  //@wide
  var sum$i = vec4<$SCALAR>();
  //@end
  for (var ky = 0u; ky < p.kernel_h; ky++) {
    let y = top + ky * p.dilation_h;
    if (y >= p.in_h) { continue; }
    let row = (image + y) * p.in_w;
    $TAPS
  }
  let base = (id.y * p.out_w + x) * p.quads + quad;
  //@if FLOAT
  let bias = weights[p.bias + quad];
  //@else
  let bias = vec4(bitcast<i32>(weights[p.bias + quad * 8u]), bitcast<i32>(weights[p.bias + quad * 8u + 1u]), bitcast<i32>(weights[p.bias + quad * 8u + 2u]), bitcast<i32>(weights[p.bias + quad * 8u + 3u]));
  let scale = vec4(weights[p.bias + quad * 8u + 4u], weights[p.bias + quad * 8u + 5u], weights[p.bias + quad * 8u + 6u], weights[p.bias + quad * 8u + 7u]);
  //@end
  //@wide
  if (x + $iu < p.out_w) {
    //@if FLOAT
    dst[base + $iu * p.quads] = clamp(sum$i + bias, vec4(p.low), vec4(p.high));
    //@else
    dst[base + $iu * p.quads] = pack4xI8(requantize(sum$i + bias, scale, p.out_zero, p.low, p.high));
    //@end
  }
  //@end
}
