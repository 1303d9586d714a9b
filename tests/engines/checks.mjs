// What is asked of every engine, in a page or in Node: answers as plain values, to be compared.

/** A picture of two colors, which every engine has the same pixels of. */
function stripes(seed, width = 40, height = 30) {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < data.length; i++)
    data[i] = i % 4 === 3 ? 255 : (i * seed * 7 + (i >> 5)) % 256;
  return { data, width, height };
}

const scoresOf = ({ classifications: [{ categories }] }) => {
  const scores = [];
  for (const { index, score } of categories) scores[index] = score;
  return scores;
};

/**
 * @param {typeof import("../../pkg/dist/index.js")} achado
 * @param {(name: string) => Promise<Uint8Array>} load Gives a file of tests/fixtures.
 */
export async function checks(achado, load) {
  const { createClassifier, AchadoError } = achado;
  const answers = {};
  const picture = stripes(3);
  for (const worker of [true, false]) {
    const classifier = await createClassifier({ worker });
    answers[worker ? "worker" : "here"] = {
      runtime: [classifier.runtime.backend, classifier.runtime.worker],
      stripes: scoresOf(await classifier.classify(picture)),
      file: scoresOf(await classifier.classify(new Blob([await load("default_model/cat.png")]))),
      embedding: [...(await classifier.embed(picture))],
      mirrored: scoresOf(await classifier.classify(picture, { mirror: true, rotationDegrees: 90 })),
    };
    await classifier.close();
  }
  const onnx = await createClassifier({
    model: await load("onnx/colours.quantized.onnx"),
    preprocess: "unit",
  });
  answers.onnx = scoresOf(await onnx.classify(stripes(5)));
  await onnx.close();
  const threaded = await createClassifier({ threads: 2 });
  answers.threads = [threaded.runtime.threads, scoresOf(await threaded.classify(picture))];
  await threaded.close();
  const wrong = await createClassifier({ model: new Uint8Array(64) }).catch((error) => error);
  answers.refused = [wrong instanceof AchadoError, wrong.code];
  return answers;
}

/**
 * Trains two classes and asks for a third picture of one of them.
 *
 * @param {typeof import("../../pkg/dist/maker.js")} maker
 */
export async function training({ createTrainer, ImageDataset }, { createClassifier }) {
  const solid = (label, at) => {
    const data = new Uint8ClampedArray(16 * 16 * 4).fill(20 + at);
    for (let i = 0; i < data.length; i += 4) data[i + (label === "red" ? 0 : 2)] = 230 - at;
    for (let i = 3; i < data.length; i += 4) data[i] = 255;
    return { data, width: 16, height: 16 };
  };
  const files = [];
  for (const label of ["red", "blue"]) {
    for (let at = 0; at < 4; at++) files.push({ image: solid(label, 9 * at), label });
  }
  const trainer = await createTrainer();
  const trained = await trainer.train(ImageDataset.fromFiles(files), { seed: 1 });
  const model = await trained.exportModel();
  await trainer.close();
  const classifier = await createClassifier({ model, worker: false });
  const { top } = await classifier.classify(solid("blue", 5));
  await classifier.close();
  return top.categoryName;
}
