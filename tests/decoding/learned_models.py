"""Small models that learn to write symbols, within seconds."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from seq2seq.config import toml
from seq2seq.training import trainer
from seq2seq.training.run_training import train_model


def learn_symbols(
    where: Path,
    write: Callable[[str], str],
    *,
    letters: str,
    words: int,
    context: Mapping[str, Any],
    **training: object,
) -> Path:
    """Train a model that copies, in a folder. Return the model folder.

    write: returns the symbols of a word. Words without symbols are left out.
    letters: the letters of the words.
    words: the number of random words; repeated ones are left out. Twenty are for validation.
    context, training: the keys of these sections of the configuration.
    """
    draw = random.Random(1)
    drawn = ["".join(draw.choices(letters, k=draw.randint(2, 6))) for _ in range(words)]
    text = [f"{word}\t{write(word)}\n" for word in dict.fromkeys(drawn) if write(word)]
    (where / "train.tsv").write_text("".join(text[20:]))
    (where / "valid.tsv").write_text("".join(text[:20]))
    small = {"embedding": 16, "hidden": 32, "dropout": 0.0, "embedding_dropout": 0.0}
    values = {
        "data": {
            "source": "word",
            "target": "symbols",
            "source_column": 1,
            "target_column": 2,
            "train": str(where / "train.tsv"),
            "valid": str(where / "valid.tsv"),
        },
        "tokenizer": {"source": {"kind": "char"}, "target": {"kind": "symbols"}},
        "encoder": small,
        "context": dict(context),
        "decoder": {**small, "copying": True},
        "training": {
            "batch_tokens": 200,
            "learning_rate": 0.01,
            "schedule": "constant",
            "warmup": 20,
            "word_dropout": 0.2,
            "threads": 1,
            "precision": "fp32",
            **training,
        },
        "validation": {"metric": "loss", "every": 1000},
    }
    with mock.patch.object(trainer, "plot_curves"):
        train_model(toml.parse_config(values, "learned"), where / "run")
    return where / "run" / "model"
