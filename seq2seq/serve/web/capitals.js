// Capitals as marks around lower-case text, as seq2seq/text/case_marks.py writes them.

const [CAPITALISED, UPPER, SPAN, SPAN_END, LITERAL] = "⇧⇪⇑⇓⇴";
const LETTER = "[\\p{L}\\p{Nl}\\p{No}]";
const WORD = `${LETTER}(?:${LETTER}|[\\u0300-\\u036f])*`;
const RAW = new RegExp(`(?<mark>[⇧⇪⇑⇓⇴])|(?<word>${WORD})`, "gu");
const MARKED = new RegExp(
  `⇴(?<literal>[⇧⇪⇑⇓⇴])|(?<mark>[⇧⇪⇑⇓⇴])|(?<word>${WORD})|(?<rest>.)`,
  "gsu",
);
const CASED = new RegExp(WORD, "u");
const TITLES = { ǆ: "ǅ", ǉ: "ǈ", ǌ: "ǋ", ǳ: "ǲ" };

/** Return a letter as it begins a word in title case. */
function title(letter) {
  const [first, ...rest] = TITLES[letter] ?? letter.toUpperCase();
  return first + rest.join("").toLowerCase();
}

const eachUpper = (word) => [...word].map((letter) => letter.toUpperCase()).join("");
const length = (word) => [...word].length;

/** Return the marked text. */
export function markCase(text) {
  if (!text) return "";
  const marked = write(text, true);
  return restoreCase(marked) === text ? marked : write(text, false);
}

/** Return the text without marks. */
export function restoreCase(marked) {
  const pieces = [];
  let pending = "";
  let inSpan = false;
  let isFirst = true;
  for (const { groups } of marked.matchAll(MARKED)) {
    if (groups.mark) {
      if ([CAPITALISED, UPPER].includes(groups.mark)) pending = groups.mark;
      else inSpan = groups.mark === SPAN || (inSpan && groups.mark !== SPAN_END);
      continue;
    }
    if (groups.word) {
      const [first, ...rest] = groups.word;
      if (inSpan || pending === UPPER) pieces.push(eachUpper(groups.word));
      else if (pending === CAPITALISED) pieces.push(title(first), ...rest);
      else pieces.push(groups.word);
      pending = "";
    } else if (!(isFirst && groups.rest === " ")) {
      pieces.push(groups.literal ?? groups.rest);
    }
    isFirst = false;
  }
  return pieces.join("");
}

function write(text, lowered) {
  const matches = [...text.matchAll(RAW)].map((match) => ({
    text: match[0],
    start: match.index,
    end: match.index + match[0].length,
    isMark: Boolean(match.groups.mark),
  }));
  const words = matches
    .filter((match) => lowered && !match.isMark && match.text !== match.text.toLowerCase())
    .map((match) => ({ ...match, mark: markOf(match.text), isLetter: length(match.text) === 1 }));
  const last = matches.findLast((match) => !match.isMark)?.start ?? -1;
  const { before, after } = planMarks(words, text, last);
  const lower = new Set(words.filter((word) => word.mark).map((word) => word.start));
  let result = " ";
  let at = 0;
  for (const { text: word, start, end, isMark } of matches) {
    result += text.slice(at, start);
    const mark = before.get(start);
    // The mark stands before the space in front of the word.
    if (mark) result = result.endsWith(" ") ? `${result.slice(0, -1)}${mark} ` : result + mark;
    if (isMark) result += LITERAL;
    result += lower.has(start) ? word.toLowerCase() : word;
    if (after.has(end)) result += SPAN_END;
    at = end;
  }
  return result + text.slice(at);
}

/** Return the mark of a word, or null if a mark could not restore its capitals. */
function markOf(word) {
  const lower = word.toLowerCase();
  if (length(lower) !== length(word)) return null;
  const [first, ...rest] = lower;
  if (title(first) + rest.join("") === word) return CAPITALISED;
  return eachUpper(lower) === word ? UPPER : null;
}

function planMarks(words, text, last) {
  const before = new Map();
  const after = new Set();
  for (const word of words) if (word.mark) before.set(word.start, word.mark);
  for (const span of spansOf(words, text)) {
    for (const word of span) before.set(word.start, "");
    before.set(span[0].start, SPAN);
    if (span.at(-1).start !== last) after.add(span.at(-1).end);
  }
  return { before, after };
}

/** Return each series of two or more capital words that no lower-case word interrupts. */
function spansOf(words, text) {
  const series = [[]];
  for (const word of words) {
    const previous = series.at(-1).at(-1);
    if (previous && CASED.test(text.slice(previous.end, word.start))) series.push([]);
    if (word.mark === UPPER || (word.mark && word.isLetter)) series.at(-1).push(word);
    else series.push([]);
  }
  return series.map((span) => trimmed(span, text)).filter((span) => span.length > 1);
}

/** Return the span without single letters at its ends, such as the "I" of "the USA I saw". */
function trimmed(span, text) {
  if (span.every((word) => word.isLetter)) return [];
  let first = 0;
  let end = span.length;
  const hasSpace = (left, right) => text.slice(span[left].end, span[right].start).includes(" ");
  if (CASED.test(text.slice(0, span[0].start))) {
    while (span[first].isLetter && hasSpace(first, first + 1)) first += 1;
  }
  if (CASED.test(text.slice(span.at(-1).end))) {
    while (span[end - 1].isLetter && hasSpace(end - 2, end - 1)) end -= 1;
  }
  return span.slice(first, end);
}
