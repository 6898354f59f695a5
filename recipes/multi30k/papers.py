"""Compute BLEU as the papers on Multi30k do, for translations of the test set.

    pip install sacremoses
    python papers.py TRANSLATIONS REFERENCES VARIANT SEED [RESULTS.jsonl]

TRANSLATIONS is RUN/test-beam5.txt. REFERENCES is multi30k/test_2016_flickr.de or the .gz file of
the same name. Both sides are tokenised as Moses does (sacremoses for German, without splitting
hyphens) and lower-cased. sacreBLEU then splits at spaces only. With RESULTS.jsonl, the script
copies the row of these translations in that file, with this BLEU as its score.
"""

import sys
from pathlib import Path

import sacrebleu
from sacremoses import MosesTokenizer

from seq2seq.evaluation.result_rows import append_row, read_rows
from seq2seq.text.lines import read_lines


def main() -> None:
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__.strip())
    found, wanted = (list(read_lines(Path(name))) for name in sys.argv[1:3])
    variant, seed = sys.argv[3], int(sys.argv[4])
    moses = MosesTokenizer(lang="de")
    texts = [
        [
            moses.tokenize(line, aggressive_dash_splits=False, return_str=True).lower()
            for line in side
        ]
        for side in (found, wanted)
    ]
    metric = sacrebleu.BLEU(tokenize="none", force=True)
    score = metric.corpus_score(texts[0], [texts[1]])
    print(f"BLEU {score.score:.2f}   {metric.get_signature()}")
    if len(sys.argv) == 6:
        results = Path(sys.argv[5])
        beam = {"beam": 5, "length_penalty": 1.0}
        same = [
            row
            for row in read_rows(results)
            if (row["variant"], row["seed"], row["decoding"]) == (variant, seed, beam)
            and row["split"].startswith("test")
        ]
        if not same:
            sys.exit(
                f"error: {results} has no row of {variant}, seed {seed}, beam 5, on the test set"
            )
        new = {"name": "BLEU as the papers", "value": score.score}
        new["signature"] = f"{metric.get_signature()}|moses:de|lower-cased"
        row = same[-1] | {"metrics": [new], "command": f"python {' '.join(sys.argv)}"}
        append_row(results, row, require_clean=Path.cwd())


if __name__ == "__main__":
    main()
