"""Recurrent sequence-to-sequence models: readable, fast, and they never lose a line.

>>> import seq2seq
>>> translator = seq2seq.load("runs/quickstart/base/model")
>>> translator.translate(["The baker buys fresh bread."])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Translator", "__version__", "load"]

if TYPE_CHECKING:
    from pathlib import Path

    from seq2seq.decoding.translator import Translator


def load(*folders: str | Path, device: str = "auto", precision: str = "fp32") -> Translator:
    """Open a model folder, or several with one vocabulary as an ensemble.

    Raises seq2seq.errors.UserError for a folder that is none or is not complete.
    """
    from seq2seq.decoding.translator import Translator

    return Translator.load(*folders, device=device, precision=precision)


def __getattr__(name: str) -> object:
    # torch takes seconds to import; nobody waits for it who only asks for the version.
    if name == "Translator":
        from seq2seq.decoding.translator import Translator

        return Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
