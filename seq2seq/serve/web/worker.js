// Runs the model beside the page, so that the page stays responsive.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { Model } from "./model.js";

ort.env.wasm.numThreads = 1; // more would need headers that not every web server sends
ort.env.wasm.wasmPaths = {
  wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href,
};

async function read(name) {
  const response = await fetch(new URL(`model/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`model/${name}: the web server answers ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const opened = Model.open(ort, read);

self.addEventListener("message", async ({ data: { number, line } }) => {
  try {
    const model = await opened;
    const result = line === undefined ? model.settings : await model.translate(line);
    self.postMessage({ number, result });
  } catch (error) {
    self.postMessage({ number, error: error.message });
  }
});
