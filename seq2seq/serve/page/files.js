// The translation of a file, line by line, into a file to download.

const LARGEST = 50e6; // bytes
const AT_ONCE = 64; // lines of a request
const CHARACTERS = 20_000; // of a request
const NOTES = 200; // that are listed

const find = (name) => document.getElementById(`file-${name}`);

export class FileTranslation {
  constructor() {
    this.run = null;
    find("close").addEventListener("click", () => this.close());
  }

  close() {
    this.run?.abort();
    this.run = null;
    URL.revokeObjectURL(find("download").href);
    find("download").removeAttribute("href");
    find("card").hidden = true;
    document.getElementById("upload").focus();
  }

  /**
   * Translate a file.
   * translate: a function (lines, signal) that resolves to one result for each line.
   * limit: the largest number of characters in a request.
   * ending: what the name of the new file gets, such as "fr".
   */
  async start(file, { translate, limit, ending }) {
    this.run?.abort();
    const run = (this.run = new AbortController());
    this.notes = 0;
    find("name").textContent = file.name;
    find("notes").hidden = true;
    find("notes").querySelector("ul").replaceChildren();
    find("download").hidden = true;
    find("progress").hidden = false;
    find("progress").value = 0;
    find("close").textContent = "Cancel";
    find("card").hidden = false;
    try {
      const { lines, end } = await readLines(file);
      const translated = await this.#translateAll(lines, translate, limit, run);
      if (run !== this.run) return;
      this.#finish(file.name, ending, translated.join("\n") + end, lines.length);
    } catch (error) {
      if (run !== this.run) return;
      find("progress").hidden = true;
      find("state").textContent = error.message;
      find("close").textContent = "Close";
    }
  }

  async #translateAll(lines, translate, limit, run) {
    const translated = [];
    while (translated.length < lines.length) {
      find("progress").value = translated.length / lines.length;
      find("state").textContent = `${count(translated.length)} of ${count(lines.length)} lines`;
      const part = nextPart(lines, translated.length, limit);
      const results = await this.#try(() => translate(part, run.signal), run);
      if (run !== this.run) return translated;
      results.forEach((result, i) => this.#note(result, translated.length + i + 1));
      translated.push(...results.map((result) => result.text));
    }
    return translated;
  }

  async #try(work, run) {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (run.signal.aborted || !error.wait) throw error;
        find("state").textContent = `${error.message} The translation continues by itself.`;
        await new Promise((resolve) => setTimeout(resolve, 1000 * error.wait));
        if (run.signal.aborted) throw error;
      }
    }
  }

  #note(result, line) {
    for (const note of result.notes) {
      this.notes += 1;
      if (this.notes > NOTES) return;
      const item = document.createElement("li");
      item.textContent = `Line ${count(line)}: ${note.text}`;
      find("notes").querySelector("ul").append(item);
    }
  }

  #finish(name, ending, text, lines) {
    const link = find("download");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    const dot = name.lastIndexOf(".");
    const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ".txt"];
    link.download = `${stem}.${ending}${extension}`;
    link.hidden = false;
    find("progress").hidden = true;
    find("state").textContent = `${count(lines)} ${lines === 1 ? "line is" : "lines are"} translated.`;
    find("close").textContent = "Close";
    find("notes").hidden = !this.notes;
    find("notes").querySelector("summary").textContent =
      `${count(this.notes)} ${this.notes === 1 ? "note" : "notes"}` +
      (this.notes > NOTES ? `, of which the first ${NOTES} follow` : "");
    link.focus();
  }
}

async function readLines(file) {
  if (file.size > LARGEST) {
    throw new Error(`The file is larger than ${LARGEST / 1e6} MB: use "seq2seq translate" for it.`);
  }
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error("The file is not text in UTF-8.");
  }
  const lines = text.split(/\r?\n/);
  const ends = lines.at(-1) === "";
  if (ends) lines.pop();
  if (!lines.length) throw new Error("The file is empty.");
  return { lines, end: ends ? "\n" : "" };
}

/** Return the lines from `start` that fit into one request. There is at least one. */
export function nextPart(lines, start, limit, most = AT_ONCE) {
  let end = start;
  let size = 0;
  while (end < lines.length && end - start < most) {
    size += lines[end].length;
    if (end > start && size > Math.min(limit, CHARACTERS)) break;
    end += 1;
  }
  return lines.slice(start, end);
}

const count = (number) => number.toLocaleString("en");
