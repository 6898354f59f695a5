"""Prepared data of a model that copies: never reused for one that does not, unknown ones said."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from seq2seq.config import toml
from seq2seq.config.features_section import FeaturesConfig
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.text.batching import pad_sources
from seq2seq.text.codec import Codec
from seq2seq.text.example import Example
from seq2seq.text.features import FeatureSet
from seq2seq.text.preparation import prepare_data
from seq2seq.text.tokenizer import train_tokenizer


def config(folder: Path, copying: bool):
    values = {
        "data": {
            "source": "x",
            "target": "y",
            "train": str(folder / "train"),
            "valid": str(folder / "valid"),
        },
        "tokenizer": {"source": {"kind": "char"}, "target": {"kind": "symbols"}},
        "decoder": {"copying": copying},
        "training": {"epochs": 1},
    }
    return toml.parse_config(values, "here")


def test_unknown_tokens_have_ids_of_their_own_in_prepared_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name, source, target in (("train", "ab", "a b"), ("valid", "aжbñ", "ж a ß")):
        (tmp_path / f"{name}.x").write_text(source + "\n")
        (tmp_path / f"{name}.y").write_text(target + "\n")
    rows = []
    for copying in (False, True, False):
        data = prepare_data(config(tmp_path, copying), tmp_path / "data", 1)
        rows.append([data.valid.ids(0, side).tolist() for side in ("source", "target")])
    S, V = len(data.codec.source), len(data.codec.target)
    plain, copied, again = rows
    unk = data.codec.target.unk
    assert plain == again
    assert [unk if i >= S else i for i in copied[0]] == plain[0]
    at = copied[0].index(S)
    assert copied[0][-1] == S + 1
    assert copied[1] == [V + at, plain[1][1], unk]
    assert caplog.text.count("source: 2 of 5 tokens (40 %) are not in the vocabulary") == 3
    assert caplog.text.count("target: 1 of 3 tokens (33 %) are not in the vocabulary") == 1


@pytest.mark.parametrize("per", ["line", "word"])
def test_unknown_tokens_are_copied_beside_features(per: str) -> None:
    tokenizer = train_tokenizer(["ab ba"] * 9, TokenizerConfig(kind="char", byte_fallback=False))
    features = FeatureSet(["N", "PL", "V"], FeaturesConfig(per=per))
    codec = Codec(tokenizer, tokenizer, features=features, copies=True)
    encoded = codec.encode([Example("aж", "жbñ", ("N;PL",))])
    source = codec.encode_source("aж", codec.source_ids(["aж"])[0], "N;PL")
    V, front = len(tokenizer), 2 if per == "line" else 0
    tokens = source if per == "line" else source[:, 0]
    assert encoded["source"] == [tokens.tolist()]
    assert tokens[:front].tolist() == [V, V + 1][:front]
    place = tokens.tolist().index(codec.source_size)
    b = tokenizer.encode(["b"])[0][-1]
    written = [i for i in encoded["target"][0] if i != tokenizer.encode([""])[0]]
    assert written[-3:] == [V + place, b, tokenizer.unk]
    text = codec.writer("aж", tokens.tolist(), written).decode([written[:-1]])[0]
    assert text.strip() == "жb"
    closed, lengths, copied = pad_sources([source], codec)
    assert copied is not None
    ids = closed if closed.ndim == 2 else closed[:, :, 0]
    assert ids[0, place] == tokenizer.unk
    assert copied[0, :front].tolist() == [tokenizer.pad] * front  # a feature is never copied
    assert copied[0, place] == V + place
    assert lengths.tolist() == [len(source) + 1]
    assert np.all(ids.numpy() < codec.source_size)
