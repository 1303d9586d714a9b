// The shell below the API: what its panic hook throws.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const generated = new URL("../../src/js/generated/simd128/", import.meta.url);
const { Core, initSync } = await import(new URL("achado.js", generated));

test("a panic comes out as a code and a sentence, not as the trap that ends it", async () => {
  const bytes = await readFile(new URL("achado_bg.wasm", generated));
  initSync({ module: await WebAssembly.compile(bytes) });
  const model = new URL("../../models/efficientnet-lite0-int8.tflite", import.meta.url);
  const core = new Core(await readFile(model), {});
  // The API refuses so many runs; the room for their times exceeds the address space.
  assert.throws(
    () => core.profile(0xffff_ffff),
    ({ code, message, detail, crashed }) => {
      assert.equal(code, "OUT_OF_MEMORY");
      assert.match(message, /no room/);
      assert.equal(detail.panic, "capacity overflow");
      assert.equal(crashed, true);
      return true;
    },
  );
});
