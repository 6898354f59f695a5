"""Characters that cannot be seen alone, or that look alike, are named by their code points."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.config.toml import parse_config
from seq2seq.decoding.results import unknown_tokens_note
from seq2seq.text.code_points import look_alike, quote_token
from seq2seq.text.preparation import prepare_data
from seq2seq.text.tokenizer import train_tokenizer


@pytest.mark.parametrize(
    ("token", "named"),
    [
        ("\u0308", "U+0308"),
        ("\u0308a", "U+0308 U+0061"),
        ("a\u0308", "'a\u0308' (U+0061 U+0308)"),
        ("\u00e4", "'\u00e4'"),
        ("\u2028", r"'\u2028'"),
        ("", "''"),
    ],
)
def test_names_of_tokens(token: str, named: str) -> None:
    assert quote_token(token) == named


def test_texts_that_look_alike() -> None:
    assert look_alike("\u00e4b", "a\u0308b")
    assert not look_alike("\u00e4b", "\u00e4b")
    assert not look_alike("t\u02b0", "th")


def test_a_note_names_an_unknown_combining_mark() -> None:
    tokenizer = train_tokenizer(["ab"], TokenizerConfig(kind="char"), normalization="identity")
    (ids,) = tokenizer.encode(["a\u0308b"])
    (note,) = unknown_tokens_note(7, "a\u0308b", ids, tokenizer)
    assert note.text.endswith("tokens unknown: U+0308")


def test_a_normalised_line_that_looks_the_same_is_escaped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.tsv").write_text("a\ta\u0303 b\nb\t\u00e3 b\n", encoding="utf-8")
    (tmp_path / "v.tsv").write_text("a\t\u00e3\nb\ta\u0303\n", encoding="utf-8")
    files = {"train": str(tmp_path / "t.tsv"), "valid": str(tmp_path / "v.tsv")}
    sides = {"source": "w", "target": "p", "source_column": 1, "target_column": 2}
    kinds = {"source": {"kind": "char"}, "target": {"kind": "symbols", "normalization": "nfc"}}
    values = {"data": {**files, **sides}, "tokenizer": kinds, "training": {"epochs": 1}}
    with caplog.at_level(logging.INFO):
        prepare_data(parse_config(values, "here"), tmp_path / "data")
    assert r"t.tsv:1: 'a\u0303 b' becomes '\xe3 b'" in caplog.text
    assert "v.tsv:2: the references of 1 of 2 items are not in Unicode NFC" in caplog.text
