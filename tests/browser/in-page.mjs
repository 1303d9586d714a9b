// What tests run inside a page: the package as it is published, and pictures of every kind.
export * as achado from "/dist/index.js";

/** A picture file as each kind of input that `classify` takes; all have the same pixels. */
export async function inputs(url) {
  const blob = await (await fetch(url)).blob();
  const img = document.createElement("img");
  img.src = URL.createObjectURL(blob);
  await img.decode();
  const { naturalWidth: width, naturalHeight: height } = img;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  const imageData = context.getImageData(0, 0, width, height);
  const offscreen = new OffscreenCanvas(width, height);
  offscreen.getContext("2d").drawImage(img, 0, 0);
  return {
    img,
    canvas,
    offscreen,
    bitmap: await createImageBitmap(blob),
    imageData,
    raw: { data: new Uint8Array(imageData.data), width, height },
    view: { data: new Uint8Array([1, 2, ...imageData.data, 3]).subarray(2, -1), width, height },
    videoFrame: new VideoFrame(canvas, { timestamp: 0 }),
    blob,
    file: new File([blob], "picture.png"),
    bytes: new Uint8Array(await blob.arrayBuffer()),
  };
}

/** A video element that plays what a canvas shows. */
export async function videoOf(canvas) {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = canvas.captureStream(30);
  // A canvas gives a frame when it is drawn on.
  const context = canvas.getContext("2d");
  const timer = setInterval(() => context.drawImage(canvas, 0, 0), 10);
  await video.play();
  return { video, stop: () => clearInterval(timer) };
}

/** What a call threw, as something that can leave the page. */
export async function failure(promise) {
  try {
    await promise;
    return { code: "none" };
  } catch (error) {
    const { name, code, message, detail } = error;
    return { name, code, message, detail };
  }
}

/** All scores of the first head by class. */
export function scores({ classifications: [{ categories }] }) {
  const byClass = [];
  for (const { index, score } of categories) byClass[index] = score;
  return byClass;
}
