"""Measure how --protect carries marks through a translation.

    python benchmarks/marks.py MODEL [data/phrasebook]

The program puts a mark before one word of each test line: a placeholder, a URL, an e-mail address,
a number, or a pair of tags around the word. The word is a source word that the training set links
to one target word (IBM model 1, Brown et al. 1993). The reference has the same mark before this
target word. The program prints the share of marks that are in the translation exactly once, and the
share of lines whose mark is within one word of the mark in the reference.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.translator import Translator

MARKS = ("{0}", "%s", "<b>", "https://example.org/a?b=1", "me@example.org", "2,450")
PAIRS = 4000  # training pairs for the word links


def words_of(line: str) -> list[str]:
    """Return the words of a line in lower case, without punctuation around them."""
    return [re.sub(r"^\W+|\W+$", "", word).lower() for word in line.split()]


def link_words(pairs: list[tuple[list[str], list[str]]]) -> dict[tuple[str, str], float]:
    """Return p(target word | source word), by five rounds of expectation maximisation."""
    chances: dict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    for _ in range(5):
        counts: Counter[tuple[str, str]] = Counter()
        totals: Counter[str] = Counter()
        for source, target in pairs:
            for word in target:
                norm = sum(chances[other, word] for other in source)
                for other in source:
                    share = chances[other, word] / norm
                    counts[other, word] += share
                    totals[other] += share
        chances = defaultdict(float, {pair: n / totals[pair[0]] for pair, n in counts.items()})
    return chances


def put(line: str, at: int, mark: str) -> str:
    """Return a line with a mark before word `at`; a tag is closed after the word."""
    words = line.split()
    if mark == "<b>":
        words[at] = f"<b>{words[at]}</b>"
        return " ".join(words)
    return " ".join([*words[:at], mark, *words[at:]])


def position(line: str, mark: str) -> int:
    """Return the number of words before the first mark in a line; -1000 if there is none."""
    start = line.find(mark)
    return len(line[:start].split()) if start >= 0 else -1000


def main() -> None:
    model, data = sys.argv[1], Path([*sys.argv, "data/phrasebook"][2])
    sides = {
        name: [(data / f"{name}.{side}").read_text(encoding="utf-8").splitlines() for side in ends]
        for ends in [("en", "fr")]
        for name in ("train", "test")
    }
    train = list(zip(*sides["train"], strict=True))[:PAIRS]
    chances = link_words([(words_of(source), words_of(target)) for source, target in train])
    lines, references, marks = [], [], []
    kinds = itertools.cycle(MARKS)
    for source, target in zip(*sides["test"], strict=True):
        here, there = words_of(source), words_of(target)
        chance, i, j = max(
            (chances.get((one, other), 0.0), i, j)
            for i, one in enumerate(here)
            for j, other in enumerate(there)
            if here.count(one) == there.count(other) == 1
        )
        if chance > 0.3:
            mark = next(kinds)
            lines.append(put(source, i, mark))
            references.append(put(target, j, mark))
            marks.append([mark] + (["</b>"] if mark == "<b>" else []))
    translator = Translator.load(model, device="cpu")
    results = list(translator.stream(lines, source=SourceOptions(protect=True)))
    outputs = [result.best.text for result in results]
    once = [output.count(one) == 1 for output, ms in zip(outputs, marks, strict=True) for one in ms]
    near = [
        abs(position(output, ms[0]) - position(reference, ms[0])) <= 1
        for output, reference, ms in zip(outputs, references, marks, strict=True)
    ]
    notes = sum(bool(result.notes) for result in results)
    print(f"{len(lines)} lines, {len(once)} marks, {notes} lines with a note")
    print(f"exactly once: {100 * sum(once) / len(once):.1f} % of the marks")
    print(f"within one word of the reference: {100 * sum(near) / len(near):.1f} % of the lines")
    for kind in MARKS:
        of_kind = [ok for ok, ms in zip(near, marks, strict=True) if ms[0] == kind]
        print(f"  {kind}: {100 * sum(of_kind) / max(len(of_kind), 1):.1f} %")
    if "-v" in sys.argv:
        for line, output, reference, ok in zip(lines, outputs, references, near, strict=True):
            if not ok:
                print(f"{line}\n  {output}\n  {reference}")


if __name__ == "__main__":
    main()
