// The page: languages, the text as it is typed, and what belongs to its translation.

import * as engine from "./engine.js";
import { FileTranslation, nextPart } from "./files.js";
import { Output } from "./output.js";
import { recall, store } from "./storage.js";
import { attentionShares, splitWords } from "./words.js";

const PAUSE = 250; // milliseconds without a key before a translation
const SLOW = 600; // milliseconds after which the page says what it waits for
const REMEMBERED = 5000; // translated lines
const AT_ONCE = 8; // lines of a request; the server answers such a request before long ones
const SHORT = 2000; // characters of such a request
const SLOWEST = 30; // seconds between retries
const AUTO = "auto";

const $ = (id) => document.getElementById(id);
const text = $("text");
const BLANK = { text: "", hypotheses: [], notes: [] };

let offer = null; // what the engine offers
let route = null; // of the translation that is shown
let results = []; // one for each line
let lines = []; // of the text that the results belong to
let cache = new Map();
let chosen = new Map(); // alternatives that were chosen, by line
let current = null; // the running translation
let timer = 0;
let failures = 0;
let selected = 0; // the line whose alternatives are shown

const output = new Output($("output"), showVisit);
const files = new FileTranslation();

// Languages

function fillSource() {
  const codes = [...new Set(offer.pairs.map((pair) => pair.source))];
  const options = codes.map((code) => new Option(offer.languages[code], code));
  if (codes.length > 1) options.unshift(new Option("Detect language", AUTO));
  if (offer.others.length) {
    const group = document.createElement("optgroup");
    group.label = codes.length ? "Other models" : "Models";
    group.append(...offer.others.map((model) => new Option(model.model, `model:${model.model}`)));
    options.push(group);
  }
  $("source").replaceChildren(...options);
  $("source").disabled = codes.length + offer.others.length < 2;
}

function fillTarget(wanted) {
  const source = $("source").value;
  const model = otherModel();
  let codes = [];
  if (!model) {
    const pairs = offer.pairs.filter((pair) => source === AUTO || pair.source === source);
    codes = [...new Set(pairs.map((pair) => pair.target))];
  }
  const options = codes.map((code) => new Option(offer.languages[code], code));
  const names = { "/v1/tag": "Tags", "/v1/classify": "Label", "/v1/generate": "Generated text" };
  if (model) {
    const name = names[model.path] ?? offer.languages[model.target] ?? model.target;
    options.push(new Option(name || "Output", model.target ?? ""));
  }
  $("target").replaceChildren(...options);
  if (codes.includes(wanted)) $("target").value = wanted;
  $("target").disabled = codes.length < 2;
  showSwap();
}

function otherModel() {
  const value = $("source").value;
  return offer.others.find(({ model }) => value === `model:${model}`);
}

function findPair(source, target) {
  return offer.pairs.find((pair) => pair.source === source && pair.target === target);
}

function showSwap() {
  const source = $("source").value === AUTO ? route?.source : $("source").value;
  $("swap").disabled = !source || !findPair($("target").value, source);
}

function changeLanguages(source, target) {
  if (source !== undefined) $("source").value = source;
  if (!$("source").value) $("source").selectedIndex = 0;
  fillTarget(target ?? $("target").value);
  showDetected(null);
  showInput();
  text.lang = [AUTO, ""].includes($("source").value) || otherModel() ? "" : $("source").value;
  store("languages", JSON.stringify([$("source").value, $("target").value]));
  update();
}

/** Say what to type, and show the field for features if a model reads them. */
function showInput() {
  const model = otherModel();
  let hint = "Type or paste text";
  if (model?.path === "/v1/generate") {
    if (model.task === "language-model") hint = "Type the beginning of a text";
    else if (!model.labels.length) hint = "Type numbers, such as 0.5 -1 2";
    else hint = `Type a label: ${model.labels.slice(0, 8).join(", ")}`;
    if (model.labels.length > 8) hint += ", …";
  }
  text.placeholder = hint;
  const [source, target] = [$("source").value, $("target").value];
  const pairs = offer.pairs.filter(
    (pair) => pair.target === target && [pair.source, AUTO].includes(source),
  );
  $("features-row").hidden = !(model ? [model] : pairs).some((one) => one.features);
}

