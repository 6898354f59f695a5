"""A language model: continues a prompt, and measures how well it predicts a text."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.decoding.arguments import each_text, require_text
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.options import SamplingOptions, require_sampling
from seq2seq.decoding.sampling import make_sampler, uniform_numbers
from seq2seq.decoding.text_perplexity import measure_lines
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export, open_exports
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.tasks import LANGUAGE_MODEL, Task
from seq2seq.text.codec import Codec

if TYPE_CHECKING:  # an engine need not be PyTorch's
    import torch

    from seq2seq.models.folder import Model
    from seq2seq.models.perplexity_value import Perplexity

_log = logging.getLogger(__name__)

_BROKEN = "\ufffd"  # what bytes that are no whole character yet are decoded to
_LENGTH = 200  # tokens, where the options do not limit them


class LanguageModel:
    """An engine and the codec of its model, ready to write.

    `LanguageModel.load(folder)` opens one. An object keeps no state between calls, so several
    threads may use it.
    """

    tasks: ClassVar[tuple[Task, ...]] = (LANGUAGE_MODEL,)

    def __init__(
        self,
        engine: Engine[Any],
        codec: Codec,
        config: Config,
        *,
        machine: tuple[Model, torch.device, torch.dtype] | None = None,
    ) -> None:
        """config: of the model. machine: the model, its device and the dtype of its matrix
        products, which `perplexity` needs."""
        self.engine, self.config, self.tokenizer = engine, config, codec.target
        self._machine = machine

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
        machine = (model, engine.device, engine.dtype)
        return cls(engine, model.codec, model.config, machine=machine)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", precision: str = "fp32"
    ) -> LanguageModel:
        """Open a model folder.

        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1". precision: "fp32", "bf16"
        or "auto". Raises UserError for a folder that is not a complete model folder, and for a
        model of another task.
        """
        if is_export(folder):
            (export,) = open_exports([folder], cls.tasks, device=device, precision=precision)
            return cls(OnnxEngine([export]), export.codec, export.config)
        from seq2seq import runtime
        from seq2seq.models.folder import load_model

        chosen = runtime.select_device(device)
        dtype = runtime.select_dtype(precision, chosen)
        return cls.from_model(load_model(Path(folder), cls.tasks), device=chosen, dtype=dtype)

    def perplexity(self, text: str | Iterable[str]) -> Perplexity:
        """Measure how well the model predicts a text: over the whole of it, the state carried from
        line to line.

        text: one string, or its lines. The ends of lines are tokens where the model has learned
        them. Returns the perplexity (`value`), nats a token (`loss`) and the number of `tokens`.
        Raises TypeError for a line that is not a string, UserError for a text without a token.
        """
        lines = text.removesuffix("\n").split("\n") if isinstance(text, str) else text
        return self.measure(each_text(lines, "lines"), "the text")

    def measure(self, lines: Iterable[str], name: str) -> Perplexity:
        """The perplexity of a text that is called `name` in messages."""
        if self._machine is None:
            line_ends = self.config.data.line_ends
            return measure_lines(self.engine, self.tokenizer, lines, name, line_ends=line_ends)
        from seq2seq.models.perplexity import perplexity_of_lines

        model, device, dtype = self._machine
        return perplexity_of_lines(model, lines, device, dtype, name)

    def generate(
        self,
        prompt: str | None = None,
        options: SamplingOptions | None = None,
        *,
        max_length: int = _LENGTH,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
    ) -> str:
        """Return the text that follows the prompt; None: write from the beginning.

        max_length: in tokens. options: the draw, instead of the keywords. Raises TypeError for both
        options and keywords, and UserError for values out of range and for a prompt that holds no
        token.
        """
        flat = SamplingOptions(
            max_length=max_length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        if options is not None and flat != SamplingOptions(max_length=_LENGTH):
            raise TypeError("options and keywords are both given: put all settings into options")
        return "".join(self.stream(prompt, options or flat))

    def stream(
        self, prompt: str | None = None, options: SamplingOptions | None = None
    ) -> Iterator[str]:
        """Yield the text that follows the prompt, piece by piece as it is written.

        A line that ends is a newline; <unk> is never written. options: 200 tokens at temperature 1
        if None. Raises UserError, with the first piece, for a prompt that holds no token.
        """
        options = SamplingOptions() if options is None else options
        require_sampling(options)
        if self.config.decoder.bidirectional:
            _log.warning(
                "the model is bidirectional: it has learned to see what comes, and what it writes "
                "without seeing it is no language"
            )
        tokenizer = self.tokenizer
        context: list[int] = []
        if prompt is not None:
            require_text(prompt, "prompt")
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
