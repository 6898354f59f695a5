"""A language model writes on from a prompt."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from seq2seq import runtime
from seq2seq.decoding.sampling import make_sampler, sampling_problems
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.models.language_model import LanguageModelNetwork
from seq2seq.tasks import LANGUAGE_MODEL

log = logging.getLogger(__name__)

_BROKEN = "\ufffd"  # what bytes that are no whole character yet are decoded to


@dataclass(frozen=True)
class Sampling:
    """How a text is drawn: see `sampling.sample_search`. length: of what is written, in tokens."""

    length: int = 200
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        wrong = sampling_problems(self.temperature, self.top_k, self.top_p)
        if self.length < 1:
            wrong.append("the length must be at least 1")
        if wrong:
            raise UserError("; ".join(wrong))


class LanguageModel:
    """A language model, ready to write."""

    def __init__(self, model: Model, *, device: str = "cpu", precision: str = "fp32") -> None:
        """Raises UserError where the device is not there."""
        self.device = runtime.select_device(device)
        self.dtype = runtime.select_dtype(precision, self.device)
        self.config, self.tokenizer = model.config, model.codec.target
        self.network = cast(LanguageModelNetwork, model.network.to(self.device).eval())
        if self.config.decoder.bidirectional:
            log.warning(
                "the model is bidirectional: it has learned to see what comes, and what it writes "
                "without seeing it is no language"
            )

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", precision: str = "fp32"
    ) -> LanguageModel:
        """Open a model folder. Raises UserError."""
        model = model_folder.load_model(Path(folder), [LANGUAGE_MODEL])
        return cls(model, device=device, precision=precision)

    def generate(self, prompt: str | None, sampling: Sampling) -> Iterator[str]:
        """The text behind the prompt, piece by piece as it is written; None: from the beginning.

        A line that ends is a newline; <unk> is never written. Raises UserError for a prompt that
        holds no token.
        """
        tokenizer = self.tokenizer
        context: list[int] = []
        if prompt is not None:
            (context,) = tokenizer.encode([prompt])
            if not context:
                raise UserError("the prompt is empty: give it a word, or leave it out")
        line = context
        text = tokenizer.decode([line])[0]
        shown = len(text)
        for token in self.tokens(context, sampling):
            if token == tokenizer.eos:
                yield text[shown:] + "\n"
                line, text, shown = [], "", 0
                continue
            line = [*line, token]
            text = tokenizer.decode([line])[0]
            # The last bytes may be a character's beginning: no character has more than four.
            end = len(text) - min(3, len(text) - len(text.rstrip(_BROKEN)))
            yield text[shown:end]
            shown = max(shown, end)
        yield text[shown:]

    @torch.inference_mode()
    def tokens(self, context: list[int], sampling: Sampling) -> Iterator[int]:
        """The ids that follow BOS and `context`."""
        tokenizer = self.tokenizer
        # A text whose lines run on has no end, either.
        forbidden = [tokenizer.pad, tokenizer.unk, tokenizer.bos]
        forbidden += [] if self.config.data.line_ends else [tokenizer.eos]
        random = torch.Generator().manual_seed(sampling.seed)
        choose = make_sampler(sampling.temperature, sampling.top_k, sampling.top_p, [random])
        row = torch.zeros(1, dtype=torch.int64, device=self.device)
        state = self.network.start(1)
        for token in [tokenizer.bos, *context][:-1]:
            with runtime.autocast(self.device, self.dtype):
                _, state = self.network.step(state, torch.full_like(row, token))
        last = torch.full_like(row, ([tokenizer.bos, *context])[-1])
        for _ in range(sampling.length):
            with runtime.autocast(self.device, self.dtype):
                log_p, state = self.network.step(state, last)
            log_p[:, forbidden] = -math.inf
            last = choose(log_p, row)
            yield int(last)
