// `achado inspect`: what a model is made of.
import { inspectModel } from "../../inspect-node.js";
import type { InspectedOperator, ModelInspection } from "../../maker/inspect.js";
import { command, print, UsageError } from "../command.js";
import { MODEL_OPTIONS, modelOptions } from "../model-options.js";
import { numberOf } from "../pictures.js";

/** Units of a thousand each. */
function short(count: number, unit: string): string {
  const at = count < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(count) / 3));
  const digits = at === 0 ? 0 : 1;
  return `${(count / 1000 ** at).toFixed(digits)} ${["", "k", "M", "G"][at]}${unit}`.replace(
    "  ",
    " ",
  );
}

const shapeOf = (shape: readonly number[]) => `[${shape.join(", ")}]`;

/** Columns as wide as they need to be; the first is flush left, as is the last. */
function table(rows: readonly (readonly string[])[]): string {
  const widths =
    rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) =>
    row.map((cell, at) => {
      const width = widths[at] ?? 0;
      return at === 0 || at === row.length - 1 ? cell.padEnd(width) : cell.padStart(width);
    });
  return rows.map((row) => `${line(row).join("  ").trimEnd()}\n`).join("");
}

function end({ tensors }: ModelInspection, id: number): string {
  const tensor = tensors[id];
  if (!tensor) return "?";
  const [scale, zero] = [tensor.quantization?.scale[0], tensor.quantization?.zeroPoint[0]];
  const quantized =
    tensor.scales === 1 && scale !== undefined
      ? `, scale ${Number(scale.toPrecision(6))}, zero point ${zero}`
      : "";
  return `${tensor.name || "(no name)"}  ${tensor.dtype} ${shapeOf(tensor.shape)}${quantized}`;
}

function head(file: string, model: ModelInspection): string {
  const { totals, metadata, labels, problem, measured, notMeasured } = model;
  const texts = metadata && [metadata.name, metadata.version, metadata.author, metadata.license];
  const told = texts?.filter((text) => text !== "").join(", ");
  const shown = labels.slice(0, 5).join(", ");
  const normalization = metadata?.inputs[0]?.normalization;
  const inner = (list: readonly number[] | undefined) => list?.map((x) => Number(x.toPrecision(6)));
  const lines = [
    `${file}: ${model.format}, ${model.fileBytes} bytes, ${model.precision}`,
    ...(told ? [told] : []),
    ...(problem ? [`cannot be run: ${problem.message}`] : []),
    ...model.inputs.map((id) => `input   ${end(model, id)}`),
    ...(normalization
      ? [`        (pixel - ${inner(normalization.mean)}) / ${inner(normalization.std)}`]
      : []),
    ...model.outputs.map((id) => `output  ${end(model, id)}`),
    ...(labels.length > 0
      ? [`labels  ${labels.length}: ${shown}${labels.length > 5 ? ", ..." : ""}`]
      : []),
    `${model.operators.length} operators, ${short(totals.parameters, " parameters")}, ${short(totals.macs, "MACs")}, ${(100 * totals.sparsity).toFixed(1)} % zeros`,
    ...(measured && totals.runMs !== null
      ? [
          `${totals.runMs.toFixed(2)} ms on this device (${measured.simd}, threads: ${measured.threads}, mean of ${measured.runs} runs)`,
        ]
      : []),
    ...(notMeasured !== null ? [`not measured: ${notMeasured}`] : []),
  ];
  return `${lines.join("\n")}\n\n`;
}

function where({ kernel, computedIn, missing }: InspectedOperator): string {
  if (missing !== null) return "missing";
  if (computedIn === "load") return "once, at load";
  return kernel ?? (computedIn === null ? "-" : `in ${computedIn}`);
}

function operators(model: ModelInspection): string {
  const rows = model.operators.map((one) => [
    `${one.index}`,
    one.operator,
    shapeOf(model.tensors[one.outputs[0] ?? -1]?.shape ?? []),
    short(one.macs, ""),
    short(one.weightBytes, "B"),
    one.medianMs === null ? "-" : one.medianMs.toFixed(3),
    one.share === null ? "-" : `${(100 * one.share).toFixed(1)} %`,
    where(one),
    one.name,
  ]);
  const titles = ["#", "operator", "result", "MACs", "weights", "ms", "share", "kernel", "tensor"];
  return table([titles, ...rows]);
}

function summary(model: ModelInspection): string {
  const kinds = new Map<string, { count: number; macs: number; bytes: number; ms: number }>();
  for (const { operator, macs, weightBytes, medianMs } of model.operators) {
    const kind = kinds.get(operator) ?? { count: 0, macs: 0, bytes: 0, ms: 0 };
    kind.count += 1;
    kind.macs += macs;
    kind.bytes += weightBytes;
    kind.ms += medianMs ?? 0;
    kinds.set(operator, kind);
  }
  const rows = [...kinds].map(([operator, { count, macs, bytes, ms }]) => [
    operator,
    `${count}`,
    short(macs, ""),
    short(bytes, "B"),
    model.measured ? ms.toFixed(3) : "-",
    "",
  ]);
  return table([["operator", "count", "MACs", "weights", "ms", ""], ...rows]);
}

export const inspect = command({
  name: "inspect",
  usage: "MODEL",
  summary: "show what a model is made of, and what each operator takes on this device",
  options: {
    json: { type: "boolean", help: "print all of it as JSON: tensors and histograms, too" },
    runs: {
      type: "string",
      value: "N",
      default: "10",
      help: "runs whose median is taken (default 10); 0 measures nothing",
    },
    "input-shape": MODEL_OPTIONS["input-shape"],
  },
  async run(values, [model, second]) {
    if (model === undefined) throw new UsageError("inspect needs a model");
    if (second !== undefined) throw new UsageError("inspect takes one model");
    const runs = numberOf("runs", values.runs);
    const { inputShapes } = modelOptions({
      ...{ labels: undefined, config: undefined, preprocess: undefined },
      ...{ mean: undefined, std: undefined, bgr: false },
      "input-shape": values["input-shape"],
    });
    const found = await inspectModel(model, { runs, inputShapes });
    if (values.json) return print(`${JSON.stringify(found, null, 1)}\n`);
    const tables = found.operators.length > 0 ? `${operators(found)}\n${summary(found)}` : "";
    print(`${head(model, found)}${tables}`);
    return found.problem ? 1 : 0;
  },
});