/** Return a line with the features that the user has typed, unless it has its own after a tab. */
function withFeatures(line, way = route) {
  const features = way.features && $("features").value.trim();
  return features && line.trim() && !line.includes("\t") ? `${line}\t${features}` : line;
}

function showDetected(code) {
  const option = $("source").querySelector(`option[value=${AUTO}]`);
  if (option) option.text = code ? `Detected: ${offer.languages[code]}` : "Detect language";
}

function swap() {
  const source = $("source").value === AUTO ? route.source : $("source").value;
  const translated = copyText();
  if (translated.trim()) text.value = translated;
  showText();
  changeLanguages($("target").value, source);
  text.focus();
}

async function chooseRoute(sample, signal) {
  const model = otherModel();
  if (model) return model;
  const target = $("target").value;
  let source = $("source").value;
  if (source === AUTO) {
    const likely = await engine.detect(sample.slice(0, 2000), signal);
    source = likely.find((code) => findPair(code, target)) ?? target;
  }
  return findPair(source, target);
}

// Translation

function schedule(seconds) {
  clearTimeout(timer);
  timer = setTimeout(update, 1000 * seconds);
}

/** Translate the text. A translation that is still running is cancelled. */
async function update() {
  clearTimeout(timer);
  current?.abort();
  const run = (current = new AbortController());
  if (!offer) return;
  if (!text.value.trim()) {
    showMessage("");
    showDetected(null);
    show([], []);
    return;
  }
  const typed = text.value.split("\n");
  const slow = setTimeout(() => showLook("Translating…"), SLOW);
  try {
    const chosenRoute = await chooseRoute(text.value, run.signal);
    if (run !== current) return;
    route = chosenRoute;
    showDetected(route.source);
    showSwap();
    const recall = () => typed.map((line) => (line.trim() ? cache.get(cacheKey(line)) : BLANK));
    let found = recall();
    const missing = [...new Set(typed.filter((_, i) => !found[i]))];
    for (let start = 0; start < missing.length; ) {
      const part = nextPart(missing, start, Math.min(offer.limit, SHORT), AT_ONCE);
      const sent = part.map((line) => withFeatures(line));
      const translated = await engine.translate(sent, route, run.signal);
      if (run !== current) return;
      part.forEach((line, i) => remember(cacheKey(line), translated[i]));
      start += part.length;
      found = recall();
      if (start < missing.length) show(found, typed);
    }
    failures = 0;
    showMessage("");
    show(found, typed);
    announce();
  } catch (error) {
    if (run === current) fail(error);
  } finally {
    clearTimeout(slow);
    if (run === current && $("look").textContent === "Translating…") showLook();
  }
}

const cacheKey = (line) =>
  `${route.model ?? ""}\n${route.source}\n${route.target}\n${withFeatures(line)}`;

function remember(name, result) {
  cache.set(name, result);
  if (cache.size > REMEMBERED) cache.delete(cache.keys().next().value);
}

function fail(error) {
  if (!(error instanceof engine.Failure)) throw error;
  failures += 1;
  if (error.kind === "key") {
    showKeyForm(true);
    showMessage(error.message);
  } else if (error.wait) {
    const seconds = Math.min(SLOWEST, error.wait * 2 ** Math.min(failures - 1, 4));
    const reason = error.kind === "busy" ? `The server is busy (${error.message}).` : error.message;
    showMessage(`${reason} Your text stays here. The page tries again by itself.`);
    timer = setTimeout(offer ? update : start, 1000 * seconds);
  } else {
    showMessage(error.message);
  }
}

// What is shown

function show(found, typed) {
  [results, lines] = [found, typed];
  selected = Math.min(selected, Math.max(0, results.length - 1));
  output.render(
    results.map((result, i) => result && pick(i, result)),
    route?.target,
  );
  $("copy").hidden = !results.some((result) => result?.text);
  showNotes();
  showAlternatives();
}

/** Return the result of a line, or the alternative that was chosen for it. */
function pick(line, result) {
  const alternative = chosen.get(lineKey(line));
  return alternative === undefined || alternative === result.text
    ? result
    : { ...result, text: alternative, alignment: null };
}

const lineKey = (line) => cacheKey(lines[line] ?? "");

const copyText = () =>
  results.map((result, i) => (result ? pick(i, result).text : "")).join("\n");

