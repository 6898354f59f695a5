"""`seq2seq tokenizer` with vocabularies of symbols and of grapheme clusters."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("options", "line", "pieces"),
    [
        (["--kind", "symbols"], "AE B IY", "▁AE ▁B ▁IY"),
        (["--kind", "symbols", "--separator", "-"], "AE-tʰ-IY", "-AE -tʰ -IY"),
        (["--kind", "char", "--unit", "grapheme"], "a\u0308b c", "a\u0308 b ▁ c"),
    ],
)
def test_train_encode_and_decode(
    options: list[str], line: str, pieces: str, tmp_path: Path, shell
) -> None:
    text, model = tmp_path / "text", tmp_path / "t.model"
    text.write_text(f"{line}\n", encoding="utf-8")
    assert shell("tokenizer", "train", text, "-o", model, *options).code == 0
    said = shell("tokenizer", "encode", model, text)
    assert said.out == f"{pieces}\n"
    assert shell("tokenizer", "decode", model, stdin=said.out.encode()).out == f"{line}\n"
    ids = shell("tokenizer", "encode", "--ids", model, text).out
    assert shell("tokenizer", "decode", "--ids", model, stdin=ids.encode()).out == f"{line}\n"


def test_such_a_vocabulary_does_not_normalise(tmp_path: Path, shell) -> None:
    (tmp_path / "text").write_text("AE B\n", encoding="utf-8")
    options = ["--kind", "symbols", "--normalization", "nmt_nfkc"]
    said = shell("tokenizer", "train", tmp_path / "text", "-o", tmp_path / "t.model", *options)
    assert said.code == 2
    assert "does not normalise text" in said.err
    assert said.err.count("\n") == 1


def test_decoded_text_contains_no_nul(attending, shell):
    said = shell("tokenizer", "decode", attending / "model", stdin=b"<0x61> <0x00> <0x62>\n")
    assert said.code == 0
    assert "\0" not in said.out
    assert said.out.count("\n") == 1


def test_text_that_is_not_blank_has_a_token(attending, shell):
    text = "\u200b\n\n \n\ufeff\u200b\nred\n".encode()
    said = shell("tokenizer", "encode", attending / "model", stdin=text)
    lines = said.out.split("\n")[:-1]
    assert lines[:4] == ["<unk>", "", "", "<unk>"]
    assert lines[4]
