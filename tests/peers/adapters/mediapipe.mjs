// MediaPipe's ImageClassifier on the CPU. It takes pictures, like achado; its way from pixels to
// tensor goes through WebGL.
const FOLDER = "/node_modules/@mediapipe/tasks-vision/";

export async function create(modelAssetBuffer, { artifact }) {
  const { FilesetResolver, ImageClassifier } = await import(FOLDER + "vision_bundle.mjs");
  const files = await FilesetResolver.forVisionTasks(FOLDER + "wasm");
  const classifier = await ImageClassifier.createFromOptions(files, {
    baseOptions: { modelAssetBuffer, delegate: "CPU" },
    runningMode: "IMAGE",
    maxResults: 5,
  });
  const scores = new Float32Array(artifact.classes);
  return {
    run(image) {
      const { classifications } = classifier.classify(image);
      scores.fill(NaN);
      for (const { index, score } of classifications[0].categories) scores[index] = score;
      return scores;
    },
  };
}
