"""The conditional text generator, which writes texts for a label or a vector of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Self

from seq2seq.decoding.arguments import require_many
from seq2seq.decoding.choice import choose_search
from seq2seq.decoding.loadable import LoadableModel
from seq2seq.decoding.options import AnySearch, SamplingOptions, search_options
from seq2seq.decoding.results import LineResult
from seq2seq.decoding.translator import Translator
from seq2seq.export.artifact import Export
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.tasks import GENERATION, Task
from seq2seq.text.example import join_numbers

if TYPE_CHECKING:
    import torch

    from seq2seq.models.folder import Model


class Generator(LoadableModel):
    """A model of the task "generation". Open a model folder with `Generator.load(folder)`.

    A `Generator` keeps no state between calls, so several threads may share one.
    """

    tasks: ClassVar[tuple[Task, ...]] = (GENERATION,)

    def __init__(self, translator: Translator) -> None:
        """Create a generator from a translator whose source lines are labels or vectors."""
        self.translator = translator

    @classmethod
    def from_model(
        cls,
        model: Model,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> Self:
        """Return a generator that runs `model` with PyTorch (see `LoadableModel.from_model`)."""
        return cls(
            Translator.from_models([model], device=device, dtype=dtype, batch_size=batch_size)
        )

    @classmethod
    def from_export(cls, export: Export, *, batch_size: int = 64) -> Self:
        """Return a generator that runs an export (see `LoadableModel.from_export`)."""
        engine = OnnxEngine([export])
        return cls(Translator(engine, export.codec, [export.config], batch_size=batch_size))

    def generate(
        self,
        condition: str | Iterable[float],
        number: int = 1,
        options: AnySearch | None = None,
        *,
        max_length: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
    ) -> list[str]:
        """Return `number` sampled texts for a label or a vector, the most likely text first.

        condition: a label, or a vector on the scale of the training data. Pass a vector as a list
        of numbers or as text ("0.5 -1 2", or "#1e90ff" for a colour).
        max_length: the maximum length of a text in tokens; None means `data.max_tokens`.
        temperature, top_k, top_p, seed: the fields of `SamplingOptions` with the same names.
        options: the search to use. It replaces `number` and the keyword arguments.

        Raises UserError for an unknown label, a wrong vector, or a value out of range. Raises
        TypeError if both `options` and keyword arguments are given.
        """
        flat = search_options(
            sampling=True,
            n_best=number,
            max_length=max_length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )
        search = choose_search(options, flat, unset=SamplingOptions())
        (result,) = self.stream([condition], search)
        return [translation.text for translation in result.translations]

    def stream(
        self, conditions: Iterable[str | Iterable[float]], options: AnySearch | None = None
    ) -> Iterator[LineResult]:
        """Yield the generated texts and their scores for each condition, in order.

        conditions: labels or vectors, as in `generate`.
        options: the search to use. None means one sample for each condition.

        Raises the same errors as `generate`.
        """
        require_many(conditions, "conditions")
        search = SamplingOptions() if options is None else options
        return self.translator.stream(map(_as_line, conditions), search)


def _as_line(condition: str | Iterable[float]) -> str:
    return condition if isinstance(condition, str) else join_numbers(condition, "the condition")
