// SentencePiece models: reading, normalisation, BPE, unigram and decoding.

const SPACE = "▁";
const [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE] = [1, 2, 3, 4, 5, 6];
const UNIGRAM = 1;
const BPE = 2;
const UNKNOWN_PENALTY = 10;

/** Yield the number and the value of each field of a protocol buffer message. */
function* fields(message) {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const kind = key % 8;
    if (kind === 0) yield [number, varint()];
    else if (kind === 5) {
      yield [number, view.getFloat32(at, true)];
      at += 4;
    } else if (kind === 2) {
      const size = varint();
      yield [number, message.subarray(at, at + size)];
      at += size;
    } else at += 8;
  }
}

const read = (message) => Object.fromEntries(fields(message));
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The normalisation of a SentencePiece model: a trie of strings and what replaces them. */
export class Normalizer {
  /** content: the bytes of a model file. */
  static ofModel(content) {
    return new Normalizer(read(content)[3]);
  }

  /** message: the field `normalizer_spec` of a model. */
  constructor(message, symbols = []) {
    const { 2: charsmap = new Uint8Array(), 3: prefix = 1, 4: collapse = 1 } = read(message);
    this.hasPrefix = Boolean(prefix);
    this.collapses = Boolean(collapse);
    this.symbols = symbols.map((symbol) => new TextEncoder().encode(symbol));
    if (!charsmap.length) return;
    const copy = charsmap.slice();
    const size = new DataView(copy.buffer).getUint32(0, true);
    this.trie = new Uint32Array(copy.buffer.slice(4, 4 + size));
    this.replacements = copy.subarray(4 + size);
  }

  /** Return the text after the replacements, with its spaces as they come. */
  replace(text) {
    const bytes = new TextEncoder().encode(text);
    const parts = [];
    for (let at = 0; at < bytes.length; ) {
      const [part, size] = this.#longest(bytes, at);
      parts.push(part);
      at += size;
    }
    return parts.join("");
  }

  #longest(bytes, at) {
    const starts = (symbol) => symbol.every((byte, i) => bytes[at + i] === byte);
    const symbol = this.symbols.find(starts); // the longest come first
    let size = symbol?.length ?? 0;
    let found = -1;
    if (!symbol && this.trie) [found, size] = this.#walk(bytes, at);
    if (found >= 0) {
      const end = this.replacements.indexOf(0, found);
      return [utf8.decode(this.replacements.subarray(found, end)), size];
    }
    const lead = bytes[at];
    size ||= lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return [utf8.decode(bytes.subarray(at, at + size)), size];
  }

  /** Search the double array (darts-clone). Return the offset of the replacement, and the length. */
  #walk(bytes, at) {
    const { trie } = this;
    const offset = (unit) => (unit >>> 10) << ((unit & 0x200) >>> 6);
    let node = offset(trie[0]);
    let found = [-1, 0];
    for (let end = at; end < bytes.length; ) {
      node ^= bytes[end];
      const unit = trie[node];
      if ((unit & 0x800000ff) >>> 0 !== bytes[end]) break;
      end += 1;
      node ^= offset(unit);
      if ((unit >>> 8) & 1) found = [trie[node] & 0x7fffffff, end - at];
    }
    return found;
  }

  /** Return the text in the form in which pieces are searched. */
  normalize(text) {
    let result = this.replace(text);
    if (this.collapses) result = result.replace(/ +/g, " ").replace(/^ /, "");
    if (!result) return "";
    result = ((this.hasPrefix ? " " : "") + result).replaceAll(" ", SPACE);
    return this.collapses ? result.replace(/▁+$/, "") : result;
  }
}

/** A SentencePiece model of kind BPE or unigram. */
export class Vocabulary {
  /** content: the bytes of a model file. */
  constructor(content) {
    this.pieces = [];
    this.ids = new Map();
    this.kind = UNIGRAM;
    this.fallback = false;
    this.unknown = 0;
    let normalizer = new Uint8Array();
    for (const [number, value] of fields(content)) {
      if (number === 1) this.#add(read(value));
      if (number === 2) ({ 3: this.kind = UNIGRAM, 35: this.fallback = 0 } = read(value));
      if (number === 3) normalizer = value;
    }
    if (![UNIGRAM, BPE].includes(this.kind)) throw new Error("the vocabulary is neither BPE nor unigram");
    const symbols = this.pieces.filter((piece) => piece.type === USER_DEFINED);
    this.symbols = symbols.map((piece) => piece.text).sort((a, b) => b.length - a.length);
    const scores = this.pieces.filter((piece) => piece.type === NORMAL).map((piece) => piece.score);
    this.most = scores.reduce((one, other) => Math.max(one, other), -Infinity);
    this.least = scores.reduce((one, other) => Math.min(one, other), Infinity);
    this.longest = Math.max(...this.pieces.map((piece) => [...piece.text].length));
    this.normalizer = new Normalizer(normalizer, this.symbols);
  }

