// What a model is made of, and what each part of it takes on this device: over quantize.wasm.
import { AchadoError } from "../errors.js";
import { messageOf } from "../kind.js";
import { checkNames, type NamesOf } from "../names.js";
import type {
  ImageModel,
  LoadOptions,
  ModelSource,
  OperatorProfile,
  Runtime,
  TensorData,
} from "../types.js";
import { bytesOfModel, isTflite, type ModelPlatform, withWork } from "./model-work.js";

/** The elements of a constant: of a quantized one as the real numbers that they stand for. */
export interface TensorStatistics {
  elements: number;
  min: number;
  max: number;
  mean: number;
  standardDeviation: number;
  /** Elements that are exactly 0. */
  zeros: number;
  /** Elements that are infinite or no numbers. */
  notFinite: number;
  /** Elements by equal parts of `min` to `max`. */
  histogram: number[];
}

/** A tensor of the model's main graph. */
export interface InspectedTensor {
  /** Its place in the file. */
  index: number;
  /** May be empty or repeated. */
  name: string;
  /** `float32`, `int8`, ...: also types that cannot be run. */
  dtype: string;
  /** As in TensorFlow Lite: pictures are `[n, h, w, c]`. */
  shape: number[];
  /** Bytes in the file; 0 for what is computed. */
  storedBytes: number;
  /** Whether the file gives its elements. */
  isConstant: boolean;
  /** How many scales it has; 0 where it is not quantized. */
  scales: number;
  /** `real = scale * (q - zeroPoint)`, one or one for each index of dimension `axis`. */
  quantization: { scale: number[]; zeroPoint: number[]; axis: number } | null;
  /** Of constants, where the model can be read. */
  statistics: TensorStatistics | null;
}

/** An operator of the model's main graph. */
export interface InspectedOperator {
  /** Its place in the file. */
  index: number;
  /** TensorFlow Lite's name. */
  operator: string;
  /** The version that the file asks for. */
  version: number;
  /** `stride: [2, 2], padding: Same, activation: Relu6`; empty where it has none. */
  attributes: string;
  /** Places of its operands among the tensors; -1 for one left out. */
  inputs: number[];
  outputs: number[];
  /** The name of its first result. */
  name: string;
  /** Elements of its constants, but for shapes and the like. */
  parameters: number;
  /** Bytes of its constants in the file. */
  weightBytes: number;
  /** Multiplications with addition. */
  macs: number;
  /** Why it cannot be run, where it cannot. */
  missing: string | null;
  /** Which of achado's kernels runs it on this device; null where it was not measured. */
  kernel: string | null;
  /** Median over the runs; null where it was not measured. */
  medianMs: number | null;
  /** Of the whole model's time, 0..1. */
  share: number | null;
  /**
   * The operator in whose kernel this one is computed, or `"load"` for what is computed once, when the
   * model is opened; null where it has a kernel of its own, or nothing was measured.
   */
  computedIn: number | "load" | null;
}

/** What the file says about an input or output. */
export interface InspectedEnd {
  name: string;
  description: string;
  /** `(x - mean) / std` of pixels 0..255. */
  normalization: { mean: number[]; std: number[] } | null;
  scoreThreshold: number | null;
  /** Class names by index; with a locale, such as `pt`, names for people. */
  labels: { locale: string; names: string[] }[];
}

/** TFLite Model Metadata. */
export interface InspectedMetadata {
  name: string;
  description: string;
  version: string;
  author: string;
  license: string;
  inputs: InspectedEnd[];
  outputs: InspectedEnd[];
  /** What programs keep beside the schema's own fields. */
  custom: Record<string, string>;
}

/** From quantize.wasm. */
export interface Inspected {
  description: string;
  subgraphs: number;
  problem: { code: string; message: string } | null;
  metadata: InspectedMetadata | null;
  inputs: number[];
  outputs: number[];
  operators: Pick<
    InspectedOperator,
    "index" | "operator" | "version" | "attributes" | "inputs" | "outputs" | "macs" | "missing"
  >[];
  tensors: InspectedTensor[];
}

