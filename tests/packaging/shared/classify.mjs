// What a user of Node writes.
import { createClassifier } from "achado";
import { picture } from "./picture.js";

const classifier = await createClassifier({ maxResults: 5 });
const result = await classifier.classify(picture());
await classifier.close();
console.log(JSON.stringify(result.classifications[0].categories));
