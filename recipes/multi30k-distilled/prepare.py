"""Write training pairs, followed by the same sources with the translations of an ensemble.

    python prepare.py CONFIG OUTPUT MODEL...

The `[data]` section of CONFIG names the training pairs. The script writes train.SOURCE and
train.TARGET in OUTPUT, with twice as many lines as there are pairs. Each translation is the best of
a beam of 5 (sequence-level distillation, Kim & Rush 2016; with an ensemble as the teacher, Freitag
et al. 2017).
"""

import sys
from pathlib import Path

import seq2seq
from seq2seq.config.toml import load_config
from seq2seq.decoding.options import BeamOptions
from seq2seq.files import write_atomically
from seq2seq.text.corpus import read_examples


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit("usage: python prepare.py CONFIG OUTPUT MODEL...")
    data = load_config(Path(sys.argv[1])).data
    output = Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    examples = list(read_examples(data, "train"))
    sources = [example.source for example in examples]
    translations: list[str] = []
    for result in seq2seq.load(*sys.argv[3:]).stream(sources, BeamOptions(beam=5)):
        translations.append(result.best.text)
        if len(translations) % 1000 == 0:
            print(f"{len(translations):,} of {len(sources):,} lines", file=sys.stderr)
    targets = [example.target for example in examples]
    for language, lines in (
        (data.source, sources + sources),
        (data.target, targets + translations),
    ):
        text = "".join(f"{line}\n" for line in lines)
        write_atomically(output / f"train.{language}", text.encode("utf-8"))


if __name__ == "__main__":
    main()
