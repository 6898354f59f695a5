"""The language model, which continues a prompt and measures the perplexity of a text."""

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

if TYPE_CHECKING:  # other engines do not need PyTorch
    import torch

    from seq2seq.models.folder import Model
    from seq2seq.models.perplexity_value import Perplexity

_log = logging.getLogger(__name__)

_BROKEN = "\ufffd"  # the replacement character: decoded from an incomplete UTF-8 sequence
_LENGTH = 200  # tokens to generate if the options set no maximum


class LanguageModel:
    """A model of the task "language-model". Open a model folder with `LanguageModel.load(folder)`.

    A `LanguageModel` keeps no state between calls, so several threads may share one.
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
        """Combine an engine with the codec and the configuration of its model.

        machine: the PyTorch model, its device and the dtype of its matrix products. Only the method
        `perplexity` needs this argument.
        """
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
        """Return a language model that runs `model` with PyTorch.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        """
        from seq2seq.decoding.torch_engine import TorchEngine

        engine = TorchEngine([model.network], model.codec, device, dtype)
        machine = (model, engine.device, engine.dtype)
        return cls(engine, model.codec, model.config, machine=machine)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", precision: str = "fp32"
    ) -> LanguageModel:
        """Open a model folder.

        device: "auto" (a GPU if available, otherwise the CPU), "cpu", "cuda" or "cuda:1".
        precision: "fp32", "bf16" or "auto".

        Raises UserError if the folder is not a complete model folder, if the model has another
        task, or if the device or the precision is not available.
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
        """Return the perplexity of the model on a text.

        The hidden state is carried from line to line, so the whole text is one sequence. The end of
        a line counts as a token if the model was trained with line ends (`data.line_ends`).

        text: the text as one string, or as an iterable of lines.

        Returns an object with three fields: the perplexity (`value`), the loss in nats per token
        (`loss`) and the number of tokens (`tokens`). Raises TypeError for a line that is not a
        string. Raises UserError for a text without tokens.
        """
        if isinstance(text, str):
            text = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        return self.measure(each_text(text, "lines"), "the text")

    def measure(self, lines: Iterable[str], name: str) -> Perplexity:
        """Return the perplexity of the model on the lines of one text.

        name: the name of the text in error messages. Raises the same errors as `perplexity`.
        """
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
        """Sample a continuation of the prompt and return it without the prompt.

        prompt: the text to continue. With None, the model starts a new text.
        max_length: the number of tokens to generate.
        temperature, top_k, top_p, seed: the fields of `SamplingOptions` with the same names.
        options: sampling options, which replace the keyword arguments.

        Raises TypeError if both `options` and keyword arguments are given. Raises UserError for a
        value out of range, and for a prompt without tokens.
        """
        flat = SamplingOptions(
            max_length=max_length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        if options is not None and flat != SamplingOptions(max_length=_LENGTH):
            raise TypeError("options and keyword arguments cannot be combined: use only options")
        return "".join(self.stream(prompt, options or flat))

    def stream(
        self, prompt: str | None = None, options: SamplingOptions | None = None
    ) -> Iterator[str]:
        """Yield the continuation of the prompt, piece by piece as it is generated.

        Lines end in a newline. The model never generates the unknown token <unk>.

        options: the sampling options. None means 200 tokens at temperature 1.

        The first piece raises TypeError if `options` is not a `SamplingOptions` object, and
        UserError if the prompt has no tokens.
        """
        options = SamplingOptions() if options is None else options
        require_sampling(options)
        if self.config.decoder.bidirectional:
            _log.warning(
                "the model is bidirectional: it was trained to see the tokens on both sides of a "
                "position, so the generated text will make no sense; use a model that was trained "
                "with decoder.bidirectional = false"
            )
        tokenizer = self.tokenizer
        context: list[int] = []
        if prompt is not None:
            require_text(prompt, "prompt")
            (context,) = tokenizer.encode([prompt])
            if not context:
                raise UserError(
                    "the prompt is empty: write at least one word, or leave out the prompt"
                )
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
            # Up to 3 replacement characters at the end may be the first bytes of a character.
            end = len(text) - min(3, len(text) - len(text.rstrip(_BROKEN)))
            yield text[shown:end]
            shown = max(shown, end)
        yield text[shown:]

    def tokens(self, context: list[int], options: SamplingOptions) -> Iterator[int]:
        """Sample a continuation of the token ids `context`, and yield the sampled token ids.

        BOS is put before `context`. Yields `options.max_length` ids (None means 200).
        """
        tokenizer = self.tokenizer
        # A model that was trained without line ends never generates EOS.
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
