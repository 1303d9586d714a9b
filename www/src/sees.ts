// The picture as the model gets it: the part that is looked at, fitted into the input's size.
import type { Preprocess } from "achado";
import { element } from "./dom.js";
import { inUse } from "./models.js";
import { region } from "./region.js";
import { inStage, isMirrored, sizeShown } from "./stage.js";
import { onLanguage, text } from "./text.js";

const details = element<HTMLDetailsElement>("sees-details");
const canvas = element<HTMLCanvasElement>("sees");

/** Width and height of the picture that the model in use takes. */
export function inputSize(): { width: number; height: number } {
  const metadata = inUse()?.classifier.metadata;
  const shape = metadata?.inputs[metadata.pictureInput ?? 0]?.shape ?? [];
  // `[n, h, w, c]`, or as tract runs ONNX files `[n, c, h, w]`.
  const [, a = 224, b = 224, c = 3] = shape;
  return a <= 4 && c > 4 ? { width: c, height: b } : { width: b, height: a };
}

/** Training programs that cut the middle out, and how much of it. */
const CUT: Record<string, number> = {
  torchvision: 0.875,
  timm: 0.875,
  ultralytics: 1,
  "teachable-machine": 1,
};

function fitOf(): { fit: Preprocess["fit"]; cropFraction: number } {
  const given = inUse()?.options.preprocess;
  const own = typeof given === "object" ? given : {};
  const preset = typeof given === "string" ? given : [own.preset].flat().at(-1);
  const cut = preset === undefined ? undefined : CUT[preset];
  const fit = own.fit ?? (cut === undefined ? "stretch" : "centerCrop");
  return { fit, cropFraction: own.cropFraction ?? (fit === "centerCrop" ? (cut ?? 1) : 1) };
}

/** Draws it anew, if it is open. */
export function showSeen(): void {
  const source = inStage();
  details.hidden = !source || !inUse();
  const { width, height } = sizeShown();
  if (!details.open || !source || width === 0) return;
  const input = inputSize();
  if (canvas.width !== input.width) canvas.width = input.width;
  if (canvas.height !== input.height) canvas.height = input.height;
  canvas.setAttribute("aria-label", text("seesAlt", input));
  const context = canvas.getContext("2d");
  if (!context) return;
  const { left, top, right, bottom } = region() ?? { left: 0, top: 0, right: 1, bottom: 1 };
  const part = {
    x: left * width,
    y: top * height,
    width: (right - left) * width,
    height: (bottom - top) * height,
  };
  const to = { x: 0, y: 0, ...input };
  const { fit, cropFraction } = fitOf();
  if (fit === "centerCrop" || fit === "cover") {
    const scale = Math.min(part.width / input.width, part.height / input.height) * cropFraction;
    shrink(part, input.width * scale, input.height * scale);
  } else {
    shrink(part, part.width * cropFraction, part.height * cropFraction);
    if (fit === "contain" || fit === "letterbox") {
      const scale = Math.min(input.width / part.width, input.height / part.height);
      shrink(to, part.width * scale, part.height * scale);
    }
  }
  context.setTransform(isMirrored() ? -1 : 1, 0, 0, 1, isMirrored() ? input.width : 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, input.width, input.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(
    source,
    part.x,
    part.y,
    part.width,
    part.height,
    to.x,
    to.y,
    to.width,
    to.height,
  );
}

/** Makes a box smaller around its middle. */
function shrink(
  box: { x: number; y: number; width: number; height: number },
  width: number,
  height: number,
): void {
  box.x += (box.width - width) / 2;
  box.y += (box.height - height) / 2;
  box.width = width;
  box.height = height;
}

details.addEventListener("toggle", showSeen);
onLanguage(showSeen);
