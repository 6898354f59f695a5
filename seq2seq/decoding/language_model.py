"""A language model continues a prompt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.options import SamplingOptions
from seq2seq.decoding.sampling import make_sampler, uniform_numbers
from seq2seq.errors import UserError
from seq2seq.tasks import LANGUAGE_MODEL
from seq2seq.text.codec import Codec

if TYPE_CHECKING:  # an engine need not be PyTorch's
    import torch

    from seq2seq.models.folder import Model

_log = logging.getLogger(__name__)

_BROKEN = "\ufffd"  # what bytes that are no whole character yet are decoded to
_LENGTH = 200  # tokens, where the options do not limit them


class LanguageModel:
    """An engine and the codec of its model, ready to write."""

    def __init__(self, engine: Engine[Any], codec: Codec, config: Config) -> None:
        """config: of the model. Warns where the model cannot write well."""
        self.engine, self.config, self.tokenizer = engine, config, codec.target
        if config.decoder.bidirectional:
            _log.warning(
                "the model is bidirectional: it has learned to see what comes, and what it writes "
                "without seeing it is no language"
            )

    @classmethod
    def from_model(
        cls,
        model: Model,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> LanguageModel:
        """A model on PyTorch: by default on the CPU, in float32."""
        from seq2seq.decoding.torch_engine import TorchEngine

        engine = TorchEngine([model.network], model.codec, device, dtype)
        return cls(engine, model.codec, model.config)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", precision: str = "fp32"
    ) -> LanguageModel:
        """Open a model folder. Raises UserError."""
        from seq2seq import runtime
        from seq2seq.models.folder import load_model

        chosen = runtime.select_device(device)
        dtype = runtime.select_dtype(precision, chosen)
        return cls.from_model(
            load_model(Path(folder), [LANGUAGE_MODEL]), device=chosen, dtype=dtype
        )

    def generate(self, prompt: str | None, options: SamplingOptions) -> Iterator[str]:
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
        for token in self.tokens(context, options):
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

    def tokens(self, context: list[int], options: SamplingOptions) -> Iterator[int]:
        """The ids that follow BOS and `context`: `options.max_length` of them, or 200."""
        tokenizer = self.tokenizer
        # A text whose lines run on has no end, either.
        forbidden = [tokenizer.pad, tokenizer.unk, tokenizer.bos]
        forbidden += [] if self.config.data.line_ends else [tokenizer.eos]
        sampler = make_sampler(options.temperature, options.top_k, options.top_p)
        state = self.engine.start([np.zeros(0, np.int64)])
        *read, last = (np.array([token]) for token in (tokenizer.bos, *context))
        for token in read:
            _, state = self.engine.step(state, token)
        for number in uniform_numbers(options.seed, options.max_length or _LENGTH):
            log_p, state = self.engine.step(state, last)
            log_p.exclude(forbidden)
            last = sampler(log_p, np.array([number]))
            yield int(last[0])
