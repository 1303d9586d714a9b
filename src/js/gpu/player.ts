// Plays a recording on a device: what a run needs is made once, but for its command buffers.
import type { Plan, Recording, Span } from "./plan.js";

/** Some drivers fail with more in one command buffer: Adreno 730, some of Intel's. */
const MOST_DISPATCHES = 64;

/** Results on their way back at the same time. */
const STAGING_BUFFERS = 3;

/** Flags by number: their names are not in every worker's scope. */
const USAGE = { mapRead: 1, copySrc: 4, copyDst: 8, uniform: 64, storage: 128 };
const COMPUTE = 4;
const READ = 1;

const KINDS = { p: "uniform", w: "read-only-storage", a: "storage" } as const;

interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly groups: readonly [number, number, number];
}

const padded = (bytes: number) => (bytes + 3) & ~3;

/** A network on a device. */
export class Player {
  readonly #device: GPUDevice;
  readonly #plan: Plan;
  readonly #arena: GPUBuffer;
  readonly #buffers: GPUBuffer[];
  readonly #steps: Step[];
  /** Those that nobody waits for. */
  readonly #staging: GPUBuffer[] = [];
  /** Where each output begins in a staging buffer. */
  readonly #offsets: number[] = [];
  /** Command buffers handed over and results mapped: what a run costs beside its dispatches. */
  readonly counts = { runs: 0, commandBuffers: 0 };
  #failure: Error | undefined;
  /** Why the device is of no more use; resolves once. */
  readonly lost: Promise<string>;

  private constructor(device: GPUDevice, plan: Plan, buffers: GPUBuffer[], steps: Step[]) {
    this.#device = device;
    this.#plan = plan;
    this.#buffers = buffers;
    this.#arena = buffers[0] as GPUBuffer;
    this.#steps = steps;
    let size = 0;
    for (const [, bytes] of plan.outputs) {
      this.#offsets.push(size);
      size += padded(bytes);
    }
    for (let i = 0; i < STAGING_BUFFERS; i++) {
      const staging = device.createBuffer({ size, usage: USAGE.mapRead | USAGE.copyDst });
      this.#staging.push(staging);
      buffers.push(staging);
    }
    const errors = new Promise<string>((resolve) => {
      device.addEventListener("uncapturederror", ({ error }) => resolve(error.message));
    });
    const lost = device.lost.then(({ reason, message }) => `${reason}: ${message}`);
    this.lost = Promise.race([lost, errors]).then((reason) => {
      this.#failure ??= new Error(reason);
      return reason;
    });
  }

