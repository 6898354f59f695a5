"""What a `NoteLog` says about many lines."""

import logging
import re

import pytest

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.decoding.results import Note, NoteLog, unknown_tokens_note
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer


def said(caplog, notes, level=logging.WARNING):
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "seq2seq"), NoteLog() as log:
        for note in notes:
            log.add([note])
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def cut(line):
    return Note(line, "cut", f"line {line}: cut")


def test_few_notes_are_all_said(caplog):
    assert said(caplog, map(cut, range(1, 11))) == [f"line {n}: cut" for n in range(1, 11)]


def test_every_broken_constraint_is_said(caplog):
    notes = [Note(n, "constraint", f"line {n}: the mark is lost") for n in range(1, 30)]
    assert said(caplog, notes) == [note.text for note in notes]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([*range(1, 12)], "1 more translation cut at the maximum length: 11"),
        ([*range(1, 14), 20, 22, 23], "6 more translations cut at the maximum length: "
         "11-13, 20, 22-23"),
    ],
)  # fmt: skip
def test_the_lines_of_further_notes_are_named_in_one_line(caplog, lines, named):
    expected = [f"line {n}: cut" for n in lines]
    assert said(caplog, map(cut, lines)) == [*expected[:10], named]
    assert said(caplog, map(cut, lines), logging.DEBUG) == expected[10:]


def test_each_kind_has_its_own_summary(caplog):
    kinds = ["split", "no tokens", "unknown tokens", "sentences", "cut", "blank"]
    messages = said(caplog, [Note(n, kind, "x") for n in range(12) for kind in kinds])
    assert messages[:60] == ["x"] * 60
    assert [text.split(": ")[1] for text in messages[60:]] == ["10-11"] * 6
    assert len(set(messages[60:])) == 6


def test_two_notes_of_one_kind_on_a_line_count_as_one_line(caplog):
    notes = [Note(n, "features", f"line {n}: {text}") for n in range(1, 14) for text in "ab"]
    *shown, summary = said(caplog, notes)
    assert shown == [note.text for note in notes[:20]]
    assert summary == "3 more lines with wrong or unknown features: 11-13"


def test_a_summary_stays_short(caplog):
    *_, summary = said(caplog, map(cut, range(1, 4001, 2)))
    assert summary.startswith("1,990 more translations cut at the maximum length: 21, 23, ")
    assert summary.endswith(", 2017, 2019, ...")


def test_a_note_counts_and_names_the_unknown_tokens(models):
    tokenizer = Tokenizer((models["classify"] / "tokenizer.model").read_bytes())
    (ids,) = tokenizer.encode(["the qat qzqzvwxyj"])
    (note,) = unknown_tokens_note(7, "the qat qzqzvwxyj", ids, tokenizer)
    assert (note.line, note.kind) == (7, "unknown tokens")
    match = re.fullmatch(r"line 7: (\d+) of (\d+) tokens unknown: (.*)", note.text)
    assert (int(match[1]), int(match[2])) == (ids.count(tokenizer.unk), len(ids))
    assert match[3].startswith("'q', ")
    assert match[3].endswith(", ...")
    (known,) = tokenizer.encode(["the cat"])
    assert unknown_tokens_note(1, "the cat", known, tokenizer) == []


def test_a_note_names_unknown_white_space():
    tokenizer = train_tokenizer(["ab"], TokenizerConfig(kind="char", normalization="identity"))
    line = "a\u2028b\xa0a\u3000"
    (ids,) = tokenizer.encode([line])
    (note,) = unknown_tokens_note(1, line, ids, tokenizer)
    assert note.text == r"line 1: 3 of 7 tokens unknown: '\u2028', '\xa0', '\u3000'"
