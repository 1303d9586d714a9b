// The code that does what the page shows: complete, and right in strict TypeScript.
import type { ClassifierOptions } from "achado";

/** What the page shows, as far as code depends on it. */
export interface Shown {
  /** Nothing is the package's own model. */
  readonly model: string | undefined;
  /** A file with names, if they are not in the model. */
  readonly labels: string | undefined;
  readonly options: Pick<ClassifierOptions, "preprocess" | "activation" | "maxResults">;
  readonly source:
    | { readonly kind: "picture" | "pictures"; readonly name: string }
    | { readonly kind: "camera"; readonly maxFps: number; readonly smoothing: number };
  readonly region: { left: number; top: number; right: number; bottom: number } | undefined;
  readonly mirror: boolean;
}

/** Whole programs, ready to be pasted. */
export function codeFor({ model, labels, options, source, region, mirror }: Shown): string {
  const loading = {
    ...(model !== undefined && { model: `./${model}` }),
    ...(labels !== undefined && { labels: `./${labels}` }),
    ...options,
  };
  const rounded = region && {
    left: round(region.left),
    top: round(region.top),
    right: round(region.right),
    bottom: round(region.bottom),
  };
  const frame = { ...(rounded && { regionOfInterest: rounded }), ...(mirror && { mirror }) };
  const create = `const classifier = await createClassifier(${literal(loading)});`;
  if (source.kind === "camera") {
    const { maxFps, smoothing } = source;
    return [
      'import { createClassifier, openCamera } from "achado";',
      "",
      create,
      "const camera = await openCamera({ width: 640, height: 480 });",
      "document.body.append(camera.video);",
      `const options = ${literal({ maxFps, smoothing, ...frame })};`,
      "for await (const { top } of classifier.classifyStream(camera.video, options)) {",
      "  console.log(top?.categoryName, top?.score);",
      "}",
      "",
    ].join("\n");
  }
  const more = Object.keys(frame).length > 0 ? `, ${literal(frame)}` : "";
  return [
    'import { createClassifier } from "achado";',
    "",
    create,
    "const image = new Image();",
    `image.src = ${JSON.stringify(source.name)};`,
    "await image.decode();",
    `const { classifications } = await classifier.classify(image${more});`,
    "for (const { categoryName, score } of classifications[0]?.categories ?? []) {",
    "  console.log(categoryName, score);",
    "}",
    "",
  ].join("\n");
}

function round(fraction: number): number {
  return Math.round(fraction * 1000) / 1000;
}

/** A value as people write it: names without quotes, on one line where that is short. */
function literal(value: unknown, indent = ""): string {
  if (Array.isArray(value)) return `[${value.map((one) => literal(one)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length === 0) return "{}";
  const inner = `${indent}  `;
  const parts = entries.map(([key, one]) => `${key}: ${literal(one, inner)}`);
  const line = `{ ${parts.join(", ")} }`;
  if (line.length < 60) return line;
  return `{\n${parts.map((part) => `${inner}${part},\n`).join("")}${indent}}`;
}
