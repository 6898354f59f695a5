"""A decoder of benchmarks/decode.py: a model of Eole, which gets subwords and gives subwords."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import protocol
import torch
from eole.config.run import PredictConfig
from eole.inference_engine import InferenceEnginePY


class Eole:
    def __init__(self, model: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.config = PredictConfig(
            model_path=model,
            src="unused",
            output=os.devnull,
            beam_size=5,
            min_length=protocol.TOKENS,
            max_length=protocol.TOKENS,
            max_length_ratio=0,
            batch_type="sents",
            compute_dtype="fp32",
        )
        self.engine = InferenceEnginePY(self.config)

    def translate(
        self, lines: list[str], beam: int, batch: int, mark: Callable[[], None]
    ) -> list[int]:
        self._predict(lines[:batch], beam, batch)
        mark()
        return [len(best[0].split()) for best in self._predict(lines, beam, batch)]

    def translate_line(self, line: str, beam: int) -> None:
        self._predict([line], beam, 1)

    def _predict(self, lines: list[str], beam: int, batch: int) -> Any:
        self.config.batch_size = batch
        return self.engine.infer_list(lines, {"beam_size": beam})[2]


if __name__ == "__main__":
    given = protocol.parsed(__doc__)
    protocol.serve(Eole(given.model, given.threads))
