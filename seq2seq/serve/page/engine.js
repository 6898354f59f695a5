// The server's interface. Another engine with the same functions can take its place.

import { recall } from "./storage.js";

const RETRY = 3; // seconds

let splits = true; // lines into sentences, until the server says that it cannot
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
 * languages: { code: name }. pairs: [{ source, target, models }]. others: the routes of models
 * that no pair of languages uses, as { model, path, source, target, attends }. limit: characters in a request, or Infinity.
 */
export async function load() {
  const [{ models, pairs }, listed, settings] = await Promise.all([
    call("v1/models"),
    call("languages"),
    call("frontend/settings"),
  ]);
  needsKey = settings.keyRequired;
  const chosen = new Set(pairs.flatMap((pair) => pair.models));
  const paths = ["/v1/translate", "/v1/tag", "/v1/classify"];
  const others = models
    .map(({ name, source, target, attention, paths: own }) => {
      const path = paths.find((one) => own.includes(one));
      return { model: name, source, target, path, attends: attention && path === paths[0] };
    })
    .filter(({ model, path }) => path && !chosen.has(model));
  const attends = new Set(models.filter((model) => model.attention).map((model) => model.name));
  return {
    languages: Object.fromEntries(listed.map(({ code, name }) => [code, name])),
    pairs: pairs.map((pair) => ({
      ...pair,
      attends: pair.models.length === 1 && attends.has(pair.models[0]),
    })),
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
  if (path !== "/v1/translate") {
    Object.assign(body, { model: route.model, probabilities: path === "/v1/classify" });
    const { texts } = await call(path.slice(1), { body, signal });
    return texts.map(path === "/v1/tag" ? readTags : readLabel);
  }
  Object.assign(body, { n_best: 4, alignments: route.attends });
  if (route.model) body.model = route.model;
  else Object.assign(body, { source: route.source, target: route.target, split_sentences: splits });
  try {
    return (await call(path.slice(1), { body, signal })).translations;
  } catch (error) {
    if (!body.split_sentences || !/sentencex/.test(error.message)) throw error;
    splits = false;
    return translate(lines, route, signal);
  }
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
