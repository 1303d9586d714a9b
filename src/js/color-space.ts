// Display P3, which canvases have beside sRGB, as sRGB. Both have the same curve (IEC 61966-2-1).

/** P3's linear red, green and blue to sRGB's: both from CSS Color 4, multiplied. */
const MATRIX = [
  [1.2249401762805598, -0.2249401762805599, 0],
  [-0.0420569547096881, 1.0420569547096882, 0],
  [-0.0196375545903344, -0.0786360455506319, 1.0982736001409663],
] as const;

/** Steps of the table from linear light to bytes: half of a byte's where the curve is steepest. */
const STEPS = 1 << 13;

let tables: { linear: Float64Array; bytes: Uint8Array } | undefined;

function makeTables() {
  const linear = Float64Array.from({ length: 256 }, (_, byte) => {
    const x = byte / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  const bytes = Uint8Array.from({ length: STEPS + 1 }, (_, step) => {
    const x = step / STEPS;
    return Math.round(255 * (x <= 0.0031308 ? x * 12.92 : 1.055 * x ** (1 / 2.4) - 0.055));
  });
  return { linear, bytes };
}

/** RGBA pixels in sRGB; what it cannot show is cut off. */
export function fromDisplayP3(pixels: Uint8Array | Uint8ClampedArray): Uint8ClampedArray {
  tables ??= makeTables();
  const { linear, bytes } = tables;
  const out = new Uint8ClampedArray(pixels);
  for (let i = 0; i < out.length; i += 4) {
    const [r, g, b] = [0, 1, 2].map((c) => linear[out[i + c] as number] as number) as Triple;
    for (const [c, [x, y, z]] of MATRIX.entries()) {
      const light = Math.min(1, Math.max(0, x * r + y * g + z * b));
      out[i + c] = bytes[Math.round(light * STEPS)] as number;
    }
  }
  return out;
}

type Triple = [number, number, number];
