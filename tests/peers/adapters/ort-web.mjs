// onnxruntime-web, wasm execution provider.
const FOLDER = "/node_modules/onnxruntime-web/dist/";

export async function create(bytes, { threads }) {
  const ort = await import(FOLDER + "ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  return {
    async run(values) {
      const tensor = new ort.Tensor("float32", values, [1, 3, 224, 224]);
      return (await session.run({ [input]: tensor }))[output].data;
    },
  };
}
