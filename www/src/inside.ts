// Which model and which build of achado run, and what was wanted and could not be had.
import { element, make } from "./dom.js";
import { inUse } from "./models.js";
import { format, onLanguage, setText, text, type TextKey } from "./text.js";

const runtime = element("runtime");
const runtimeNone = element("runtime-none");
const fallbacks = element("fallbacks");
const now = element("model-now");

export function showInside(): void {
  const model = inUse();
  runtimeNone.hidden = model !== undefined;
  if (!model) return;
  const { metadata, runtime: running } = model.classifier;
  const { backend, simd, threads, worker, memoryBytes } = running;
  const input = metadata.inputs[metadata.pictureInput ?? 0];
  const rows: [TextKey, string][] = [
    ["model", metadata.name || model.name || text("modelUnnamed")],
    ["input", input ? `${input.shape.slice(1).join(" × ")} ${input.dtype}` : ""],
    ["build", backend === "tract" ? "tract" : `WebAssembly ${simd}`],
    ["threads", String(threads)],
    ["thread", text(worker ? "inWorker" : "inPage")],
    ["memory", `${format(memoryBytes / 2 ** 20, 1)}\u00a0MB`],
  ];
  runtime.replaceChildren(
    ...rows.map(([key, value]) =>
      make("div", {}, make("dt", { textContent: text(key) }), make("dd", { textContent: value })),
    ),
  );
  fallbacks.hidden = running.fallbacks.length === 0;
  fallbacks.replaceChildren(
    ...running.fallbacks.map(({ from, to, reason }) => {
      // The usual one is said in the page's language; achado's own words are English.
      const usual = from.startsWith("threads") && !globalThis.crossOriginIsolated;
      return usual
        ? make("li", { textContent: text("fallbackThreads") })
        : make("li", { textContent: `${from} → ${to}: ${reason}`, lang: "en" });
    }),
  );
  const name = model.origin === "package" ? text("modelDefault") : model.name;
  setText(now, "modelNow", { name });
}
onLanguage(showInside);
