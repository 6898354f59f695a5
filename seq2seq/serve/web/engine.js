// The engine of the page without a server: a model in a worker.

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let count = 0;

export const place = { text: "The text is translated in this browser and never leaves it.", docs: false };

/** Why a translation failed. kind: "refused", as for a server. wait: 0, because no retry helps. */
export class Failure extends Error {
  constructor(message) {
    super(message);
    this.kind = "refused";
    this.wait = 0;
  }
}

worker.addEventListener("message", ({ data: { number, result, error } }) => {
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  if (error) reject(new Failure(error));
  else resolve(result);
});
worker.addEventListener("error", () => {
  for (const { reject } of waiting.values()) reject(new Failure("The model cannot be loaded."));
  waiting.clear();
});

function ask(line) {
  count += 1;
  const number = count;
  return new Promise((resolve, reject) => {
    waiting.set(number, { resolve, reject });
    worker.postMessage({ number, line });
  });
}

/** Return what the model offers, as the engine of a server does. */
export async function load() {
  const { name, languages, names, attends } = await ask();
  const { source, target } = languages;
  const isPair = Boolean(source && target);
  return {
    languages: names,
    pairs: isPair ? [{ source, target, models: [name], pivot: null, attends }] : [],
    others: isPair ? [] : [{ model: name, source, target, path: "/v1/translate", attends }],
    limit: Infinity,
    needsKey: false,
  };
}

/** Return the only language that the model reads. */
export async function detect() {
  return [(await ask()).languages.source];
}

/** Translate lines one after the other. An aborted signal ends the work after a line. */
export async function translate(lines, route, signal) {
  const results = [];
  for (const line of lines) {
    results.push(await ask(line));
    signal.throwIfAborted();
  }
  return results;
}
