// A recorded network, as crates/gpu writes it: see recording.rs there.

/** `[offset, bytes]` */
export type Span = readonly [offset: number, bytes: number];

/** The JSON of a recording. */
export interface Plan {
  /** WGSL. */
  readonly shaders: readonly string[];
  /** The place among the shaders, and by binding `p` for parameters, `w` weights, `a` the arena. */
  readonly pipelines: readonly (readonly [shader: number, layout: string])[];
  readonly dispatches: readonly (readonly [
    pipeline: number,
    groups: readonly [number, number, number],
    bindings: readonly Span[],
    operator: string,
    name: string,
  ])[];
  readonly arenaBytes: number;
  readonly largestBindingBytes: number;
  readonly needsPackedDot: 0 | 1;
  /** By output of the model, where there is no tail: the place among the outputs. */
  readonly resultPlaces: readonly number[];
  /** In the arena. */
  readonly inputs: readonly Span[];
  readonly outputs: readonly Span[];
}

/** A recording with its blobs. */
export interface Recording {
  readonly plan: Plan;
  readonly weights: Uint8Array<ArrayBuffer>;
  readonly params: Uint8Array<ArrayBuffer>;
  /** A .tflite file of what the CPU computes then. */
  readonly tail: Uint8Array<ArrayBuffer> | undefined;
}
