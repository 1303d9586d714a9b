// What works on whole models by quantize.wasm: its calls, and what comes before and after each.
import { AchadoError, abortable } from "../errors.js";
import { type Fetch, readModel } from "../fetching.js";
import { messageOf } from "../kind.js";
import type {
  Asset,
  ConvertOptions,
  ImageInput,
  ImageModel,
  LoadOptions,
  ModelSource,
} from "../types.js";
import { compileFile } from "../wasm.js";
import type { Inspected } from "./inspect.js";
import type { PruneOpening, PruneRequest, PruneResult } from "./prune.js";
import type { Int8Request, Int8Result } from "./quantize.js";

/** What a picture comes from: a picture, or something that loads one, as those of an `ImageDataset`. */
export type CalibrationPicture = ImageInput | { load(): Promise<unknown> };

/** The calls. */
export interface ModelCalls {
  start: [module: WebAssembly.Module, result: undefined];
  inspect: [model: Uint8Array<ArrayBuffer>, result: Inspected];
  compact: [
    request: { model: Uint8Array<ArrayBuffer>; to: string; perChannelDense: boolean },
    result: Uint8Array<ArrayBuffer>,
  ];
  /** Gives the file that prepares pictures. */
  open: [model: Uint8Array<ArrayBuffer>, result: Uint8Array<ArrayBuffer>];
  add: [elements: Float32Array<ArrayBuffer>, result: undefined];
  finish: [request: Int8Request, result: Int8Result];
  /** The same for pruning. */
  openPruning: [opening: PruneOpening, result: Uint8Array<ArrayBuffer>];
  addPruning: [elements: Float32Array<ArrayBuffer>, result: undefined];
  finishPruning: [request: PruneRequest, result: PruneResult];
}

export type ModelCall = keyof ModelCalls;

/** The work, wherever it is done. One model at a time. */
export interface ModelWork {
  call<C extends ModelCall>(name: C, argument: ModelCalls[C][0]): Promise<ModelCalls[C][1]>;
  close(): void;
}

/** What work on models is built on, in a browser and in Node. */
export interface ModelPlatform {
  readonly fetch: Fetch;
  readonly wasm: () => Asset;
  readonly createModel: (options: LoadOptions) => Promise<ImageModel>;
  readonly convertOnnx: (
    model: ModelSource,
    options: ConvertOptions,
  ) => Promise<Uint8Array<ArrayBuffer>>;
  readonly startWork: () => Promise<ModelWork>;
}

/** Anything else is taken for ONNX, whose reader says what it looks like. */
export function isTflite(file: Uint8Array): boolean {
  return String.fromCharCode(...file.subarray(4, 8)) === "TFL3";
}

/** The bytes of a model as they were given. */
export async function bytesOfModel(
  platform: Pick<ModelPlatform, "fetch">,
  model: ModelSource,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  const until = signal ?? new AbortController().signal;
  return (await readModel(model, platform.fetch, undefined, until, undefined)).bytes;
}

/** A model as a `.tflite` file. */
export async function tfliteOf(
  platform: ModelPlatform,
  model: ModelSource,
  { inputShapes, signal }: Pick<LoadOptions, "inputShapes" | "signal">,
): Promise<{ tflite: Uint8Array<ArrayBuffer>; given: Uint8Array<ArrayBuffer> }> {
  const given = await bytesOfModel(platform, model, signal);
  if (isTflite(given)) return { tflite: given, given };
  const options = { inputShapes, signal } as ConvertOptions;
  return { tflite: await platform.convertOnnx(given, options), given };
}

/** Makes calls until the work is done. */
export type Calling = <C extends ModelCall>(
  name: C,
  argument: ModelCalls[C][0],
) => Promise<ModelCalls[C][1]>;

/** Does some work. An abort ends the worker with whatever it does. */
export async function withWork<T>(
  platform: ModelPlatform,
  signal: AbortSignal | undefined,
  use: (call: Calling) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const work = await platform.startWork();
  const stop = () => work.close();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const until = signal ?? new AbortController().signal;
    const module = await compileFile(platform.wasm(), platform.fetch, until, []);
    const call: Calling = (name, argument) => abortable(work.call(name, argument), signal);
    await call("start", module);
    return await use(call);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    work.close();
  }
}

async function loaded(picture: CalibrationPicture): Promise<ImageInput> {
  const loads =
    typeof picture === "object" && picture !== null && "load" in picture
      ? (picture as { load?: unknown }).load
      : undefined;
  if (typeof loads !== "function") return picture as ImageInput;
  return (await loads.call(picture)) as ImageInput;
}

/** A picture that could not be used. */
export interface SkippedPicture {
  name: string;
  reason: string;
}

/** Prepares pictures by a file that `open` gave, and gives each to `add`. */
export async function feed(
  platform: ModelPlatform,
  preparation: Uint8Array<ArrayBuffer>,
  pictures: readonly CalibrationPicture[],
  {
    preprocess,
    signal,
    onPicture,
    add,
  }: {
    preprocess: LoadOptions["preprocess"];
    signal: AbortSignal | undefined;
    onPicture(index: number): void;
    add(elements: Float32Array<ArrayBuffer>): Promise<undefined>;
  },
): Promise<{ skipped: SkippedPicture[] }> {
  const prepares = await platform.createModel({ model: preparation, preprocess, signal });
  const skipped: SkippedPicture[] = [];
  try {
    for (const [index, picture] of pictures.entries()) {
      onPicture(index);
      let tensors;
      try {
        tensors = await prepares.runImage(await loaded(picture), signal ? { signal } : {});
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof AchadoError) || error.code !== "INVALID_INPUT") throw error;
        const name = (picture as { name?: unknown })?.name;
        skipped.push({
          name:
            typeof name === "string" ? name : typeof picture === "string" ? picture : `${index}`,
          reason: messageOf(error),
        });
        continue;
      }
      await add(tensors.prepared?.data as Float32Array<ArrayBuffer>);
    }
  } finally {
    await prepares.close();
  }
  return { skipped };
}
