// The WebGPU backend of a model, loaded when an option asks for it: src/js/accelerate.ts imports it by its
// address on the page, src/js/local.ts where the model runs. It shares nothing with other scripts, so that it is one file.
import type { Accelerated, Acceleration } from "./engine.js";
import type { Glue } from "./local.js";
import { Recorded, initSync } from "./generated/gpu/achado.js";
import { findAdapter, openDevice } from "./gpu/adapter.js";
import { difference, testElements, testPicture } from "./gpu/check.js";
import { Player } from "./gpu/player.js";
import type { Plan, Recording } from "./gpu/plan.js";

export { follow } from "./gpu/follow.js";

type Core = InstanceType<Glue["Core"]>;

/** How much faster the GPU has to be, results included, before "auto" takes it. */
const FASTER = 1.25;

/** Runs of which the median counts. */
const TIMED_RUNS = 5;

/** Inputs that are compared, each twice: some drivers have only the first run right. */
const SEEDS = [11, 2026];

/** A network on the GPU, beside the core that has it on the CPU. */
export interface Attached extends Accelerated {
  /** From the network's inputs to its outputs, in the core's memory; false where the GPU is lost. */
  run(): Promise<boolean>;
  /** Why the GPU is of no more use; resolves once. */
  readonly lost: Promise<string>;
  close(): void;
}

interface Placed {
  inputs: Uint8Array[];
  outputs: Uint8Array[];
}

/** Views of wasm's memory, which are stale as soon as that grows. */
function placesOf(core: Core, memory: WebAssembly.Memory): Placed {
  const places = core.networkPlaces();
  const view = (at: number) =>
    new Uint8Array(memory.buffer, places[at] as number, places[at + 1] as number);
  const inputs: Uint8Array[] = [];
  const outputs: Uint8Array[] = [];
  const count = places[0] as number;
  for (let at = 1; at < places.length; at += 2) {
    (inputs.length < count ? inputs : outputs).push(view(at));
  }
  return { inputs, outputs };
}

let isInstantiated = false;

function record(request: Acceleration, limits: GPUSupportedLimits): Recording {
  if (!isInstantiated) initSync({ module: request.module });
  isInstantiated = true;
  const { maxStorageBufferBindingSize, maxBufferSize } = limits;
  const recorded = new Recorded(request.model, maxStorageBufferBindingSize, maxBufferSize);
  try {
    const tail = recorded.tail();
    return {
      plan: JSON.parse(recorded.plan()) as Plan,
      weights: recorded.weights() as Uint8Array<ArrayBuffer>,
      params: recorded.params() as Uint8Array<ArrayBuffer>,
      tail: tail as Uint8Array<ArrayBuffer> | undefined,
    };
  } finally {
    recorded.free();
  }
}

/**
 * Brings a model to the GPU, if it computes there what it computes here, and in "auto" faster.
 *
 * @throws {Error} why it stays here, as wasm files throw it: nothing of the core is broken by it
 */
export async function attach(
  glue: Glue,
  core: Core,
  memory: WebAssembly.Memory,
  request: Acceleration,
): Promise<Attached> {
  try {
    return await attachTo(glue, core, memory, request);
  } catch (cause) {
    const { message = String(cause) } = cause as { message?: string };
    throw Object.assign(new Error(message), { code: "BACKEND_UNAVAILABLE", detail: {} });
  }
}

async function attachTo(
  glue: Glue,
  core: Core,
  memory: WebAssembly.Memory,
  request: Acceleration,
): Promise<Attached> {
  const found = await findAdapter();
  if (found.isSoftware && request.mode === "auto") {
    throw new Error(`the WebGPU adapter computes on the processor (${found.name})`);
  }
  const recording = record(request, found.adapter.limits);
  const { plan } = recording;
  const { wgslLanguageFeatures: features } = globalThis.navigator.gpu;
  if (plan.needsPackedDot && !features.has("packed_4x8_integer_dot_product")) {
    throw new Error("the browser's WebGPU has no packed_4x8_integer_dot_product");
  }
  checkSizes(plan, recording, placesOf(core, memory), core);
  const largest = Math.max(plan.arenaBytes, recording.weights.length, recording.params.length);
  const device = await openDevice(found, plan.largestBindingBytes, largest);
  let player: Player | undefined;
  let tail: Core | undefined;
  try {
    player = await Player.create(device, recording);
    if (recording.tail) {
      tail = new glue.Core(recording.tail, { task: "tensors", threads: 1 });
    }
    const network = new Network(core, memory, player, plan, tail);
    await compare(network);
    if (request.mode === "auto") await checkFaster(network, found.name);
    const { lost } = player;
    return { adapter: found.name, lost, run: network.run, close: network.close };
  } catch (error) {
    player?.close();
    device.destroy();
    tail?.free();
    throw error;
  }
}

function checkSizes(plan: Plan, { tail }: Recording, places: Placed, core: Core): void {
  if (places.inputs.length === 0) {
    throw new Error("the model's outputs are chosen from tensors within");
  }
  const sizes = (views: Uint8Array[]) => views.map(({ length }) => length).join(", ");
  const bytes = (spans: readonly (readonly [number, number])[]) =>
    spans.map(([, size]) => size).join(", ");
  const count = core.metadata().outputs.length;
  const results = plan.resultPlaces.map((place) => plan.outputs[place] as [number, number]);
  const same =
    sizes(places.inputs) === bytes(plan.inputs) &&
    (tail !== undefined || sizes(places.outputs.slice(0, count)) === bytes(results));
  if (!same) throw new Error("WebGPU takes models in the shapes of their file");
}

