// AVERAGE_POOL_2D and MAX_POOL_2D: a thread makes a pixel by 4 channels.
struct Params {
  quads: u32, out_w: u32, out_h: u32, pixels: u32,
  in_w: u32, in_h: u32, stride_h: u32, stride_w: u32,
  pad_top: u32, pad_left: u32, kernel_h: u32, kernel_w: u32,
  low: $SCALAR, high: $SCALAR, in_zero: i32, _a: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> src: array<$STORED>;
@group(0) @binding(2) var<storage, read_write> dst: array<$STORED>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  let quad = at % p.quads;
  let pixel = at / p.quads;
  if (pixel >= p.pixels) { return; }
  let row = pixel / p.out_w;
  let image = row / p.out_h * p.in_h;
  let top = row % p.out_h * p.stride_h - p.pad_top;
  let left = pixel % p.out_w * p.stride_w - p.pad_left;
  var count = 0;
  //@if MAX
  var value = vec4<$SCALAR>($LOWEST);
  //@else
  var value = vec4<$SCALAR>();
  //@end
  for (var ky = 0u; ky < p.kernel_h; ky++) {
    let y = top + ky;
    if (y >= p.in_h) { continue; }
    for (var kx = 0u; kx < p.kernel_w; kx++) {
      let x = left + kx;
      if (x >= p.in_w) { continue; }
      let element = $UNPACK(src[((image + y) * p.in_w + x) * p.quads + quad]);
      count++;
      //@if MAX
      value = max(value, element);
      //@else
      value += element;
      //@end
    }
  }
  //@if MEAN_FLOAT
  value = value / f32(count);
  //@end
  //@if MEAN_INT
  // To nearest, halves away from zero; division truncates.
  value += p.in_zero * count;
  let half = vec4(count / 2);
  value = (value + select(-half, half, value > vec4<i32>())) / vec4(count) - p.in_zero;
  //@end
  dst[pixel * p.quads + quad] = $PACK(clamp(value, vec4(p.low), vec4(p.high)));
}