function showText() {
  const { value } = text;
  $("mirror").textContent = value;
  $("clear").hidden = !value;
  const length = [...value].length;
  $("count").textContent = length ? length.toLocaleString("en") : "";
}

function showVisit(place) {
  $("mirror").textContent = text.value;
  showLook();
  if (!place) return;
  if (place.fixed && place.line !== selected) {
    selected = place.line;
    showAlternatives();
  }
  const result = results[place.line];
  if (!result || text.value !== lines.join("\n")) return;
  const words = splitWords(lines[place.line]);
  const shares = attentionShares(pick(place.line, result).alignment, place.word, words.length);
  if (!shares) return;
  const before = lines.slice(0, place.line).reduce((sum, line) => sum + line.length + 1, 0);
  markSource(before, words, shares);
  showSources(place.text, words, shares);
}

/** Shade the words of the source by their shares of attention. start: where their line begins. */
function markSource(start, words, shares) {
  const most = Math.max(...shares);
  const parts = [];
  let end = 0;
  words.forEach((word, i) => {
    if (shares[i] < 0.05) return;
    const mark = document.createElement("mark");
    mark.textContent = word.text;
    mark.style.setProperty("--share", (shares[i] / most) * Math.min(1, 0.4 + most));
    parts.push(text.value.slice(end, start + word.start), mark);
    end = start + word.end;
  });
  $("mirror").replaceChildren(...parts, text.value.slice(end));
}

function showLook(...parts) {
  $("look").replaceChildren(...parts);
}

function showSources(word, words, shares) {
  const best = words
    .map((one, i) => ({ name: trim(one.text), share: shares[i] }))
    .sort((a, b) => b.share - a.share)
    .filter(({ share }, i) => share >= 0.1 || !i)
    .slice(0, 3);
  const parts = best.flatMap(({ name, share }, i) => [
    i ? ", " : " looks at ",
    isolated(name),
    ` ${Math.round(100 * share)} %`,
  ]);
  const strong = document.createElement("b");
  strong.append(isolated(trim(word)));
  showLook(strong, ...parts);
}

/** Return a text whose direction does not change that of its neighbours. */
function isolated(content) {
  const element = document.createElement("bdi");
  element.textContent = content;
  return element;
}

/** Remove the punctuation around a word. */
const trim = (word) => word.replace(/^\p{P}+|\p{P}+$/gu, "") || word;

function showNotes() {
  const items = [];
  results.forEach((result, i) => {
    for (const note of result?.notes ?? []) {
      const item = document.createElement("li");
      if (results.length > 1) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = `Line ${i + 1}`;
        button.addEventListener("click", () => selectLine(i));
        item.append(button, ": ");
      }
      item.append(note.text);
      items.push(item);
    }
  });
  if (route?.pivot && results.length) {
    const item = document.createElement("li");
    item.textContent = `Two models translate one after the other, through ${offer.languages[route.pivot]}.`;
    items.unshift(item);
  }
  $("notes").hidden = !items.length;
  $("notes").querySelector("ul").replaceChildren(...items);
}

function selectLine(line) {
  const start = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + lines[line].length);
}

function showAlternatives() {
  const filled = results.filter((result) => result?.text).length;
  if (filled === 1) selected = results.findIndex((result) => result?.text);
  const result = results[selected];
  const seen = new Map((result?.hypotheses ?? []).map((one) => [one.text, one]));
  const items = [...seen.values()].map((one) => alternative(one, pick(selected, result).text));
  const section = $("alternatives");
  section.hidden = items.length < 2;
  section.querySelector("h2").textContent =
    (route?.path === "/v1/classify" ? "Labels" : "Alternatives") +
    (filled > 1 ? ` for line ${selected + 1}` : "");
  section.querySelector("ol").replaceChildren(...items);
}

