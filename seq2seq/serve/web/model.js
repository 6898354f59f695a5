// An export: its graphs in ONNX Runtime, its tokenizers, and the translation of one line.

import { beamSearch } from "./beam.js";
import { Tokenizer } from "./tokenizer.js";
import { Normalizer, Vocabulary } from "./vocabulary.js";

const BEST = 4; // translations of a line
const BLANK = "⁇"; // what a translation without text is written as
const ENDS = /[.!?…。！？]$/;

export class Model {
  /**
   * Open an export.
   * ort: the module onnxruntime-web.
   * read: a function (name) that resolves to the bytes of a file of the folder.
   */
  static async open(ort, read) {
    const model = new Model();
    const json = async (name) => JSON.parse(new TextDecoder().decode(await read(name)));
    const settings = await json("web.json");
    const manifest = await json("export.json");
    const graphs = await Promise.all(
      ["prepare", "encode", "step"].map(async (name) =>
        ort.InferenceSession.create(await read(`${name}.onnx`)),
      ),
    );
    const nfkc = settings.normalizer && Normalizer.ofModel(await read(settings.normalizer));
    const files = [...new Set(Object.values(settings.tokenizers))];
    const vocabularies = Object.fromEntries(
      await Promise.all(files.map(async (name) => [name, new Vocabulary(await read(name))])),
    );
    const side = (name) =>
      new Tokenizer(vocabularies[settings.tokenizers[name]], settings.rules[name], nfkc);
    Object.assign(model, { ort, settings, manifest });
    [model.prepare, model.encode, model.step] = graphs;
    [model.source, model.target] = [side("source"), side("target")];
    const { source, target } = manifest.vocabulary;
    const all = Array.from({ length: Math.max(source, target) }, (_, id) => id);
    model.tables = await model.prepare.run({ ids: model.#integers(all, [all.length]) });
    return model;
  }

  #integers(values, shape) {
    return new this.ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }

  /**
   * Return the inputs of a graph that depend on tokens. A graph only looks up rows of its tables, so
   * tables of the rows that these tokens need do as well, and take much less time to pass.
   */
  #inputs(session, tokens, shape) {
    const ids = [...new Set(tokens)];
    const places = new Map(ids.map((id, place) => [id, place]));
    const names = session.inputNames.filter((name) => name.startsWith("table."));
    const tables = names.map((name) => [name, this.#rows(this.tables[name], ids)]);
    const numbers = tokens.map((id) => places.get(id));
    return { tokens: this.#integers(numbers, shape), ...Object.fromEntries(tables) };
  }

  /** Return the rows of a tensor with the numbers `chosen`. */
  #rows({ data, dims }, chosen) {
    const size = dims[1];
    const values = new Float32Array(chosen.length * size);
    chosen.forEach((row, i) => values.set(data.subarray(row * size, (row + 1) * size), i * size));
    return new this.ort.Tensor("float32", values, [chosen.length, size]);
  }

  /** Translate a line. The result has the fields of the server's answer. */
  async translate(line) {
    const parts = this.#parts(line);
    if (!parts.length) {
      const text = "the tokenizer found no tokens, so the translation is ⁇";
      return { text: BLANK, hypotheses: [], alignment: null, notes: [{ kind: "no tokens", text }] };
    }
    const notes = [];
    const found = [];
    for (const ids of parts) found.push(await this.#search(ids));
    if (parts.some((ids) => ids.isCut)) {
      const text = `the line is longer than the lines in training (${this.settings.max_tokens} subwords), so it is translated in parts`;
      notes.push({ kind: "split", text });
    }
    if (found.some(([best]) => !best.finished)) {
      const text = "the translation was cut at the maximum length";
      notes.push({ kind: "cut", text });
    }
    const unknown = parts.flat().filter((id) => id === this.source.vocabulary.unknown).length;
    if (unknown) notes.push({ kind: "unknown tokens", text: `${unknown} tokens are unknown` });
    const hypotheses = this.#join(found);
    if (found.every(([best]) => !this.target.decode(best.tokens).trim())) {
      const text = `the translation has only spaces and is written as ${BLANK}`;
      notes.push({ kind: "blank", text });
    }
    return {
      text: hypotheses[0].text,
      score: hypotheses[0].score,
      hypotheses,
      alignment: this.#align(parts, found),
      notes,
    };
  }

  /** Return the ids of the sentences of a line, which are cut if they are too long. */
  #parts(line) {
    const { languages, max_tokens: most } = this.settings;
    const segmenter = new Intl.Segmenter(languages.source || "en", { granularity: "sentence" });
    const sentences = [...segmenter.segment(line)].map(({ segment }) => segment.trim());
    const parts = [];
    for (const sentence of sentences.filter(Boolean)) {
      const ids = this.source.encode(sentence);
      const pieces = this.source.pieces(ids);
      let start = 0;
      while (ids.length - start > most) {
        const ends = [];
        for (let at = start + most; at > start + most / 2; at -= 1) {
          if (pieces[at].startsWith("▁")) ends.push(at);
        }
        const end = ends.find((at) => ENDS.test(pieces[at - 1])) ?? ends[0] ?? start + most;
        parts.push(Object.assign(ids.slice(start, end), { isCut: true }));
        start = end;
      }
      if (ids.length > start) parts.push(ids.slice(start));
    }
    return parts;
  }

  async #search(ids) {
    const { manifest, ort, settings } = this;
    const { rows, vocabulary, memory: axes } = manifest;
    const source = [...ids, vocabulary.source_eos];
    const encoded = await this.encode.run(this.#inputs(this.encode, source, [1, source.length]));
    const pick = (names, prefix = "", values = encoded) =>
      Object.fromEntries(names.map((name) => [name, values[prefix + name]]));
    const memory = pick(Object.keys(axes));
    if (this.step.inputNames.includes("mask")) {
      memory.mask = new ort.Tensor("float32", new Float32Array(source.length), [1, source.length]);
    }
    const step = async (tokens, state) => {
      const after = await this.step.run({
        ...this.#inputs(this.step, tokens, [tokens.length]),
        ...state,
        ...memory,
      });
      return {
        log: rowsOf(after.log_probabilities.data, tokens.length),
        weights: after.weights && rowsOf(after.weights.data, tokens.length),
        state: pick(rows, "next.", after),
      };
    };
    return beamSearch({
      step,
      select: (state, chosen) =>
        Object.fromEntries(
          Object.entries(state).map(([name, tensor]) => [name, this.#rows(tensor, chosen)]),
        ),
      state: pick(rows),
      maximum: Math.ceil(settings.length_ratio * source.length) + settings.length_margin,
      beam: settings.beam,
      best: BEST,
      vocabulary,
    });
  }

  /** Return the translations of a line: the best of each part, and other choices for one part. */
  #join(found) {
    const glue = this.settings.spaced ? " " : "";
    const choices = [found.map(() => 0)];
    found.forEach((ranked, part) => {
      ranked.slice(1).forEach((_, i) => {
        choices.push(choices[0].map((rank, at) => (at === part ? i + 1 : rank)));
      });
    });
    const seen = new Map();
    for (const ranks of choices) {
      const chosen = ranks.map((rank, part) => found[part][rank]);
      const text = chosen.map(({ tokens }) => this.target.decode(tokens)).join(glue);
      const score = chosen.reduce((sum, one) => sum + one.score, 0);
      const shown = text.trim() ? text : BLANK;
      if (!seen.has(shown)) seen.set(shown, { text: shown, score });
    }
    const [first, ...others] = seen.values();
    return [first, ...others.sort((a, b) => b.score - a.score)].slice(0, BEST);
  }

  #align(parts, found) {
    if (!found[0][0].weights) return null;
    const alignment = { source_words: [], target_words: [], weights: [] };
    const shift = (words, by) => words.map((word) => (word === null ? null : word + by));
    const count = (words) => Math.max(-1, ...words.filter((word) => word !== null)) + 1;
    const blocks = parts.map((ids, i) => ({
      sources: [...this.source.wordsOf(ids), null],
      targets: this.target.wordsOf(found[i][0].tokens),
      weights: found[i][0].weights,
    }));
    const width = blocks.reduce((sum, { sources }) => sum + sources.length, 0);
    let left = 0;
    for (const { sources, targets, weights } of blocks) {
      const [before, written] = [alignment.source_words, alignment.target_words].map(count);
      alignment.source_words.push(...shift(sources, before));
      alignment.target_words.push(...shift(targets, written));
      targets.forEach((_, t) => {
        const row = new Array(width).fill(0);
        weights[t].forEach((weight, s) => (row[left + s] = weight));
        alignment.weights.push(row);
      });
      left += sources.length;
    }
    return alignment;
  }
}

/** Divide values into `count` rows. */
function rowsOf(values, count) {
  const size = values.length / count;
  return Array.from({ length: count }, (_, row) => values.subarray(row * size, (row + 1) * size));
}