  /**
   * Makes pipelines, all at once, and buffers.
   *
   * @throws {Error} what the device says about them
   */
  static async create(device: GPUDevice, recording: Recording): Promise<Player> {
    const { plan, weights, params } = recording;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("internal");
    const layouts = new Map<string, GPUBindGroupLayout>();
    const layoutOf = (kinds: string) => {
      let layout = layouts.get(kinds);
      if (!layout) {
        const entries = [...kinds].map((kind, binding) => ({
          binding,
          visibility: COMPUTE,
          buffer: { type: KINDS[kind as keyof typeof KINDS] },
        }));
        layout = device.createBindGroupLayout({ entries });
        layouts.set(kinds, layout);
      }
      return layout;
    };
    const modules = plan.shaders.map((code) => device.createShaderModule({ code }));
    const making = plan.pipelines.map(([shader, kinds]) =>
      device.createComputePipelineAsync({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layoutOf(kinds)] }),
        compute: { module: modules[shader] as GPUShaderModule, entryPoint: "main" },
      }),
    );
    const { copySrc, copyDst, uniform, storage } = USAGE;
    const filled = (bytes: Uint8Array<ArrayBuffer>, usage: number) => {
      const buffer = device.createBuffer({ size: Math.max(padded(bytes.length), 16), usage });
      device.queue.writeBuffer(buffer, 0, bytes);
      return buffer;
    };
    const arena = device.createBuffer({
      size: Math.max(plan.arenaBytes, 16),
      usage: storage | copySrc | copyDst,
    });
    const buffers = {
      a: arena,
      w: filled(weights, storage | copyDst),
      p: filled(params, uniform | copyDst),
    };
    let failed: unknown;
    const pipelines = await Promise.all(making).catch((error: unknown) => {
      failed = error;
      return [];
    });
    const steps: Step[] = [];
    if (failed === undefined) {
      for (const [pipeline, groups, bindings] of plan.dispatches) {
        const [, kinds] = plan.pipelines[pipeline] as Plan["pipelines"][number];
        const entries = bindings.map(([offset, size], binding) => ({
          binding,
          resource: { buffer: buffers[kinds[binding] as keyof typeof buffers], offset, size },
        }));
        steps.push({
          pipeline: pipelines[pipeline] as GPUComputePipeline,
          bindings: device.createBindGroup({ layout: layoutOf(kinds), entries }),
          groups,
        });
      }
    }
    const player = new Player(device, plan, [arena, buffers.w, buffers.p], steps);
    for (let i = 0; i < 3; i++) {
      const error = await device.popErrorScope();
      failed ??= error?.message;
    }
    if (failed !== undefined) {
      player.close();
      throw new Error(String((failed as Partial<Error>).message ?? failed));
    }
    return player;
  }

  /**
   * The outputs for these inputs, as bytes.
   *
   * @throws {Error} where the device is lost meanwhile
   */
  async run(inputs: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>[]> {
    if (this.#failure) throw this.#failure;
    const device = this.#device;
    this.#plan.inputs.forEach(([offset], index) => {
      this.#write(offset, inputs[index] as Uint8Array);
    });
    const staging = this.#staging.pop();
    if (!staging) throw new Error("more runs than staging buffers");
    try {
      const commands: GPUCommandBuffer[] = [];
      // Once without steps: an input may be an output.
      for (let first = 0; first === 0 || first < this.#steps.length; first += MOST_DISPATCHES) {
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        for (const { pipeline, bindings, groups } of this.#steps.slice(
          first,
          first + MOST_DISPATCHES,
        )) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, bindings);
          pass.dispatchWorkgroups(...groups);
        }
        pass.end();
        if (first + MOST_DISPATCHES >= this.#steps.length) {
          this.#plan.outputs.forEach(([offset, bytes], index) => {
            const to = this.#offsets[index] as number;
            encoder.copyBufferToBuffer(this.#arena, offset, staging, to, padded(bytes));
          });
        }
        commands.push(encoder.finish());
      }
      device.queue.submit(commands);
      this.counts.runs++;
      this.counts.commandBuffers += commands.length;
      await this.#mapped(staging);
      const range = staging.getMappedRange();
      const copy = ([, bytes]: Span, index: number) => {
        const from = this.#offsets[index] as number;
        return new Uint8Array(range.slice(from, from + bytes));
      };
      const outputs = this.#plan.outputs.map(copy);
      staging.unmap();
      // Errors of this run have been reported by now: nothing of it is to be trusted.
      if (this.#failure) throw this.#failure;
      return outputs;
    } finally {
      this.#staging.push(staging);
    }
  }

  /** Frees the device's memory. */
  close(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#device.destroy();
  }

  #write(offset: number, bytes: Uint8Array): void {
    const { queue } = this.#device;
    const whole = bytes.length & ~3;
    const source = bytes as Uint8Array<ArrayBuffer>;
    if (whole > 0) queue.writeBuffer(this.#arena, offset, source, 0, whole);
    if (whole < bytes.length) {
      const rest = new Uint8Array(4);
      rest.set(bytes.subarray(whole));
      queue.writeBuffer(this.#arena, offset + whole, rest);
    }
  }

  async #mapped(staging: GPUBuffer): Promise<void> {
    // Firefox looks for finished work every 100 ms, unless there is a call.
    const isFirefox = globalThis.navigator.userAgent.includes("Firefox");
    const timer = isFirefox ? setInterval(() => this.#device.queue.submit([]), 1) : undefined;
    try {
      await staging.mapAsync(READ);
    } finally {
      clearInterval(timer);
    }
  }
}
