// One picture for every place, so that all of them must give the same scores.

/** RGBA pixels of a smooth pattern. */
export function picture() {
  const [width, height] = [320, 240];
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      data[at] = (x * 255) / width;
      data[at + 1] = (y * 255) / height;
      data[at + 2] = 128 + 127 * Math.sign(((x >> 5) + (y >> 5)) % 2 || -1);
      data[at + 3] = 255;
    }
  }
  return { data, width, height };
}
