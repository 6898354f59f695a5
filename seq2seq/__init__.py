"""Train and use recurrent sequence-to-sequence models.

>>> import seq2seq
>>> translator = seq2seq.Translator.load("runs/quickstart/base/model")
>>> translator.translate(["Our sister left because she was tired."])

This module is the public interface. `train` trains a model. `load` loads a trained model and
returns an object of the class for its task, such as `Translator`. A wrong value or file raises
`UserError`. An argument of the wrong type raises TypeError. The message of both errors is one line
that says what is wrong and what to do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.2.0"
__all__ = [
    "BeamOptions",
    "Callback",
    "Classifier",
    "Config",
    "Generator",
    "GreedyOptions",
    "LanguageModel",
    "MinimumRiskOptions",
    "SamplingOptions",
    "SearchOptions",
    "SourceOptions",
    "StopTraining",
    "Tagger",
    "TrainingResult",
    "TrainingRow",
    "Translator",
    "UserError",
    "ValidationRow",
    "__version__",
    "load",
    "plot_curves",
    "train",
]

if TYPE_CHECKING:
    from seq2seq.config.schema import Config
    from seq2seq.decoding.classifier import Classifier
    from seq2seq.decoding.generator import Generator
    from seq2seq.decoding.language_model import LanguageModel
    from seq2seq.decoding.load import load
    from seq2seq.decoding.options import (
        BeamOptions,
        GreedyOptions,
        MinimumRiskOptions,
        SamplingOptions,
        SearchOptions,
    )
    from seq2seq.decoding.source_options import SourceOptions
    from seq2seq.decoding.tagger import Tagger
    from seq2seq.decoding.translator import Translator
    from seq2seq.errors import UserError
    from seq2seq.evaluation.plots import plot_curves
    from seq2seq.training.callbacks import (
        Callback,
        StopTraining,
        TrainingRow,
        ValidationRow,
    )
    from seq2seq.training.run_training import TrainingResult
    from seq2seq.training.train import train
else:
    _MODULES = {
        "config.toml": ("Config",),  # not config.schema, so that mistakes are explained
        "decoding.classifier": ("Classifier",),
        "decoding.generator": ("Generator",),
        "decoding.language_model": ("LanguageModel",),
        "decoding.load": ("load",),
        "decoding.options": (
            "BeamOptions",
            "GreedyOptions",
            "MinimumRiskOptions",
            "SamplingOptions",
            "SearchOptions",
        ),
        "decoding.source_options": ("SourceOptions",),
        "decoding.tagger": ("Tagger",),
        "decoding.translator": ("Translator",),
        "errors": ("UserError",),
        "evaluation.plots": ("plot_curves",),
        "training.callbacks": ("Callback", "StopTraining", "TrainingRow", "ValidationRow"),
        "training.run_training": ("TrainingResult",),
        "training.train": ("train",),
    }
    _HOMES = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name: str) -> object:
        # Importing torch takes seconds, so `import seq2seq` alone must not import it.
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __dir__() -> list[str]:
        return __all__
