"""Likely mistakes in the training text are said once, with file and line."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from seq2seq.config.toml import parse_config
from seq2seq.errors import UserError
from seq2seq.text.preparation import prepare_data

NAME = "train.tsv.gz"


def messages(
    rows: str, folder: Path, caplog: pytest.LogCaptureFixture, **target: object
) -> list[str]:
    """Prepare letters and phones in a TSV file without a header. Return the messages about it."""
    (folder / NAME).write_bytes(gzip.compress(rows.encode()))
    (folder / "valid.tsv").write_text("q\tQ\n", encoding="utf-8")
    config = parse_config(
        {
            "data": {
                "train": str(folder / NAME),
                "valid": str(folder / "valid.tsv"),
                "source": "word",
                "target": "phones",
                "source_column": 1,
                "target_column": 2,
            },
            "tokenizer": {"source": {"kind": "char"}, "target": {"kind": "symbols", **target}},
            "training": {"epochs": 1},
        },
        "here",
    )
    with caplog.at_level(logging.INFO):
        prepare_data(config, folder / "data")
    return [record.message for record in caplog.records if f"{NAME}:" in record.message]


def test_good_rows_are_passed_in_silence(tmp_path: Path, caplog) -> None:
    rows = "abbey\tAE B IY\nçã\ttʰ ã\nx\tEH\n"
    assert messages(rows, tmp_path, caplog) == []


@pytest.mark.parametrize("first", ["word\tphones", "Lemma\tWordform", "source\ttarget\tid"])
def test_a_header_of_numbered_columns_is_said_once(tmp_path: Path, caplog, first: str) -> None:
    (said,) = messages(f"{first}\nabbey\tAE B IY\n", tmp_path, caplog)
    assert said.endswith("delete the row, or give the columns by name")
    names = ", ".join(first.split("\t")[:2])
    assert f"{NAME}:1: this row looks like a header ({names})" in said


def test_a_word_that_could_stand_in_a_header(tmp_path: Path, caplog) -> None:
    assert messages("word\tW ER D\nabbey\tAE B IY\n", tmp_path, caplog) == []


def test_an_empty_word(tmp_path: Path, caplog) -> None:
    (said,) = messages("a\tAE\n\tB\nb\t \n", tmp_path, caplog)
    assert f"{NAME}:2: the source or the target is empty" in said
    assert said.endswith("such pairs are dropped (2 in total)")


def test_a_missing_column(tmp_path: Path, caplog) -> None:
    with pytest.raises(UserError, match=rf"{NAME}:2: the line has 1 column, but needs at least 2"):
        messages("a\tAE\nabbey AE B IY\n", tmp_path, caplog)


def test_a_separator_that_is_not_there(tmp_path: Path, caplog) -> None:
    rows = "a\tAE\nabbey\tAE-B-IY\nbee\tB-IY\n"
    (said,) = messages(rows, tmp_path, caplog)
    assert f"{NAME}:2: no target contains the separator ' '" in said
    assert "such as 'AE-B-IY'; set tokenizer.target.separator" in said


def test_the_right_separator(tmp_path: Path, caplog) -> None:
    assert messages("abbey\tAE-B-IY\n", tmp_path, caplog, separator="-") == []


def test_empty_symbols(tmp_path: Path, caplog) -> None:
    (said,) = messages("a\tAE B\nb\tAE  B\nc\tB \n", tmp_path, caplog)
    assert (
        f"{NAME}:2: the target of 2 training pairs has a separator at the start or the end" in said
    )


@pytest.mark.parametrize("normalization", ["identity", "nfc"])
def test_two_normal_forms(tmp_path: Path, caplog, normalization: str) -> None:
    rows = "a\tã b\nb\ta\u0303 b\nc\ta\u0303 b c\n"
    (said,) = messages(rows, tmp_path, caplog, normalization=normalization)
    if normalization == "identity":
        assert f"{NAME}:2: the target of 2 training pairs is not in Unicode NFC" in said
        assert "the character 'ã' occurs in two forms" in said
    else:
        assert "normalisation (nfc) changes 2 of 3 target lines" in said
