// The translation: lines of words that the pointer and the arrow keys can visit.

import { splitWords } from "./words.js";

export class Output {
  /**
   * root: the element of the translation.
   * onVisit: called with { line, word, text, fixed } for the visited word, or with null. A word that
   *   the pointer only passes is not fixed.
   */
  constructor(root, onVisit) {
    this.root = root;
    this.onVisit = onVisit;
    this.shown = []; // what each paragraph shows
    this.current = null;
    root.addEventListener("pointerover", (event) => this.#point(event));
    root.addEventListener("click", (event) => this.#point(event));
    root.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && document.activeElement !== root) this.visit(null);
    });
    root.addEventListener("blur", () => this.visit(null));
    root.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Show results, one for each line. An undefined result keeps the old line, in grey. */
  render(results, language) {
    const { root } = this;
    root.lang = language ?? "";
    this.visit(null);
    while (root.childElementCount > results.length) root.lastElementChild.remove();
    this.shown.length = results.length;
    results.forEach((result, i) => {
      let line = root.children[i];
      if (!line) {
        line = document.createElement("p");
        line.dir = "auto";
        root.append(line);
      }
      line.className = result ? "" : line.childNodes.length ? "stale" : "pending";
      if (result && this.shown[i] !== result) {
        line.replaceChildren(...(result.tags ? taggedWords(result.tags) : plainWords(result.text)));
      }
      this.shown[i] = result ?? this.shown[i];
    });
  }

  /** Grey all lines: another translation is on its way. */
  age() {
    for (const line of this.root.children) line.classList.add("stale");
  }

  visit(element, fixed = true) {
    if (element === this.current && !fixed) return;
    this.current?.classList.remove("current");
    this.current = element;
    element?.classList.add("current");
    this.onVisit(element && { ...this.#place(element), fixed });
  }

  #place(element) {
    const paragraph = element.parentElement;
    return {
      line: [...this.root.children].indexOf(paragraph),
      word: [...paragraph.querySelectorAll(".word")].indexOf(element),
      text: element.firstChild.textContent,
    };
  }

  #point(event) {
    const word = event.target.closest?.(".word");
    if (word) this.visit(word, event.type === "click");
    else if (event.type === "click") this.visit(null);
  }

  #press(event) {
    const words = [...this.root.querySelectorAll(".word")];
    const at = words.indexOf(this.current);
    const rtl = this.current && getComputedStyle(this.current).direction === "rtl";
    const forward = rtl ? "ArrowLeft" : "ArrowRight";
    const backward = rtl ? "ArrowRight" : "ArrowLeft";
    let next;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key === forward) next = words[Math.min(at + 1, words.length - 1)];
    else if (event.key === backward) next = words[Math.max(at - 1, 0)];
    else if (event.key === "Home") next = words[0];
    else if (event.key === "End") next = words.at(-1);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") next = this.#otherLine(event.key);
    else if (event.key === "Escape") next = null;
    else return;
    event.preventDefault();
    if (next !== undefined) this.visit(next);
    next?.scrollIntoView({ block: "nearest" });
  }

  #otherLine(key) {
    const step = key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
    let line = this.current ? this.current.parentElement[step] : this.root.firstElementChild;
    while (line && !line.querySelector(".word")) line = line[step];
    return line?.querySelector(".word") ?? undefined;
  }
}

function plainWords(text) {
  const parts = [];
  let end = 0;
  for (const word of splitWords(text)) {
    parts.push(text.slice(end, word.start), span("word", word.text));
    end = word.end;
  }
  return [...parts, text.slice(end)];
}

function taggedWords(tags) {
  return tags.flatMap(({ word, label }) => {
    const element = span("word tagged", word);
    const small = document.createElement("small");
    small.textContent = label;
    element.append(small);
    return [element, " "];
  });
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}
