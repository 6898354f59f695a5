"""Prepared data of a model that copies: never reused for one that does not, unknown ones said."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from seq2seq.config import toml
from seq2seq.text.example import Example
from seq2seq.text.preparation import prepare_data
from seq2seq.text.text_changes import report_unwritable


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


@pytest.mark.parametrize(
    ("copying", "said"), [(False, "2 of 4 tokens (50 %)"), (True, "1 of 4 tokens (25 %)")]
)
def test_references_that_a_model_cannot_write_are_named(
    copying: bool, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A model that copies can write symbols of the source that its vocabulary lacks."""
    for name in ("train", "valid"):
        (tmp_path / f"{name}.x").write_text("ab\n")
        (tmp_path / f"{name}.y").write_text("a b\n")
    codec = prepare_data(config(tmp_path, copying), tmp_path / "data", 1).codec
    caplog.set_level(logging.INFO)
    report_unwritable([Example("ж", "a b"), Example("a", "b")], codec, "known")
    assert not [record for record in caplog.records if "known" in record.message]
    report_unwritable([Example("aж", "a b", (), ("ж ß",))], codec, "test")
    text = f"test, target: {said} are not in the vocabulary, so the model cannot write them: for"
    assert text in caplog.text
    assert "'ß'" in caplog.text


def test_all_tokens_unknown_are_100_percent(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for name, text in (("train", "a b"), ("valid", "ж ß")):
        for ending in "xy":
            (tmp_path / f"{name}.{ending}").write_text(text + "\n")
    prepare_data(config(tmp_path, False), tmp_path / "data", 1)
    assert "target: 2 of 2 tokens (100 %) are not in the vocabulary" in caplog.text
