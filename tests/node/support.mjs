// What the tests of the package in Node share.
import assert from "node:assert/strict";
import { AchadoError } from "../../pkg/dist/node.js";

/** Asserts that a promise rejects with an AchadoError of a code, and gives the error. */
export async function refused(promise, code, words) {
  const error = await promise.then(
    () => assert.fail(`${code} was expected`),
    (error) => error,
  );
  assert.ok(error instanceof AchadoError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  assert.doesNotMatch(error.message, /unreachable|\[object/);
  return error;
}

/** Opens a model that is closed when the test is over. */
export async function open(t, create, options) {
  const opened = await create(options);
  t.after(() => opened.close());
  return opened;
}