  #add({ 1: text, 2: score = 0, 3: type = NORMAL }) {
    const piece = { text: utf8.decode(text), score, type };
    if ([NORMAL, USER_DEFINED, UNUSED].includes(type)) this.ids.set(piece.text, this.pieces.length);
    if (type === UNKNOWN) this.unknown = this.pieces.length;
    if (type === BYTE) this.bytes ??= this.pieces.length; // the bytes are in order
    this.pieces.push(piece);
  }

  /** Return the ids of the most likely pieces of a text. */
  encode(text) {
    const units = this.#units(this.normalizer.normalize(text));
    const found = this.kind === BPE ? this.#merge(units) : this.#viterbi(units);
    const ids = [];
    for (const piece of found) {
      const id = this.ids.get(piece);
      if (id !== undefined) ids.push(id);
      else if (this.fallback) {
        for (const byte of new TextEncoder().encode(piece)) ids.push(this.bytes + byte);
      } else if (ids.at(-1) !== this.unknown) ids.push(this.unknown);
    }
    return ids;
  }

  /** Return the user-defined symbols and the characters of a text. */
  #units(text) {
    const units = [];
    for (let at = 0; at < text.length; ) {
      const symbol = this.symbols.find((one) => text.startsWith(one, at));
      const unit = symbol ?? String.fromCodePoint(text.codePointAt(at));
      units.push(unit);
      at += unit.length;
    }
    return units;
  }

  /** Merge the pair with the best score, the leftmost one first, until no pair is a piece. */
  #merge(units) {
    const parts = [...units];
    const frozen = new Set(this.symbols);
    const scoreOf = (left, right) => {
      if (frozen.has(left) || frozen.has(right)) return -Infinity;
      const id = this.ids.get(left + right);
      return id === undefined ? -Infinity : this.pieces[id].score;
    };
    const scores = parts.slice(1).map((part, i) => scoreOf(parts[i], part));
    while (scores.length) {
      let best = 0;
      for (let i = 1; i < scores.length; i += 1) if (scores[i] > scores[best]) best = i;
      if (scores[best] === -Infinity) break;
      parts.splice(best, 2, parts[best] + parts[best + 1]);
      scores.splice(best, 1);
      if (best > 0) scores[best - 1] = scoreOf(parts[best - 1], parts[best]);
      if (best < scores.length) scores[best] = scoreOf(parts[best], parts[best + 1]);
    }
    return parts;
  }

  /** Return the pieces with the largest sum of scores (in 32-bit floating point). */
  #viterbi(units) {
    const text = units.flatMap((unit) => [...unit]);
    const best = new Array(text.length + 1).fill(null);
    best[0] = { score: 0 };
    const reach = (end, start, score) => {
      const sum = Math.fround(best[start].score + score);
      if (!best[end] || sum > best[end].score) best[end] = { score: sum, start };
    };
    for (let start = 0; start < text.length; start += 1) {
      let hasOne = false;
      let piece = "";
      for (let end = start + 1; end <= Math.min(text.length, start + this.longest); end += 1) {
        piece += text[end - 1];
        const id = this.ids.get(piece);
        if (id === undefined || this.pieces[id].type === UNUSED) continue;
        reach(end, start, this.#scoreOf(id, piece));
        hasOne ||= end === start + 1;
      }
      if (!hasOne) reach(start + 1, start, Math.fround(this.least - UNKNOWN_PENALTY));
    }
    const found = [];
    for (let end = text.length; end > 0; end = best[end].start) {
      found.push(text.slice(best[end].start, end).join(""));
    }
    return found.reverse();
  }

  #scoreOf(id, piece) {
    if (this.pieces[id].type !== USER_DEFINED) return this.pieces[id].score;
    return Math.fround(new TextEncoder().encode(piece).length * this.most - 0.1);
  }

  /** Return the text of ids. */
  decode(ids) {
    const parts = [];
    let bytes = [];
    const flush = () => {
      if (bytes.length) parts.push(utf8.decode(Uint8Array.from(bytes)));
      bytes = [];
    };
    for (const id of ids) {
      const { text, type } = this.pieces[id];
      if (type === BYTE) {
        bytes.push(id - this.bytes);
        continue;
      }
      flush();
      if (type === UNKNOWN) parts.push(" ⁇ ");
      else if (type !== CONTROL) parts.push(text.replaceAll(SPACE, " "));
    }
    flush();
    const joined = parts.join("");
    if (this.normalizer.collapses) return joined.replace(/^ +/, "");
    return this.normalizer.hasPrefix ? joined.replace(/^ /, "") : joined;
  }
}