function alternative(hypothesis, shown) {
  const item = document.createElement("li");
  if (hypothesis.share !== undefined) {
    item.className = "label";
    item.append(isolated(hypothesis.text), ` ${(100 * hypothesis.share).toFixed(1)} %`);
    return item;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.dir = "auto";
  button.lang = route.target ?? "";
  button.setAttribute("aria-pressed", hypothesis.text === shown);
  button.append(hypothesis.text);
  button.addEventListener("click", () => {
    chosen.set(lineKey(selected), hypothesis.text);
    const at = [...$("alternatives").querySelectorAll("button")].indexOf(button);
    show(results, lines);
    $("alternatives").querySelectorAll("button")[at]?.focus();
  });
  item.append(button);
  return item;
}

function showMessage(message) {
  if ($("message").textContent !== message) $("message").textContent = message;
  $("message").hidden = !message;
}

/** Tell screen readers the translation. */
function announce() {
  const translated = copyText();
  $("status").textContent =
    translated.length < 300 ? translated : `${results.length} lines are translated.`;
}

// Copy, key, theme

async function copy() {
  const value = copyText();
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    // Browsers offer no clipboard to pages from other machines without HTTPS.
    const area = document.createElement("textarea");
    area.value = value;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    $("copy").focus();
  }
  showLook("Copied.");
  setTimeout(() => {
    if ($("look").textContent === "Copied.") showLook();
  }, 2000);
}

function showKeyForm(shown) {
  $("key-form").hidden = !shown;
  $("key-button").hidden = false;
  $("key-button").setAttribute("aria-expanded", shown);
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  $("theme").setAttribute("aria-pressed", isDark());
}

// Start

function takeFile(file) {
  if (!file || !offer) return;
  let way;
  const translate = async (lines, signal) => {
    way ??= await chooseRoute(lines.join("\n"), signal);
    const filled = lines.filter((line) => line.trim());
    const sent = filled.map((line) => withFeatures(line, way));
    const translated = filled.length ? await engine.translate(sent, way, signal) : [];
    return lines.map((line) => (line.trim() ? translated.shift() : BLANK));
  };
  files.start(file, { translate, limit: offer.limit, ending: $("target").value || "out" });
}

function connect() {
  text.addEventListener("input", () => {
    showText();
    current?.abort();
    current = null;
    if (results.length) output.age();
    schedule(text.value.trim() ? PAUSE / 1000 : 0);
  });
  $("features").addEventListener("input", () => schedule(PAUSE / 1000));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) update();
  });
  $("source").addEventListener("change", () => changeLanguages());
  $("target").addEventListener("change", () => changeLanguages());
  $("swap").addEventListener("click", swap);
  $("copy").addEventListener("click", copy);
  $("clear").addEventListener("click", () => {
    text.value = "";
    showText();
    update();
    text.focus();
  });
  $("upload").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    takeFile($("file").files[0]);
    $("file").value = "";
  });
  $("key-button").addEventListener("click", () => {
    showKeyForm($("key-form").hidden);
    if (!$("key-form").hidden) $("key").focus();
  });
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    store("key", $("key").value.trim());
    showKeyForm(false);
    showMessage("");
    update();
    text.focus();
  });
  $("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    setTheme(theme);
    store("theme", theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());
  window.addEventListener("online", () => (offer ? update() : start()));
  connectDrop($("source-pane"));
}

function connectDrop(pane) {
  const holdsFile = (event) => [...event.dataTransfer.types].includes("Files");
  pane.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    pane.classList.add("dragged");
  });
  pane.addEventListener("dragleave", () => pane.classList.remove("dragged"));
  pane.addEventListener("drop", (event) => {
    pane.classList.remove("dragged");
    if (!holdsFile(event)) return;
    event.preventDefault();
    takeFile(event.dataTransfer.files[0]);
  });
}

async function start() {
  clearTimeout(timer);
  const slow = setTimeout(() => showLook("Loading…"), SLOW);
  try {
    offer = await engine.load();
  } catch (error) {
    fail(error);
    return;
  } finally {
    clearTimeout(slow);
    showLook();
  }
  failures = 0;
  showMessage("");
  if (!offer.pairs.length && !offer.others.length) {
    showMessage("This page cannot use any model of this server, but other programs can.");
    return;
  }
  if (offer.needsKey) showKeyForm(!recall("key"));
  fillSource();
  const [source, target] = JSON.parse(recall("languages") || "[]");
  changeLanguages(source ?? $("source").querySelector("option:not([value=auto])").value, target);
}

$("place").textContent = engine.place.text;
$("docs").hidden = !engine.place.docs;
setTheme(recall("theme"));
connect();
showText();
if (matchMedia("(pointer: fine)").matches) text.focus();
start();
