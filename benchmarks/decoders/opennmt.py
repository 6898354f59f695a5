"""A decoder of benchmarks/decode.py: a model of OpenNMT-py, which gets and gives subwords."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import onmt.opts
import protocol
import torch
from onmt.inference_engine import InferenceEnginePY
from onmt.utils.parse import ArgumentParser

# It reads its own checkpoints, with a pickled namespace in them.
torch.load = partial(torch.load, weights_only=False)


class OpenNMT:
    def __init__(self, model: str, threads: int) -> None:
        torch.set_num_threads(threads)
        parser = ArgumentParser()
        onmt.opts.translate_opts(parser)
        length = str(protocol.TOKENS)
        arguments = ["-model", model, "-src", "unused", "-output", os.devnull]
        arguments += ["-batch_type", "sents"]
        arguments += ["-min_length", length, "-max_length", length, "-max_length_ratio", "0"]
        self.options = parser.parse_args(arguments)
        ArgumentParser.validate_translate_opts(self.options)
        ArgumentParser._get_all_transform_translate(self.options)
        ArgumentParser._validate_transforms_opts(self.options)
        ArgumentParser.validate_translate_opts_dynamic(self.options)
        self.engine = InferenceEnginePY(self.options)

    def translate(
        self, lines: list[str], beam: int, batch: int, mark: Callable[[], None]
    ) -> list[int]:
        self._translate(lines[:batch], beam, batch)
        mark()
        return [len(best[0].split()) for best in self._translate(lines, beam, batch)]

    def translate_line(self, line: str, beam: int) -> None:
        self._translate([line], beam, 1)

    def _translate(self, lines: list[str], beam: int, batch: int) -> Any:
        self.options.batch_size, self.engine.translator.beam_size = batch, beam
        return self.engine.infer_list(lines)[1]


if __name__ == "__main__":
    given = protocol.parsed(__doc__)
    protocol.serve(OpenNMT(given.model, given.threads))
