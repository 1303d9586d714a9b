// Runs the checks in a page; the answers are in the document's title's place, `globalThis.answers`.
import * as achado from "/dist/index.js";
import * as maker from "/dist/maker.js";
import { checks, training } from "/engines/checks.mjs";

async function load(name) {
  return new Uint8Array(await (await fetch(`/fixtures/${name}`)).arrayBuffer());
}

try {
  const answers = await checks(achado, load);
  answers.trained = await training(maker, achado);
  answers.isolated = globalThis.crossOriginIsolated === true;
  globalThis.answers = JSON.stringify(answers);
} catch (error) {
  globalThis.answers = JSON.stringify({ error: `${error.code ?? error.name}: ${error.message}` });
}
