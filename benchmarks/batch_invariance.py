"""Check in fp32 that the translation of a line does not depend on the other lines of its batch.

    python benchmarks/batch_invariance.py MODEL SOURCE

The program translates all lines of SOURCE with several batch sizes, in order and shuffled, with
greedy search and with beam 5. It compares each result with the translation of one line at a time.
It prints the number of lines whose text differs, the largest score difference of lines with equal
texts, and the largest score difference of lines with different texts. Both differences must be at
most 1e-4 (different texts are then a tie); otherwise the program exits with code 1.
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
    """Return the best translation of each line."""
    return [result.best for result in translator.translate_windows([lines], search)]


def in_batches_of(translator: Translator, size: int) -> Translator:
    """Return a translator with the same model and the batch size `size`."""
    parts = (translator.engine, translator.codec, translator.configs)
    return Translator(*parts, batch_size=size)


def shuffled(translator: Translator, lines: list[str], search: AnySearch) -> list[Translation]:
    """Translate the lines in a random order and return the translations in the original order."""
    order = list(range(len(lines)))
    random.Random(1).shuffle(order)
    found = translate(translator, [lines[i] for i in order], search)
    back = dict(zip(order, found, strict=True))
    return [back[i] for i in range(len(lines))]


def compare(one: list[Translation], other: list[Translation]) -> tuple[int, float, float]:
    """Compare two lists of translations of the same lines.

    Return the number of lines with different texts, the largest score difference of lines with
    equal texts, and the largest score difference of lines with different texts.
    """
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
    print("search   batch            differing lines     largest difference (equal, differing)")
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
    print(f"largest score difference {worst:.1e}, limit {BOUND:.0e}")
    sys.exit(worst > BOUND)


if __name__ == "__main__":
    main()
