// From raw text to ids and back: the rules of seq2seq around a SentencePiece model.

import { markCase, restoreCase } from "./capitals.js";
const BREAKS = /[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]/g;
const FORMS = { nfc: "NFC", nfd: "NFD" };

export class Tokenizer {
  /**
   * vocabulary: a Vocabulary.
   * rules: { lowercase, normalization, marked } from web.json. The normalisation leaves out what
   *   the vocabulary does itself.
   * nfkc: a Normalizer, if the normalisation is "nmt_nfkc".
   */
  constructor(vocabulary, rules, nfkc) {
    this.vocabulary = vocabulary;
    this.rules = rules;
    this.nfkc = nfkc;
  }

  encode(line) {
    const { lowercase, normalization, marked } = this.rules;
    let text = line.toWellFormed?.() ?? line;
    if (lowercase) text = text.toLowerCase();
    if (FORMS[normalization]) text = text.normalize(FORMS[normalization]);
    if (normalization === "nmt_nfkc") text = this.nfkc.replace(text);
    if (["nmt_nfkc", "whitespace"].includes(normalization)) {
      text = text.replace(/ +/g, " ").replace(/^ | $/g, "");
    }
    return this.vocabulary.encode(marked ? markCase(text) : text);
  }

  decode(ids) {
    const text = this.vocabulary.decode(ids);
    return (this.rules.marked ? restoreCase(text) : text).replace(BREAKS, " ");
  }

  pieces(ids) {
    return ids.map((id) => this.vocabulary.pieces[id].text);
  }

  /** Return the number of the word that each id belongs to, or null for an id without a letter. */
  wordsOf(ids) {
    let size = 0;
    return ids.map((_, i) => {
      const text = this.decode(ids.slice(0, i + 1)).trimEnd();
      const grows = text.length > size;
      size = text.length;
      return grows ? text.trimStart().split(/\s+/).length - 1 : null;
    });
  }
}