/** A network in both places. */
class Network {
  readonly #core: Core;
  readonly #memory: WebAssembly.Memory;
  readonly #player: Player;
  readonly #plan: Plan;
  readonly #tail: Core | undefined;
  /** Names and types of the outputs. */
  readonly outputs: { name: string; dtype: string }[];
  #isClosed = false;

  constructor(
    core: Core,
    memory: WebAssembly.Memory,
    player: Player,
    plan: Plan,
    tail: Core | undefined,
  ) {
    this.#core = core;
    this.#memory = memory;
    this.#player = player;
    this.#plan = plan;
    this.#tail = tail;
    this.outputs = core.metadata().outputs;
  }

  readonly run = async (): Promise<boolean> => {
    try {
      const results = await this.onGpu(placesOf(this.#core, this.#memory).inputs);
      if (this.#isClosed) return false;
      const { outputs } = placesOf(this.#core, this.#memory);
      results.forEach((result, index) => outputs[index]?.set(result));
      return true;
    } catch {
      return false;
    }
  };

  readonly close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#player.close();
    this.#tail?.free();
  };

  /** The outputs for some inputs, by the GPU and what is left to the CPU. */
  async onGpu(inputs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const results = await this.#player.run(inputs);
    const tail = this.#tail;
    if (!tail) return this.#plan.resultPlaces.map((place) => results[place] as Uint8Array);
    if (this.#isClosed) throw new Error("closed");
    const view = ([address = 0, length = 0]: Uint32Array) =>
      new Uint8Array(this.#memory.buffer, address, length);
    results.forEach((result, index) => view(tail.inputPlace(index)).set(result));
    tail.run();
    return this.outputs.map((_, index) => view(tail.outputPlace(index)).slice());
  }

  /** A picture, or other elements, as the network's inputs; those of the caller stay. */
  sample(seed: number): Uint8Array[] {
    const core = this.#core;
    const kept = placesOf(core, this.#memory).inputs.map((input) => input.slice());
    const { inputs, pictureInput } = core.metadata();
    if (pictureInput !== null) {
      const side = 96;
      const pixels = testPicture(side, seed);
      const address = core.frame(pixels.length);
      new Uint8Array(this.#memory.buffer, address, pixels.length).set(pixels);
      core.putPicture(side, side, {});
    }
    const views = placesOf(core, this.#memory).inputs;
    const made = views.map((view, index) => {
      if (index === pictureInput) return view.slice();
      return testElements(inputs[index]?.dtype ?? "", view.length, seed + index);
    });
    views.forEach((view, index) => view.set(kept[index] as Uint8Array));
    return made;
  }

  /** The outputs for some inputs, by the CPU; the caller's inputs stay. */
  onCpu(inputs: readonly Uint8Array[]): { outputs: Uint8Array[]; ms: number } {
    const before = placesOf(this.#core, this.#memory).inputs;
    const kept = before.map((input) => input.slice());
    before.forEach((view, index) => view.set(inputs[index] as Uint8Array));
    const start = performance.now();
    this.#core.runNetwork();
    const ms = performance.now() - start;
    const { inputs: views, outputs } = placesOf(this.#core, this.#memory);
    const copies = this.outputs.map((_, index) => (outputs[index] as Uint8Array).slice());
    views.forEach((view, index) => view.set(kept[index] as Uint8Array));
    return { outputs: copies, ms };
  }
}

/** @throws {Error} the first difference */
async function compare(network: Network): Promise<void> {
  const samples = SEEDS.map((seed) => network.sample(seed));
  const expected = samples.map((sample) => network.onCpu(sample).outputs);
  for (const round of [1, 2]) {
    for (const [index, sample] of samples.entries()) {
      const outputs = await network.onGpu(sample);
      for (const [at, { name, dtype }] of network.outputs.entries()) {
        const cpu = expected[index]?.[at] as Uint8Array;
        const found = difference(name, dtype, cpu, outputs[at] as Uint8Array);
        if (found !== undefined) {
          throw new Error(
            `the GPU computes other numbers: for test input ${index + 1}, run ${round}, ${found}`,
          );
        }
      }
    }
  }
}

const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1] as number;

/** @throws {Error} where the GPU does not pay */
async function checkFaster(network: Network, name: string): Promise<void> {
  const sample = network.sample(SEEDS[0] as number);
  const [cpu, gpu]: [number[], number[]] = [[], []];
  for (let i = 0; i < TIMED_RUNS; i++) {
    cpu.push(network.onCpu(sample).ms);
    const start = performance.now();
    await network.onGpu(sample);
    gpu.push(performance.now() - start);
  }
  const [gpuMs, cpuMs] = [median(gpu), median(cpu)];
  if (gpuMs * FASTER <= cpuMs) return;
  throw new Error(
    `the GPU (${name}) takes ${gpuMs.toFixed(1)} ms, the processor ${cpuMs.toFixed(1)} ms`,
  );
}
