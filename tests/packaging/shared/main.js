// What a user of a bundler writes.
import { createClassifier } from "achado";
import { picture } from "./picture.js";

async function main() {
  const classifier = await createClassifier({ maxResults: 5 });
  const { data, width, height } = picture();
  const result = await classifier.classify(new ImageData(data, width, height));
  const { worker, fallbacks } = classifier.runtime;
  const answer = { categories: result.classifications[0].categories, worker, fallbacks };
  await classifier.close();
  return answer;
}

main().then(
  (answer) => {
    globalThis.answer = answer;
  },
  (error) => {
    globalThis.answer = { error: `${error.code} ${error.message}` };
  },
);
