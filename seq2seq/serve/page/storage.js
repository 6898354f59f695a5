// What the browser remembers for this page. A browser may refuse to store anything.

export function recall(name) {
  try {
    return localStorage.getItem(`seq2seq.${name}`) ?? "";
  } catch {
    return "";
  }
}

export function store(name, value) {
  try {
    localStorage.setItem(`seq2seq.${name}`, value);
  } catch {
    // The page works without it.
  }
}
