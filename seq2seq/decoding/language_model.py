"""The language model, which continues a prompt and measures the perplexity of a text."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.decoding.arguments import each_text, require_text
from seq2seq.decoding.choice import require_sampling
from seq2seq.decoding.constraint_options import ConstraintValues
from seq2seq.decoding.constraints import ConstrainedEngine, Constraints
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.loadable import LoadableModel
from seq2seq.decoding.options import SamplingOptions
from seq2seq.decoding.phrases import until_stop
from seq2seq.decoding.prompt import encode_prompt
from seq2seq.decoding.results import NoteLog, watch_unknown_tokens
from seq2seq.decoding.sampling import make_sampler, uniform_numbers
from seq2seq.decoding.stepping import Specials, require_finite
from seq2seq.decoding.text_perplexity import measure_lines
from seq2seq.errors import UserError
from seq2seq.export.artifact import Export
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.tasks import LANGUAGE_MODEL, Task
from seq2seq.text.codec import Codec
from seq2seq.text.languages import uses_spaces

if TYPE_CHECKING:  # other engines do not need PyTorch
    import torch

    from seq2seq.models.folder import Model
    from seq2seq.models.perplexity_value import Perplexity

_log = logging.getLogger(__name__)

_BROKEN = "\ufffd"  # the replacement character: decoded from an incomplete UTF-8 sequence
_LENGTH = 200  # tokens to generate if the options set no maximum


class LanguageModel(LoadableModel):
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
        batch_size: int = 64,
    ) -> Self:
        """Return a language model that runs `model` with PyTorch.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        batch_size: ignored, because a language model generates one text at a time.
        """
        from seq2seq.decoding.torch_engine import TorchEngine

        engine = TorchEngine([model.network], model.codec, device, dtype)
        machine = (model, engine.device, engine.dtype)
        return cls(engine, model.codec, model.config, machine=machine)

    @classmethod
    def from_export(cls, export: Export, *, batch_size: int = 64) -> Self:
        """Return a language model that runs an export (see `LoadableModel.from_export`)."""
        return cls(OnnxEngine([export]), export.codec, export.config)

    def perplexity(self, text: str | Iterable[str]) -> Perplexity:
        """Return the perplexity of the model on a text.

        The hidden state is carried from line to line, so the whole text is one sequence. The end of
        a line counts as a token if the model was trained with line ends (`data.line_ends`).

        text: the text as one string, or as an iterable of lines.

        Returns an object with the perplexity (`value`), the loss in nats per token (`loss`), the
        number of tokens (`tokens`), the fraction of tokens that the vocabulary lacks
        (`unknown_share`) and the perplexity without them (`known_value`). Raises TypeError for a
        line that is not a string. Raises UserError for a text without tokens.
        """
        if isinstance(text, str):
            text = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        return self.measure(each_text(text, "lines"), "the text")

    def measure(self, lines: Iterable[str], name: str) -> Perplexity:
        """Return the perplexity of the model on the lines of one text.

        name: the name of the text in error messages. Raises the same errors as `perplexity`.
        Warnings name the lines with unknown tokens.
        """
        with NoteLog() as log:
            encode = watch_unknown_tokens(self.tokenizer, log)
            if self._machine is None:
                ends = self.config.data.line_ends
                return measure_lines(
                    self.engine, self.tokenizer, lines, name, line_ends=ends, encode=encode
                )
            from seq2seq.models.perplexity import perplexity_of_lines

            model, device, dtype = self._machine
            return perplexity_of_lines(model, lines, device, dtype, name, encode=encode)

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
        **constraints: Unpack[ConstraintValues],
    ) -> str:
        """Sample a continuation of the prompt and return it without the prompt.

        prompt: the text to continue. With None, the model starts a new text.
        max_length: the number of tokens to generate.
        temperature, top_k, top_p, seed: the fields of `SamplingOptions` with the same names.
        constraints: stop, forbid and no_repeat_ngram, as in `ConstraintOptions`.
        options: sampling options, which replace the keyword arguments.

        Raises TypeError if both `options` and keyword arguments are given. Raises UserError for a
        value out of range, and for a prompt without tokens.
        """
        flat = SamplingOptions(
            max_length=max_length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            **constraints,
        )
        if options is not None and flat != SamplingOptions(max_length=_LENGTH):
            raise TypeError(
                "the argument options and keyword arguments cannot be combined: set all in options"
            )
        return "".join(self.stream(prompt, options or flat))

    def stream(
        self, prompt: str | None = None, options: SamplingOptions | None = None
    ) -> Iterator[str]:
        """Yield the continuation of the prompt, piece by piece as it is generated.

        Lines end in a newline, in the prompt as well. The model never generates the unknown token
        <unk>. The text ends before the first stop string.

        options: the sampling options. None means 200 tokens at temperature 1.

        The first piece raises TypeError if `options` is not a `SamplingOptions` object, and
        UserError if the prompt has no tokens or if `options` has a target prefix.
        """
        options = SamplingOptions() if options is None else options
        require_sampling(options)
        if options.target_prefix:
            raise UserError("a language model has no target prefix: use a prompt")
        yield from until_stop(self._pieces(prompt, options), options.stop)

    def _pieces(self, prompt: str | None, options: SamplingOptions) -> Iterator[str]:
        if self.config.decoder.bidirectional:
            _log.warning(
                "the model is bidirectional: it was trained to see the tokens on both sides of a "
                "position, so the generated text will make no sense; use a model that was trained "
                "with decoder.bidirectional = false"
            )
        tokenizer = self.tokenizer
        context: list[int] = []
        line: list[int] = []
        if prompt is not None:
            require_text(prompt, "prompt")
            context, line = encode_prompt(prompt, tokenizer, line_ends=self.config.data.line_ends)
            if not context:
                raise UserError(
                    "the prompt is empty: write at least one word, or leave out the prompt"
                )
        text = tokenizer.decode([line], tabs=True)[0]
        shown = len(text)
        for token in self.tokens(context, options):
            if token == tokenizer.eos:
                yield text[shown:] + "\n"
                line, text, shown = [], "", 0
                continue
            line = [*line, token]
            text = tokenizer.decode([line], tabs=True)[0]
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
        engine = self._engine(options)
        state = engine.start([np.zeros(0, np.int64)])
        *read, last = (np.array([token]) for token in (tokenizer.bos, *context))
        for token in read:
            _, state = engine.step(state, token)
        for number in uniform_numbers(options.seed, options.max_length or _LENGTH):
            log_p, state = engine.step(state, last)
            log_p.exclude(forbidden)
            last = sampler(log_p, np.array([number]))
            require_finite(log_p.at(last))
            yield int(last[0])

    def _engine(self, options: SamplingOptions) -> Engine[Any]:
        """Return an engine that obeys the options `forbid` and `no_repeat_ngram`."""
        if not (options.forbid or options.no_repeat_ngram):
            return self.engine
        tokenizer = self.tokenizer
        forbidden = (tokenizer.pad, tokenizer.unk, tokenizer.bos)
        specials = Specials(tokenizer.bos, tokenizer.eos, forbidden)
        free = replace(options, stop=())  # `stream` handles the stop strings
        spaced = uses_spaces(self.config.data.target)
        limited = Constraints(free, tokenizer, specials, whole_words=spaced)
        return ConstrainedEngine(self.engine, limited)