/** What {@link inspectModel} gives. */
export interface ModelInspection {
  /** What the file is. Operators and tensors of an ONNX model are those of its `.tflite` form. */
  format: "tflite" | "onnx";
  fileBytes: number;
  /** Free text of the file. */
  description: string;
  /** How many graphs the file has; more than one where it has loops or conditions. */
  subgraphs: number;
  metadata: InspectedMetadata | null;
  /** Class names of the first output that has some. */
  labels: string[];
  /** Places among the tensors. */
  inputs: number[];
  outputs: number[];
  operators: InspectedOperator[];
  tensors: InspectedTensor[];
  totals: {
    parameters: number;
    /** Bytes of constants in the file. */
    weightBytes: number;
    macs: number;
    /** The share of parameters that are exactly 0. */
    sparsity: number;
    /**
     * A whole run, the mean over the runs; null where nothing was measured. Browsers' clocks have steps of
     * up to 0.1 ms, which operators are measured by, too.
     */
    runMs: number | null;
  };
  /** What its parameters and activations are: `float32`, `float16`, `int8`, `8-bit weights`, `mixed`, ... */
  precision: string;
  /** Why it cannot be run, where it cannot; names every operator that is missing. */
  problem: { code: string; message: string } | null;
  /** Where it was measured. */
  measured: (Pick<Runtime, "backend" | "simd" | "threads"> & { runs: number }) | null;
  /** Why it was not measured, where it was asked for and could not be. */
  notMeasured: string | null;
}

export interface InspectOptions {
  /** Runs whose median is taken; 0 measures nothing. Default: 10. */
  runs?: number | undefined;
  /** As for `createModel`. Default: 1, so that layers can be compared. */
  threads?: LoadOptions["threads"];
  /** Shapes of inputs that an ONNX model leaves open. */
  inputShapes?: LoadOptions["inputShapes"];
  signal?: AbortSignal | undefined;
}

const OPTIONS: NamesOf<InspectOptions> = { runs: 1, threads: 1, inputShapes: 1, signal: 1 };

const SIZED = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
} as const;

/** {@link inspectModel} on a platform. */
export async function inspectOn(
  platform: ModelPlatform,
  model: ModelSource,
  options: InspectOptions = {},
): Promise<ModelInspection> {
  checkNames(options, { ...OPTIONS });
  const { runs = 10, threads = 1, inputShapes, signal } = options;
  if (!Number.isInteger(runs) || runs < 0 || runs > 1000) {
    throw new AchadoError(
      "INVALID_OPTION",
      `runs: must be a whole number from 0 to 1000, is ${runs}`,
      {
        option: "runs",
      },
    );
  }
  const file = await bytesOfModel(platform, model, signal);
  const format = isTflite(file) ? "tflite" : "onnx";
  const fileBytes = file.byteLength;
  let tflite = file;
  if (format === "onnx") {
    try {
      tflite = await platform.convertOnnx(file, { inputShapes, signal });
    } catch (error) {
      if (!(error instanceof AchadoError) || !error.code.startsWith("UNSUPPORTED_")) throw error;
      return unreadable(fileBytes, error);
    }
  }
  const found = await withWork(platform, signal, (call) => call("inspect", tflite));
  const inspection = assemble(format, fileBytes, found);
  if (runs === 0 || found.problem) return inspection;
  let opened: ImageModel | undefined;
  try {
    const shapes = format === "tflite" ? inputShapes : undefined;
    opened = await platform.createModel({ model: tflite, threads, inputShapes: shapes, signal });
    const inputs = opened.metadata.inputs.map(({ name, dtype, shape }) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return [name, new SIZED[dtype as keyof typeof SIZED](length) as TensorData];
    });
    const tensors = Object.fromEntries(inputs);
    const run = async (session: ImageModel) => session.run(tensors, signal ? { signal } : {});
    await run(opened);
    const start = performance.now();
    for (let i = 0; i < runs; i++) await run(opened);
    inspection.totals.runMs = (performance.now() - start) / runs;
    const profile = await opened.profile(runs);
    const { backend, simd, threads: used } = opened.runtime;
    inspection.measured = { backend, simd, threads: used, runs };
    measure(inspection, profile);
  } catch (error) {
    signal?.throwIfAborted();
    // What can be read but not run is described all the same.
    if (!(error instanceof AchadoError)) throw error;
    inspection.notMeasured = messageOf(error);
    if (/^UNSUPPORTED_|^OUT_OF_MEMORY/.test(error.code)) {
      inspection.problem = { code: error.code, message: error.message };
    }
  } finally {
    await opened?.close();
  }
  return inspection;
}

/** An ONNX model that has no `.tflite` form. */
function unreadable(fileBytes: number, { code, message }: AchadoError): ModelInspection {
  const nothing = {
    description: "",
    subgraphs: 1,
    metadata: null,
    inputs: [],
    outputs: [],
    operators: [],
    tensors: [],
  };
  return assemble("onnx", fileBytes, { ...nothing, problem: { code, message } });
}

/** Shapes, axes and the like are no parameters. */
function isParameter({ isConstant, dtype, scales }: InspectedTensor): boolean {
  return isConstant && (scales > 0 || !/^(int32|int64|bool|string)$/.test(dtype));
}

