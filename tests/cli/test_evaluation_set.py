"""The data set that `seq2seq evaluate` scores: the same items from a table and from text files."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from seq2seq.cli.evaluation_set import read_evaluation_set
from seq2seq.config.schema import Config
from seq2seq.config.toml import parse_config
from seq2seq.errors import UserError
from seq2seq.text.example import Example


def letters(target_rule: str = "identity", **data: object) -> Config:
    sides = {"source": "w", "target": "p", "source_column": 1, "target_column": 2}
    values = {"data": {"train": "t.tsv", "valid": "v.tsv", **sides, **data}}
    values["tokenizer"] = {"target": {"normalization": target_rule}}
    return parse_config({**values, "training": {"epochs": 1}}, "here")


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_text_files_have_the_references_of_a_table(tmp_path: Path) -> None:
    words, phones = ("read", "red", "read"), ("R IY D; R EH D", "R EH D", "R IY T")
    sources, targets = write(tmp_path / "w.txt", *words), write(tmp_path / "p.txt", *phones)
    table = write(tmp_path / "a.tsv", *map("\t".join, zip(words, phones, strict=True)))
    for merge in (False, True):
        config = letters(alternatives=";", merge_sources=merge)
        items, _ = read_evaluation_set(config, sources, [targets], "test")
        assert items[0].references[0] == "R EH D"
        assert len(items) == 3 - merge
        assert items == read_evaluation_set(config, table, [], "test")[0]
    items, _ = read_evaluation_set(letters(alternatives=";"), sources, [sources, targets], "test")
    assert items[0] == Example("read", "read", references=("R IY D", "R EH D"))


def test_an_empty_alternative_in_a_text_file_is_named(tmp_path: Path) -> None:
    words, phones = write(tmp_path / "w", "a", "b"), write(tmp_path / "p", "A", "B;")
    with pytest.raises(UserError, match=r"p:2: one of the targets in 'B;' is empty"):
        read_evaluation_set(letters(alternatives=";"), words, [phones], "test")
    with pytest.raises(UserError, match=r"w, .*p, line 2: one of the targets in 'B;' is empty"):
        read_evaluation_set(letters(alternatives=";"), words, [words, phones], "test")


@pytest.mark.parametrize(
    ("files", "place"),
    [(["a.tsv"], "a.tsv:2"), (["w", "p"], "w:2"), (["p", "w"], "w:2"), ([], "test.tsv:2")],
    ids=["table", "texts", "targets", "configured"],
)
def test_empty_items_count_and_are_named(tmp_path: Path, caplog, files, place) -> None:
    for name in ("a.tsv", "test.tsv"):
        write(tmp_path / name, "a\tA", "\tB", "c\t ")
    write(tmp_path / "w", "a", "", "c")
    write(tmp_path / "p", "A", "B", " ")
    source, *targets = [tmp_path / name for name in files] or [None]
    config = letters(test=str(tmp_path / "test.tsv"))
    items, _ = read_evaluation_set(config, source, targets, "test")
    assert len(items) == 3
    (record,) = caplog.records
    assert record.message == (
        f"{tmp_path / place}: the source or the target is empty; such items count in the scores "
        "(2 of 3 items); remove them if they should not count"
    )


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (["a.tsv"], "a.tsv:2"),
        (["w", "p"], "p:2"),
        (["w", "good", "p"], "good:2, reference 2"),
        ([], "a.tsv:2"),
    ],
    ids=["table", "texts", "further", "configured"],
)
def test_references_in_another_unicode_form_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, files: list[str], place: str
) -> None:
    write(tmp_path / "a.tsv", "a\t\u00e3", "b\ta\u0303", "c\tb;a\u0303")
    write(tmp_path / "w", "a", "b", "c")
    write(tmp_path / "p", "\u00e3", "a\u0303", "b;a\u0303")
    write(tmp_path / "good", "\u00e3", "\u00e3", "b")
    source, *targets = [tmp_path / name for name in files] or [None]
    data = {"test": str(tmp_path / "a.tsv"), "alternatives": ";"}
    with caplog.at_level(logging.INFO):
        read_evaluation_set(letters(**data), source, targets, "test")
        assert not caplog.records
        read_evaluation_set(letters("nfc", **data), source, targets, "test")
    (record,) = caplog.records
    assert record.message == (
        f"{tmp_path / place}: the references of 2 of 3 items are not in Unicode NFC; exact match, "
        "WER and SER compare them in this form, because the model writes only NFC "
        "(tokenizer.target.normalization)"
    )
    assert record.levelname == "INFO"


def test_references_that_the_model_can_never_write_give_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(tmp_path / "a.tsv", "a\tA ", "b\t\uff21", "c\tt\u02b0")
    read_evaluation_set(letters("nmt_nfkc"), table, [], "test")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.startswith(f"{table}:2: the references of 2 of 3 items are not normal")
    assert "such a reference never counts as an exact match" in record.message


def test_merged_items_have_no_line(tmp_path: Path, caplog) -> None:
    table = write(tmp_path / "a.tsv", "a\tA", "a\tB", "\tC", "\tD")
    read_evaluation_set(letters(merge_sources=True), table, [], "test")
    assert f"{table}, item 2: the source or the target is empty" in caplog.text
    assert "(1 of 2 items)" in caplog.text


def test_the_blank_lines_of_a_text_are_no_items(tmp_path: Path, caplog) -> None:
    config = parse_config(
        {
            "task": "language-model",
            "data": {"train": "t", "valid": "v", "target": "en"},
            "decoder": {"tied": "none"},
            "training": {"epochs": 1},
        },
        "here",
    )
    text = write(tmp_path / "text", "a", "", "b")
    items, _ = read_evaluation_set(config, text, [], "test")
    assert len(items) == 3
    assert not caplog.records


def test_a_set_that_is_not_there_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file: .*seq2seq evaluate MODEL SOURCE"):
        read_evaluation_set(letters(test=str(tmp_path / "test.tsv")), None, [], "test")
