"""Check that the translation of a line does not depend on how the lines are translated.

    python benchmarks/batch_invariance.py MODEL SOURCE [--lines N]

MODEL is a model folder, or an export. The program translates all lines of SOURCE with several batch
sizes, in order and shuffled, with greedy search and with beam 5. It compares each result with the
translation of one line at a time. An export is also translated with two threads and with two
processes (--jobs 2).

The program prints the number of lines whose text differs, the largest score difference of lines
with equal texts, and the largest score difference of lines with different texts. For fp32, both
differences must be at most 1e-4 (different texts are then a tie). For int8, texts and scores must
be identical to the bit. Otherwise the program exits with code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path

from text_lines import read_lines

from seq2seq.decoding.micro_batches import windows
from seq2seq.decoding.options import AnySearch, search_options
from seq2seq.decoding.results import Translation
from seq2seq.decoding.translator import Translator
from seq2seq.decoding.worker_pool import WorkerPool
from seq2seq.export.artifact import is_export, load_export
from seq2seq.export.sessions import set_thread_count

BOUND = 1e-4
SIZES = (1, 2, 3, 17, 64, 512)

Translate = Callable[[list[str], AnySearch], list[Translation]]


def with_threads(model: Path, batch_size: int, threads: int) -> Translate:
    """Return a function that translates lines in this process."""
    set_thread_count(threads)
    translator = Translator.load(model, device="cpu", batch_size=batch_size)

    def translate(lines: list[str], search: AnySearch) -> list[Translation]:
        return [result.best for result in translator.translate_windows([lines], search)]

    return translate


def with_jobs(model: Path, batch_size: int, jobs: int) -> Translate:
    """Return a function that translates lines in several processes."""
    pool = WorkerPool([model], jobs, batch_size=batch_size)

    def translate(lines: list[str], search: AnySearch) -> list[Translation]:
        parts = windows(lines, 100)  # small, so that every process gets several
        return [result.best for result in pool.translate_windows(parts, search)]

    return translate


def in_order(translate: Translate, lines: list[str], search: AnySearch) -> list[Translation]:
    """Translate the lines in their order."""
    return translate(lines, search)


def shuffled(translate: Translate, lines: list[str], search: AnySearch) -> list[Translation]:
    """Translate the lines in a random order and return the translations in the original order."""
    order = list(range(len(lines)))
    random.Random(1).shuffle(order)
    found = translate([lines[i] for i in order], search)
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="Model folder or export.")
    parser.add_argument("source", type=Path, help="Text to translate.")
    parser.add_argument("--lines", type=int, default=1000, help="Most lines (default: 1,000).")
    given = parser.parse_args()
    lines = read_lines(given.source)[: given.lines]
    ways = {"1 thread": (with_threads, 1)}
    exact = False
    if is_export(given.model):
        ways |= {"2 threads": (with_threads, 2), "2 jobs": (with_jobs, 2)}
        exact = load_export(given.model).precision == "int8"
    bound, worst, changed = 0.0 if exact else BOUND, 0.0, 0
    print(f"{len(lines):,} lines, {given.model}")
    print("search   way       batch             differing lines  difference (equal, differing)")
    for beam in (1, 5):
        name = "greedy" if beam == 1 else f"beam {beam}"
        search = search_options(beam=beam)
        alone = with_threads(given.model, 1, 1)(lines, search)
        for way, (opened, count) in ways.items():
            for size in SIZES:
                translate = opened(given.model, size, count)
                for order in (in_order, shuffled):
                    found = order(translate, lines, search)
                    number, equal, other = compare(alone, found)
                    worst, changed = max(worst, equal, other), changed + number
                    print(
                        f"{name:8} {way:9} {size:5} {order.__name__:11} {number:15}  "
                        f"{equal:.1e}, {other:.1e}",
                        flush=True,
                    )
    print(f"largest score difference {worst:.1e}, limit {bound:.0e}")
    sys.exit(worst > bound or (exact and changed > 0))


if __name__ == "__main__":
    main()
