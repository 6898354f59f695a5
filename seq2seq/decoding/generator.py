"""A generator: writes texts for a label or a vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from seq2seq.decoding.arguments import require_many
from seq2seq.decoding.options import AnySearch, SamplingOptions, choose_search, search_options
from seq2seq.decoding.results import LineResult
from seq2seq.decoding.translator import Translator
from seq2seq.tasks import GENERATION, Task
from seq2seq.text.example import join_numbers

if TYPE_CHECKING:
    import torch

    from seq2seq.models.folder import Model


class Generator:
    """A model of task "generation". `Generator.load(folder)` opens one.

    An object keeps no state between calls, so several threads may use it.
    """

    tasks: ClassVar[tuple[Task, ...]] = (GENERATION,)

    def __init__(self, translator: Translator) -> None:
        """translator: what searches; it reads a condition where others read a line."""
        self.translator = translator

    @classmethod
    def from_model(
        cls,
        model: Model,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> Generator:
        """A model on PyTorch: by default on the CPU, in float32."""
        return cls(
            Translator.from_models([model], device=device, dtype=dtype, batch_size=batch_size)
        )

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int = 64,
    ) -> Generator:
        """Open a model folder; the arguments and errors are those of `Translator.load`."""
        return cls(
            Translator.load(
                folder, device=device, precision=precision, batch_size=batch_size, tasks=cls.tasks
            )
        )

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
        """Return `number` texts for a label or a vector, the most likely one first.

        condition: a label; or a vector on the scale of the training data, as numbers or as text
        ("0.5 -1 2", or "#1e90ff" for a colour). max_length: in tokens, `data.max_tokens` if None.
        options: another search instead of the keywords and `number`. Raises UserError for a
        condition that the model does not know and for values out of range, TypeError for both
        options and keywords.
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
        """Yield what the model writes for each condition, with scores, in order.

        options: one sample each if None. Raises as `generate` does.
        """
        require_many(conditions, "conditions")
        search = SamplingOptions() if options is None else options
        return self.translator.stream(map(_as_line, conditions), search)


def _as_line(condition: str | Iterable[float]) -> str:
    return condition if isinstance(condition, str) else join_numbers(condition, "the condition")
