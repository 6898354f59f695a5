"""A decoder of benchmarks/decode.py: a model of CTranslate2, which gets and gives subwords."""

from __future__ import annotations

from collections.abc import Callable

import ctranslate2
import protocol


class CTranslate2:
    def __init__(self, model: str, threads: int, workers: int) -> None:
        self.translator = ctranslate2.Translator(
            model, device="cpu", compute_type="int8", inter_threads=workers, intra_threads=threads
        )

    def translate(
        self, lines: list[str], beam: int, batch: int, mark: Callable[[], None]
    ) -> list[int]:
        self._translate(lines[: 2 * batch], beam, batch)
        mark()
        return self._translate(lines, beam, batch)

    def translate_line(self, line: str, beam: int) -> None:
        self._translate([line], beam, 1)

    def _translate(self, lines: list[str], beam: int, batch: int) -> list[int]:
        results = self.translator.translate_batch(
            [line.split() for line in lines],
            max_batch_size=batch,
            beam_size=beam,
            min_decoding_length=protocol.TOKENS,
            max_decoding_length=protocol.TOKENS,
        )
        return [len(result.hypotheses[0]) for result in results]


if __name__ == "__main__":
    given = protocol.parsed(__doc__)
    protocol.serve(CTranslate2(given.model, given.threads, given.workers))
