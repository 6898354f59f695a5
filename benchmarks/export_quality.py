"""Compare the translations of models with those of their exports: BLEU and changed lines.

    python benchmarks/export_quality.py SOURCE REFERENCE MODEL [MODEL...]

The program exports each model folder to a temporary folder, as int8 and as int8 with a shortlist.
It translates SOURCE with the model in fp32 and with both exports, with beam 5. The table shows BLEU
of the model, the differences of the exports from it, and the number of lines whose text differs. A
shortlist is learned from the training pairs of the model's configuration, which must be readable.

For models of other data, name the text with the model: MODEL:SOURCE:REFERENCE.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import sacrebleu
from text_lines import read_lines

from seq2seq import runtime
from seq2seq.decoding.translator import Translator
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model

EXPORTS = {"int8": False, "int8 + shortlist": True}


def compare(model: Path, lines: list[str], references: list[str]) -> list[float]:
    """Return BLEU of the model, and for each export the difference in BLEU and the number of
    changed lines."""

    def bleu(found: list[str]) -> float:
        return float(sacrebleu.corpus_bleu(found, [references]).score)

    base = Translator.load(model, device="cpu").translate(lines)
    figures = [bleu(base)]
    with tempfile.TemporaryDirectory() as folder:
        for shortlist in EXPORTS.values():
            export = Path(folder) / str(shortlist)
            export_model(load_model(model, locate_data=True), export, "int8", shortlist=shortlist)
            found = Translator.load(export).translate(lines)
            changed = sum(a != b for a, b in zip(base, found, strict=True))
            figures += [bleu(found) - figures[0], changed]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="Text to translate.")
    parser.add_argument("reference", type=Path, help="The translation of each line.")
    parser.add_argument("models", nargs="+", help="Model folders: MODEL or MODEL:SOURCE:REFERENCE.")
    parser.add_argument("--lines", type=int, default=10**9, help="Most lines of a text (all).")
    parser.add_argument("--threads", type=int, default=0, help="Threads of PyTorch (all cores).")
    given = parser.parse_args()
    runtime.set_threads(given.threads)
    print("| model | lines | BLEU fp32 | int8 | lines changed | int8 + shortlist | lines changed |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    rows = []
    for name in given.models:
        model, *own = name.split(":")
        source, reference = map(Path, own or (given.source, given.reference))
        lines, references = (read_lines(path)[: given.lines] for path in (source, reference))
        rows.append(compare(Path(model), lines, references))
        bleu, int8, changed, short, short_changed = rows[-1]
        folder = Path(model)
        title = folder.parent.name if folder.name == "model" else folder.name
        print(
            f"| {title} | {len(lines):,} | {bleu:.2f} | {int8:+.2f} | {changed:.0f} "
            f"| {short:+.2f} | {short_changed:.0f} |",
            flush=True,
        )
    for column, export in ((1, "int8"), (3, "int8 + shortlist")):
        differences = [row[column] for row in rows]
        print(
            f"\n{export}: mean difference {statistics.mean(differences):+.2f} BLEU, "
            f"worst {min(differences):+.2f}"
        )


if __name__ == "__main__":
    main()
