"""Small models with random weights, and exports of them, for the trials."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fault_driver import Driver

from seq2seq.config import toml
from seq2seq.export.writer import export_model
from seq2seq.models import folder
from seq2seq.text.codec import Codec
from seq2seq.text.labels import LabelSet
from seq2seq.text.sides import for_both_sides
from seq2seq.text.statistics import TextStatistics
from seq2seq.text.tokenizer import train_tokenizer

_WORDS = ["the", "red", "cat", "runs", "here", "a", "dog", "sleeps", "now", "old", "man", "reads"]


@pytest.fixture(scope="session")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A translator as a model folder and as an export with a shortlist, and a tagger."""
    place = tmp_path_factory.mktemp("subjects")
    draw = random.Random(1)
    lines = [" ".join(draw.choices(_WORDS, k=draw.randint(2, 9))) for _ in range(200)]
    for side in "xy":
        (place / f"train.{side}").write_text("".join(f"{line}\n" for line in lines))
    torch.manual_seed(1)
    config = toml.parse_config(
        {
            "task": "translation",
            "data": {"train": str(place / "train"), "source": "x", "target": "y"},
            "tokenizer": {"kind": "unigram", "vocabulary": 280, "normalization": "nmt_nfkc"},
            "encoder": {"embedding": 8, "hidden": 16},
            "context": {"size": 16, "heads": 4},
            "decoder": {"embedding": 8, "hidden": 16},
            "training": {"epochs": 1},
        },
        "here",
    )
    learned = train_tokenizer(lines, config.tokenizer)
    codec = Codec(
        *for_both_sides([learned], config), config.task, statistics=TextStatistics(inner_ends={})
    )
    model = folder.build_model(config, codec)
    found = {name: place / name for name in ("model", "export", "tagger")}
    folder.save_model(found["model"], model, "card\n")
    export_model(model, found["export"], "int8", shortlist=True)
    labelled = toml.parse_config(
        {
            "task": "tagging",
            "data": {"train": "nowhere", "source": "x", "target": "y"},
            "tokenizer": {"kind": "char", "vocabulary": 60},
            "encoder": {"embedding": 8, "hidden": 8},
            "training": {"epochs": 1},
        },
        "here",
    )
    characters = train_tokenizer(lines, labelled.tokenizer)
    labels = replace(
        codec,
        source=characters,
        target=characters,
        task=labelled.task,
        labels=LabelSet(["A", "B"]),
        statistics=None,
    )
    folder.save_model(found["tagger"], folder.build_model(labelled, labels), "card\n")
    return found


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Runs commands that are disturbed."""
    if shutil.which("cc") is None:
        pytest.skip("these trials need a C compiler (cc)")
    running = Driver(tmp_path_factory.mktemp("driver"))
    yield running
    running.close()
