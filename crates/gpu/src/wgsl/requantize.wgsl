// round_ties_even(f32(sum) * scale), as the CPU rounds, whatever the GPU's f32 arithmetic rounds to: WGSL
// lets conversions and products go to either neighbor. Products off by less than 2^-11 round to the same
// integer unless a tie is as near; there the two roundings of the CPU are done in integers. Products
// beyond +-512 are outside of every 8-bit type.
fn round_scaled(sum: i32, scale: u32) -> i32 {
  let product = clamp(f32(sum) * bitcast<f32>(scale), -512.0, 512.0);
  let rounded = round(product);
  if (abs(product - rounded) < 0.49951171875) { return i32(rounded); }
  return round_scaled_exactly(sum, scale);
}

// The same in integers, for normal positive scales and products below 2^10.
fn round_scaled_exactly(sum: i32, scale: u32) -> i32 {
  if (sum == 0) { return 0; }
  // The sum as f32: 24 digits.
  var digits = u32(abs(sum));
  let length = 32u - countLeadingZeros(digits);
  let exponent = max(length, 24u) - 24u;
  digits = shift_ties_even(0u, digits, exponent);
  // Times the scale's 24 digits: two words.
  let factor = (scale & 0x7fffffu) | 0x800000u;
  let lowest = (digits & 0xfffu) * (factor & 0xfffu);
  let middle = (digits & 0xfffu) * (factor >> 12u) + (digits >> 12u) * (factor & 0xfffu);
  let highest = (digits >> 12u) * (factor >> 12u);
  let part = lowest + (middle << 12u);
  let low = part + (highest << 24u);
  let carries = select(0u, 1u, part < lowest) + select(0u, 1u, low < part);
  let high = (highest >> 8u) + (middle >> 20u) + carries;
  // As f32: 24 digits.
  let bits = select(32u - countLeadingZeros(low), 64u - countLeadingZeros(high), high != 0u);
  let dropped = max(bits, 24u) - 24u;
  let mantissa = shift_ties_even(high, low, dropped);
  // The value is mantissa * 2^-right.
  let right = 150 - i32(scale >> 23u) - i32(exponent) - i32(dropped);
  var magnitude = 0u;
  if (right <= 0) { magnitude = mantissa << u32(-right); }
  else if (right < 32) { magnitude = shift_ties_even(0u, mantissa, u32(right)); }
  return select(i32(magnitude), -i32(magnitude), sum < 0);
}

// Two words shifted to the right by 0 to 31 bits, to nearest, ties to even; the result fits one word.
fn shift_ties_even(high: u32, low: u32, bits: u32) -> u32 {
  if (bits == 0u) { return low; }
  let kept = (low >> bits) | (high << (32u - bits));
  let rest = low & ((1u << bits) - 1u);
  let half = 1u << (bits - 1u);
  return kept + select(0u, 1u, rest > half || (rest == half && (kept & 1u) == 1u));
}

fn requantize(sum: vec4<i32>, scale: vec4<u32>, zero_point: i32, low: i32, high: i32) -> vec4<i32> {
  let scaled = vec4(round_scaled(sum.x, scale.x), round_scaled(sum.y, scale.y), round_scaled(sum.z, scale.z), round_scaled(sum.w, scale.w));
  return clamp(scaled + zero_point, vec4(low), vec4(high));
}
