"""A model or an ensemble that translates, and the properties of the model that a search needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from seq2seq.config.schema import Config
from seq2seq.decoding.constraint_options import CONSTRAINTS
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.options import (
    AnySearch,
    MinimumRiskOptions,
    SamplingOptions,
    SearchOptions,
)
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.stepping import Specials
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export, open_exports
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.tasks import ALIGNED, TRANSLATION, Task
from seq2seq.text.actions import forbidden_ids
from seq2seq.text.codec import Codec
from seq2seq.text.languages import uses_spaces

if TYPE_CHECKING:  # other engines do not need PyTorch
    import torch

    from seq2seq.models.folder import Model


class SearchModel:
    """A model or an ensemble, with the engine that runs it. `load` opens model folders."""

    def __init__(
        self,
        engine: Engine[Any],
        codec: Codec,
        configs: Sequence[Config],
        *,
        batch_size: int = 64,
    ) -> None:
        """Combine an engine with the codec and the configurations of its models.

        codec: the codec that all models share.
        batch_size: the largest number of lines in a batch.

        Raises UserError if models have different tasks, if only some models copy tokens from the
        source or are transducers, or if the batch size is below 1.
        """
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, but batch_size is {batch_size}")
        if len({config.task.same_length for config in configs}) > 1:
            raise UserError(
                f"a model of the task {ALIGNED.name!r} cannot form an ensemble with a model of "
                "another task: use models of one task"
            )
        if len({config.decoder.copying for config in configs}) > 1:
            raise UserError(
                "a model that copies (decoder.copying) cannot form an ensemble with a model that "
                "does not copy: use models of one kind"
            )
        if len({config.context.is_transducer for config in configs}) > 1:
            raise UserError(
                "a transducer (context.kind) cannot form an ensemble with a model of another kind: "
                "use models of one kind"
            )
        self.engine, self.codec, self.configs = engine, codec, list(configs)
        self.batch_size = batch_size
        self.task = configs[0].task
        # Padding would change the last bits of what an int8 model computes.
        self.needs_equal_lengths = self.task.same_length or getattr(
            engine, "needs_equal_lengths", False
        )
        self.max_tokens = min(config.data.max_tokens for config in configs)
        self.lowercase = configs[0].tokenizer.of("target").lowercase
        self.spaced = uses_spaces(configs[0].data.target)
        target = codec.target
        forbidden = tuple(forbidden_ids(target, transducer=codec.actions is not None))
        self.specials = Specials(target.bos, target.eos, forbidden)

    @classmethod
    def from_models(
        cls,
        models: Sequence[Model],
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> Self:
        """Return an object that runs `models` with PyTorch. Several models form an ensemble.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        batch_size: the largest number of lines in a batch.

        Raises UserError if the vocabularies of the models differ.
        """
        from seq2seq.decoding.torch_engine import TorchEngine

        codec = models[0].codec
        for number, model in enumerate(models[1:], start=2):
            if model.codec != codec:
                raise UserError(
                    f"models 1 and {number} of the ensemble have different vocabularies: use "
                    "models that were trained with the same tokenizer"
                )
        networks = [model.network for model in models]
        engine = TorchEngine(networks, codec, device, dtype)
        return cls(engine, codec, [model.config for model in models], batch_size=batch_size)

    @classmethod
    def load(
        cls,
        *folders: str | Path,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int = 64,
        tasks: Sequence[Task] = (TRANSLATION, ALIGNED),
    ) -> Self:
        """Open one model folder, or several model folders with one vocabulary as an ensemble.

        device: "auto" (a GPU if available, otherwise the CPU), "cpu", "cuda" or "cuda:1".
        precision: "fp32", "bf16" or "auto".
        batch_size: the largest number of lines in a batch.
        tasks: the permitted tasks of the models.

        Raises TypeError without a folder. Raises UserError if a folder is not a complete model
        folder, if a model has another task, if the models cannot form an ensemble, or if the device
        or the precision is not available.
        """
        if not folders:
            raise TypeError("load() needs at least one model folder: pass its path")
        if any(map(is_export, folders)):
            exports = open_exports(folders, tasks, device=device, precision=precision)
            configs = [export.config for export in exports]
            engine = OnnxEngine(exports)
            return cls(engine, exports[0].codec, configs, batch_size=batch_size)
        from seq2seq import runtime
        from seq2seq.models.folder import load_model

        chosen = runtime.select_device(device)
        dtype = runtime.select_dtype(precision, chosen)
        models = [load_model(Path(folder), tasks) for folder in folders]
        return cls.from_models(models, device=chosen, dtype=dtype, batch_size=batch_size)

    @property
    def scoring_engine(self) -> Engine[Any]:
        """The engine that scores given targets, over the whole vocabulary.

        A model with a shortlist (an export) has another engine for translation, which allows only
        some tokens.
        """
        engine: Engine[Any] = getattr(self.engine, "over_whole_vocabulary", lambda: self.engine)()
        return engine

    @property
    def has_attention(self) -> bool:
        """Whether all models have attention weights."""
        return all(config.context.has_weights for config in self.configs)

    def require_attention(self) -> None:
        """Raise UserError if a model has no attention, so that alignments are impossible."""
        for number, config in enumerate(self.configs, start=1):
            if not config.context.has_weights:
                which = f"model {number}" if len(self.configs) > 1 else "the model"
                raise UserError(
                    f"{which} has a fixed context vector and therefore gives no alignments: use a "
                    "model with attention (context.kind)"
                )

    def require_fitting(self, options: AnySearch, align: bool, source: SourceOptions) -> None:
        """Raise UserError for options that do not work with the models or with each other."""
        plain = options.candidates if isinstance(options, MinimumRiskOptions) else options
        if align and source.protect:
            raise UserError(
                "alignments do not work with protected marks (--protect): use one or the other"
            )
        if self.codec.features is not None and self.codec.features.per_word:
            for option in ("protect", "split_sentences"):
                if getattr(source, option):
                    raise UserError(
                        f"--{option.replace('_', '-')} does not work with a model that reads the "
                        "features of each word: leave out this option"
                    )
        if self.task.same_length and plain.is_constrained:
            raise UserError(
                f"constraints such as required phrases do not work with a model of the task "
                f"{ALIGNED.name!r}: leave out the constraints"
            )
        unfit = _changed_options(plain, ("require", "forbid", "stop"))
        if self.codec.copies and unfit:
            raise UserError(
                "required phrases, forbidden phrases and stop strings do not work with a model "
                f"that copies (decoder.copying): leave out {unfit}"
            )
        unfit = _changed_options(plain, ("min_length", *CONSTRAINTS))
        if self.codec.actions and unfit:
            raise UserError(
                "a minimum length, required phrases and other constraints do not work with a "
                f"transducer (context.kind): leave out {unfit}"
            )
        if align:
            self.require_attention()
            if plain is not options or (isinstance(plain, SamplingOptions) and plain.n_best > 1):
                raise UserError(
                    "alignments do not work with minimum Bayes risk or several samples: leave out "
                    "the alignments, or use another search"
                )
        if self.task.same_length and (plain.min_length > 1 or plain.max_length is not None):
            raise UserError(
                f"a model of the task {ALIGNED.name!r} always writes as many tokens as the source "
                "has: leave out the minimum and maximum length"
            )


def _changed_options(options: SearchOptions, names: Sequence[str]) -> str:
    """Return those of the named options that are not at their defaults, such as "--forbid"."""
    changed = [name for name in names if getattr(options, name) != getattr(SearchOptions, name)]
    return ", ".join(f"--{name.replace('_', '-')}" for name in changed)
