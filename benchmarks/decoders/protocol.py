"""The conversation between benchmarks/decode.py and a decoder, a process that keeps a model loaded.

A decoder runs in the Python environment of its toolkit, so this module needs the standard library
alone. Each request and each answer is a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

TOKENS = 16  # of each translation, by force


class Decoder(Protocol):
    """A loaded model."""

    def translate(
        self, lines: list[str], beam: int, batch: int, mark: Callable[[], None]
    ) -> Iterator[int] | list[int]:
        """Return the number of tokens of each translation. Call `mark` when everything that is done
        once is done and the translation of `lines` begins."""

    def translate_line(self, line: str, beam: int) -> Any:
        """Translate one line."""


def parsed(description: str | None) -> argparse.Namespace:
    """Parse the command line of a decoder: the model, and the numbers of threads and workers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", help="Model to load.")
    parser.add_argument("--threads", type=int, default=1, help="Threads of a worker (default: 1).")
    parser.add_argument("--workers", type=int, default=1, help="Number of workers (default: 1).")
    parser.add_argument("--precision", default="fp32", help="Number format (default: fp32).")
    return parser.parse_args()


def serve(decoder: Decoder) -> None:
    """Answer requests from stdin until it is closed.

    {"do": "speed", "lines", "beam", "batch"} → {"seconds", "tokens"}
    {"do": "latency", "lines", "beam"} → {"milliseconds": one for each line}
    {"do": "METHOD", ...} → {"value": what the decoder's method returns}
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some toolkits write their log to stdout
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_answer(decoder, **request)), file=answers, flush=True)


def _answer(decoder: Decoder, do: str, **rest: Any) -> dict[str, Any]:
    if do == "speed":
        start = time.perf_counter()

        def mark() -> None:
            nonlocal start
            start = time.perf_counter()

        lengths = list(decoder.translate(mark=mark, **rest))
        seconds = time.perf_counter() - start
        assert len(lengths) == len(rest["lines"]), "a line was lost"
        return {"seconds": seconds, "tokens": sum(lengths)}
    if do == "latency":
        times = []
        for text in rest["lines"]:
            start = time.perf_counter()
            decoder.translate_line(text, rest["beam"])
            times.append(1000 * (time.perf_counter() - start))
        return {"milliseconds": times}
    return {"value": getattr(decoder, do)(**rest)}
