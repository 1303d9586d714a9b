// achado as it is published, through its public API. It takes pictures, so preparing the pixels and
// naming the best five are in its time; `inferenceMs` is the network alone.

const optionsOf = ({ artifact, build, threads }) => ({
  maxResults: 5,
  ...(artifact.preprocess && { preprocess: artifact.preprocess }),
  ...(build && { wasm: `/achado/dist/${build}.wasm` }),
  threads,
});

export async function create(model, options) {
  const { createClassifier } = await import("/achado/dist/index.js");
  const classifier = await createClassifier({
    model,
    worker: false,
    ...optionsOf(options),
  });
  if (classifier.runtime.threads !== options.threads) {
    throw new Error(`achado runs ${classifier.runtime.threads} threads, not ${options.threads}`);
  }
  const scores = new Float32Array(options.artifact.classes);
  let inference = 0;
  return {
    info: () => ({ runtime: classifier.runtime }),
    inferenceMs: () => inference,
    async run(image) {
      const result = await classifier.classify(image);
      inference = result.timings.inference;
      scores.fill(NaN);
      for (const { index, score } of result.classifications[0].categories) scores[index] = score;
      return scores;
    },
  };
}

export async function start(model, image, options) {
  const { createClassifier } = await import("/achado/dist/index.js");
  const importedAt = performance.now();
  const classifier = await createClassifier({
    model,
    warmup: false,
    ...optionsOf(options),
  });
  const { top } = await classifier.classify(image);
  return { label: top.index, importedAt };
}
