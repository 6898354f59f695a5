"""Compare the speed of encoding a corpus with that of SentencePiece alone.

    python benchmarks/encoding.py CONFIG.toml

seq2seq reads the text of the pairs from disk, encodes both sides and writes the ids to disk, as it
does when it prepares the data. SentencePiece encodes the same lines from memory with the same
number of threads and does not write the ids. Rounds of both alternate. The program prints the
median number of pairs per second over the rounds. No other program should run at the same time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import sentencepiece

from seq2seq import runtime
from seq2seq.config import toml
from seq2seq.text import preparation
from seq2seq.text.dataset import Dataset, encode_examples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="Configuration that names the corpus.")
    parser.add_argument(
        "--rounds", type=int, default=7, help="Number of timed rounds (default: 7)."
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="Number of CPU threads (default: 0, all cores)."
    )
    arguments = parser.parse_args()
    threads = runtime.set_threads(arguments.threads)
    config = toml.load_config(arguments.config)
    with tempfile.TemporaryDirectory() as folder:
        prepared = preparation.prepare_data(config, Path(folder) / "data", threads)
        tokenizer = prepared.codec.source
        if prepared.codec.target is not tokenizer:
            raise SystemExit(f"{arguments.config}: set tokenizer.joint = true for this benchmark")
        alone = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
        examples = prepared.train.examples()
        lines = [side for example in examples for side in (example.source, example.target)]
        pairs, rates = len(prepared.train), (list[float](), list[float]())
        for number in range(arguments.rounds + 1):
            start = time.perf_counter()
            content = encode_examples(prepared.train.examples(), prepared.codec, threads)
            Dataset.write(Path(folder) / f"{number}.arrow", content)
            between = time.perf_counter()
            alone.EncodeAsIds(lines, num_threads=threads)
            end = time.perf_counter()
            if number:  # the first round is a warm-up
                rates[0].append(pairs / (between - start))
                rates[1].append(pairs / (end - between))
    print(f"{pairs:,} pairs, {threads} threads")
    for name, found in zip(
        ("seq2seq, from disk to disk", "SentencePiece alone"), rates, strict=True
    ):
        median = statistics.median(found)
        print(f"{name}: {median:,.0f} pairs/s ({min(found):,.0f} to {max(found):,.0f})")
    print(f"ratio {statistics.median(rates[0]) / statistics.median(rates[1]):.2f}")


if __name__ == "__main__":
    main()