function assemble(
  format: ModelInspection["format"],
  fileBytes: number,
  found: Inspected,
): ModelInspection {
  const { tensors, metadata } = found;
  const elements = ({ shape }: InspectedTensor) => shape.reduce((a, b) => a * b, 1);
  const operators = found.operators.map((operator): InspectedOperator => {
    const constants = [...new Set(operator.inputs)].flatMap((id) => {
      const tensor = tensors[id];
      return tensor?.isConstant ? [tensor] : [];
    });
    return {
      ...operator,
      name: tensors[operator.outputs[0] ?? -1]?.name ?? "",
      parameters: constants.filter(isParameter).reduce((sum, one) => sum + elements(one), 0),
      weightBytes: constants.reduce((sum, one) => sum + one.storedBytes, 0),
      kernel: null,
      medianMs: null,
      share: null,
      computedIn: null,
    };
  });
  const parameters = tensors.filter(isParameter);
  const count = parameters.reduce((sum, one) => sum + elements(one), 0);
  const zeros = parameters.reduce((sum, one) => sum + (one.statistics?.zeros ?? 0), 0);
  const sum = (of: (one: InspectedOperator) => number) =>
    operators.reduce((total, one) => total + of(one), 0);
  const named = metadata?.outputs.flatMap(({ labels }) => labels);
  const labels = named?.find(({ locale }) => locale === "") ?? named?.[0];
  return {
    format,
    fileBytes,
    description: found.description,
    subgraphs: found.subgraphs,
    metadata,
    labels: labels?.names ?? [],
    inputs: found.inputs,
    outputs: found.outputs,
    operators,
    tensors,
    totals: {
      parameters: count,
      weightBytes: tensors.reduce((total, one) => total + one.storedBytes, 0),
      macs: sum(({ macs }) => macs),
      sparsity: count > 0 ? zeros / count : 0,
      runMs: null,
    },
    precision: precisionOf(operators, tensors),
    problem: found.problem,
    measured: null,
    notMeasured: null,
  };
}

function precisionOf(
  operators: readonly InspectedOperator[],
  tensors: readonly InspectedTensor[],
): string {
  const results = operators
    .filter(({ operator }) => !/^(DE)?QUANTIZE$/.test(operator))
    .flatMap(({ outputs }) => outputs.flatMap((id) => tensors[id] ?? []));
  const integers = new Set(results.filter(({ scales }) => scales > 0).map(({ dtype }) => dtype));
  const floats = results.some(({ dtype }) => dtype === "float32");
  const [only] = integers;
  if (only !== undefined) return integers.size === 1 && !floats ? only : "mixed";
  const weights = new Set(tensors.filter(isParameter).map(({ dtype }) => dtype));
  if (weights.has("float16")) return "float16";
  if (weights.has("int8")) return "8-bit weights";
  if (weights.has("int4")) return "4-bit weights";
  return "float32";
}

/** Tells operators by the tensors that they write; what several compute together is at the last. */
function measure(inspection: ModelInspection, profile: readonly OperatorProfile[]): void {
  const { operators, tensors } = inspection;
  const writes = new Map<string, InspectedOperator[]>();
  for (const operator of operators) {
    for (const id of operator.outputs) {
      const name = tensors[id]?.name ?? "";
      writes.set(name, [...(writes.get(name) ?? []), operator]);
    }
  }
  for (const { name, kernel, medianMs, share } of profile) {
    // Names may be repeated: rows come in the order of the operators.
    const operator = writes.get(name)?.find((one) => one.kernel === null);
    if (!operator) continue;
    Object.assign(operator, { kernel, medianMs, share });
  }
  const readers = new Map<number, InspectedOperator[]>();
  for (const operator of operators) {
    for (const id of operator.inputs) readers.set(id, [...(readers.get(id) ?? []), operator]);
  }
  const isKnown = new Set(tensors.filter((one) => one.isConstant).map(({ index }) => index));
  for (const operator of operators) {
    if (operator.kernel !== null) continue;
    if (operator.inputs.every((id) => id < 0 || isKnown.has(id))) {
      operator.computedIn = "load";
      for (const id of operator.outputs) isKnown.add(id);
    }
  }
  for (const operator of [...operators].reverse()) {
    if (operator.kernel !== null || operator.computedIn !== null) continue;
    const [reader] = operator.outputs.flatMap((id) => readers.get(id) ?? []);
    if (reader)
      operator.computedIn =
        typeof reader.computedIn === "number" ? reader.computedIn : reader.index;
  }
}
