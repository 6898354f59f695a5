// Words of a line, and which words of the source a word of the translation looked at.

// White space as Python's str.split sees it.
const WORD =
  /[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;

/** Return the words of a line as { text, start, end }. */
export function splitWords(line) {
  return [...line.matchAll(WORD)].map((match) => ({
    text: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
}

/**
 * Return the share of attention that each source word gets from a word of the translation, as an
 * array, or null without attention. Weights of subwords outside all words are left out.
 */
export function attentionShares(alignment, word, sourceCount) {
  if (!alignment) return null;
  const shares = new Array(sourceCount).fill(0);
  alignment.target_words.forEach((owner, row) => {
    if (owner !== word) return;
    alignment.source_words.forEach((source, column) => {
      if (source !== null && source < sourceCount) shares[source] += alignment.weights[row][column];
    });
  });
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ? shares.map((share) => share / sum) : null;
}
