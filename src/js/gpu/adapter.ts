// Which GPU there is, and whether it is one.

/** What is known of an adapter. */
export interface Found {
  readonly adapter: GPUAdapter;
  readonly name: string;
  /** Whether a processor does the work. */
  readonly isSoftware: boolean;
}

/** Names of adapters that compute on the processor. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render/i;

/**
 * The adapter of this place.
 *
 * @throws {Error} why there is none
 */
export async function findAdapter(): Promise<Found> {
  const { gpu } = globalThis.navigator ?? {};
  if (!gpu) throw new Error("this browser has no WebGPU here");
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("the browser gives no WebGPU adapter");
  // Browsers leave fields out.
  const info = (adapter.info ?? {}) as Partial<GPUAdapterInfo>;
  const { vendor = "", architecture = "", device = "", description = "" } = info;
  const words = [vendor, architecture, device, description].filter((word) => word !== "");
  const name = words.join(" ") || "unnamed adapter";
  const old = adapter as { isFallbackAdapter?: boolean };
  const isFallback = info.isFallbackAdapter ?? old.isFallbackAdapter ?? false;
  return { adapter, name, isSoftware: isFallback || SOFTWARE.test(name) };
}

/**
 * A device with the limits that a network needs.
 *
 * @throws {Error} why there is none
 */
export async function openDevice(
  { adapter }: Found,
  bindingBytes: number,
  bufferBytes: number,
): Promise<GPUDevice> {
  // Those that every device has; more are asked for only where they are needed.
  const [binding, buffer] = [128 * 2 ** 20, 256 * 2 ** 20];
  return adapter.requestDevice({
    requiredLimits: {
      maxStorageBufferBindingSize: Math.max(bindingBytes, binding),
      maxBufferSize: Math.max(bufferBytes, buffer),
    },
  });
}
