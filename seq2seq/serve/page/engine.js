// The server's interface. Another engine with the same functions can take its place.

import { recall } from "./storage.js";

const RETRY = 3; // seconds

const SAMPLES = 3; // continuations of a language model
const LONGEST = 80; // tokens of a generated text

let needsKey = false;

/** What the page says about where texts go, and whether there is a documentation at docs. */
export const place = { text: "Text stays between this browser and this server.", docs: true };

/** Why a request failed. kind: "offline", "busy", "key" or "refused". wait: seconds until a retry. */
export class Failure extends Error {
  constructor(kind, message, wait = 0) {
    super(message);
    this.kind = kind;
    this.wait = wait;
  }
}

async function call(path, { body, signal } = {}) {
  const headers = {};
  if (recall("key")) headers.Authorization = `Bearer ${recall("key")}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal,
    });
    answer = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (response && !response.ok) throw failure(response, `The server answers ${response.status}.`);
    throw new Failure("offline", "The server cannot be reached.", RETRY);
  }
  if (!response.ok) throw failure(response, answer.error);
  return answer;
}

function failure(response, message) {
  const wait = Number(response.headers.get("Retry-After")) || RETRY;
  const lacksKey = response.status === 400 && needsKey && !recall("key");
  if (response.status === 403 || lacksKey) return new Failure("key", message);
  if (response.status === 429 || response.status >= 502) return new Failure("busy", message, wait);
  return new Failure("refused", message);
}

/**
 * Return what the server offers.
 * languages: { code: name }. pairs: [{ source, target, models }]. others: the models that no pair
 * of languages uses, as { model, path, task, labels, source, target }. limit: characters in a
 * request, or Infinity.
 * Each pair and each other model also has `attends` (whether there are attention weights), `splits`
 * (whether lines can be split into sentences), and `features` (whether lines have features).
 */
export async function load() {
  const [{ models, pairs }, listed, settings] = await Promise.all([
    call("v1/models"),
    call("languages"),
    call("frontend/settings"),
  ]);
  needsKey = settings.keyRequired;
  const chosen = new Set(pairs.flatMap((pair) => pair.models));
  const known = new Map(models.map((model) => [model.name, model]));
  const describe = (names) => {
    const used = names.map((name) => known.get(name));
    return {
      attends: used.length === 1 && used[0].attention,
      splits: used.every((model) => model.splits_sentences),
      features: used[0].features !== null,
    };
  };
  const paths = ["/v1/translate", "/v1/tag", "/v1/classify", "/v1/generate"];
  const others = models
    .map(({ name, task, labels, source, target, paths: own }) => {
      const path = paths.find((one) => own.includes(one));
      return { model: name, path, task, labels, source, target, ...describe([name]) };
    })
    .filter(({ model, path }) => path && !chosen.has(model));
  return {
    languages: Object.fromEntries(listed.map(({ code, name }) => [code, name])),
    pairs: pairs.map((pair) => ({ ...pair, ...describe(pair.models) })),
    others,
    limit: settings.charLimit > 0 ? settings.charLimit : Infinity,
    needsKey,
  };
}

/** Return the codes of the languages that a text may be in, the most likely one first. */
export async function detect(text, signal) {
  const found = await call("detect", { body: { q: text }, signal });
  return found.map(({ language }) => language);
}

/**
 * Return an object for each line: { text, hypotheses, alignment, notes }, and for a tagger also
 * `tags`, which holds a word and a label each.
 * route: a pair of languages or another model, as `load` returns them.
 */
export async function translate(lines, route, signal) {
  const path = route.path ?? "/v1/translate";
  const body = { texts: lines };
  if (path === "/v1/generate") {
    const found = [];
    for (const line of lines) found.push(await generate(line, route, signal));
    return found;
  }
  if (path !== "/v1/translate") {
    Object.assign(body, { model: route.model, probabilities: path === "/v1/classify" });
    const { texts } = await call(path.slice(1), { body, signal });
    return texts.map(path === "/v1/tag" ? readTags : readLabel);
  }
  Object.assign(body, { n_best: 4, alignments: route.attends });
  if (route.model) body.model = route.model;
  else Object.assign(body, { source: route.source, target: route.target });
  if (!route.model) body.split_sentences = route.splits;
  return (await call(path.slice(1), { body, signal })).translations;
}

/** Continue a line with a language model, or write texts for the label or the numbers in it. */
async function generate(line, { model, task, labels }, signal) {
  const body = { model, max_length: LONGEST };
  const send = (more) => call("v1/generate", { body: { ...body, ...more }, signal });
  const isContinued = task === "language-model";
  let answers;
  if (isContinued) {
    const seeds = Array.from({ length: SAMPLES }, (_, i) => i + 1);
    answers = await Promise.all(seeds.map((seed) => send({ prompt: line, seed })));
  } else {
    answers = [await send({ given: labels.length ? line.trim() : readNumbers(line), number: 4 })];
  }
  const found = answers.flatMap(({ texts }) => texts.map(({ text }) => text));
  const hypotheses = found.map((text) => ({ text: isContinued ? line + text : text }));
  return { text: hypotheses[0].text, hypotheses, notes: [] };
}

function readNumbers(line) {
  const numbers = line.trim().split(/[\s,;]+/).map(Number);
  if (numbers.every(Number.isFinite)) return numbers;
  throw new Failure("refused", "Type only numbers in each line, with spaces between them.");
}

function readTags({ words, tags, notes }) {
  return {
    text: tags.map((tag) => tag.label).join(" "),
    tags: words.map((word, i) => ({ word, label: tags[i]?.label ?? "" })),
    hypotheses: [],
    notes,
  };
}

function readLabel({ label, notes }) {
  const shares = Object.entries(label?.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  return {
    text: label?.label ?? "",
    hypotheses: shares.slice(0, 6).map(([text, share]) => ({ text, share })),
    notes,
  };
}
