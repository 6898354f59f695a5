"""Does a translation depend on its source alone? (Promise 2, in fp32.)

    python benchmarks/batch_invariance.py MODEL SOURCE

Translates all lines of SOURCE at several batch sizes and shuffled, greedy and with beam 5, and
compares with one line at a time: the number of lines whose text differs, the largest difference of
score among the others, and for each line that differs how far apart the two hypotheses are. Exits
with 1 where scores differ by more than 1e-4 or a difference is no tie.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from seq2seq.decoding.options import AnySearch, search_options
from seq2seq.decoding.results import Translation
from seq2seq.decoding.translator import Translator

BOUND = 1e-4
SIZES = (7, 64, 512)


def translate(translator: Translator, lines: list[str], search: AnySearch) -> list[Translation]:
    return [result.best for result in translator.translate_windows([lines], search)]


def in_batches_of(translator: Translator, size: int) -> Translator:
    parts = (translator.engine, translator.codec, translator.configs)
    return Translator(*parts, batch_size=size)


def shuffled(translator: Translator, lines: list[str], search: AnySearch) -> list[Translation]:
    order = list(range(len(lines)))
    random.Random(1).shuffle(order)
    found = translate(translator, [lines[i] for i in order], search)
    back = dict(zip(order, found, strict=True))
    return [back[i] for i in range(len(lines))]


def compare(one: list[Translation], other: list[Translation]) -> tuple[int, float, float]:
    """Lines that differ, the widest difference of score among equal texts, and among others."""
    pairs = list(zip(one, other, strict=True))
    equal = [abs(a.score - b.score) for a, b in pairs if a.text == b.text]
    differ = [abs(a.score - b.score) for a, b in pairs if a.text != b.text]
    return len(differ), max(equal, default=0.0), max(differ, default=0.0)


def main() -> None:
    model, source = sys.argv[1:]
    lines = Path(source).read_text(encoding="utf-8").split("\n")[:-1]
    translator = Translator.load(model, device="cpu")
    worst = 0.0
    print(f"{len(lines):,} lines, {model}")
    print("search   batch            lines that differ   widest difference (equal, differing)")
    for beam in (1, 5):
        name = "greedy" if beam == 1 else f"beam {beam}"
        search = search_options(beam=beam)
        alone = translate(in_batches_of(translator, 1), lines, search)
        for size in SIZES:
            for way in (translate, shuffled):
                found = way(in_batches_of(translator, size), lines, search)
                count, equal, other = compare(alone, found)
                worst = max(worst, equal, other)
                print(
                    f"{name:8} {size:4} {way.__name__:11} {count:18}   {equal:.1e}, {other:.1e}",
                    flush=True,
                )
    print(f"widest difference {worst:.1e}, bound {BOUND:.0e}")
    sys.exit(worst > BOUND)


if __name__ == "__main__":
    main()
