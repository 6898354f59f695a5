"""What must hold of a tokenizer: text comes back, one line each, and ids keep their meaning."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.cli.tokenizer import parse_ids
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.text.resampling import seed_subword_sampling
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

WORDS = (
    ["big", "small", "red", "green", "old"],
    ["cat", "dog", "bird", "horse"],
    ["mat", "roof", "wall"],
)
LINES = [f"the {a} {b} sits on the {c}" for a, b, c in itertools.product(*WORDS)]
KINDS = ["unigram", "bpe", "char", "word"]
KIND = pytest.mark.parametrize("kind", KINDS)
SIZES = {"unigram": 286, "bpe": 330, "char": 40, "word": 40}
# Whatever a program may take for the end of a line or of a column.
BREAKS = "\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"
ODD = BREAKS + " ▁\0\ufeff\u200d\u3000\xa0é日🎈<>"
LINE = st.text(st.characters(codec="utf-8") | st.sampled_from(ODD))

_learned: dict[str, Tokenizer] = {}


def tokenizer(kind: str = "bpe", **changed: Any) -> Tokenizer:
    """Each is learned once."""
    name = f"{kind} {changed}"
    if name not in _learned:
        values = {"kind": kind, "vocabulary": SIZES[kind], **changed}
        _learned[name] = train_tokenizer(LINES, TokenizerConfig.model_validate(values))
    return _learned[name]


def complaint(lines: list[str], **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        train_tokenizer(lines, TokenizerConfig.model_validate(values), "corpus.txt")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def came_back(line: str, normalization: str) -> str:
    """`▁` is a space, and no break and no NUL is left. "whitespace" leaves only single spaces."""
    spaced = line.replace("▁", " ")
    if normalization == "whitespace":
        spaced = re.sub(" +", " ", spaced).strip(" ")
    return re.sub(f"[{BREAKS}\0]", " ", spaced)


@given(
    lines=st.lists(LINE, max_size=4),
    kind=st.sampled_from(["unigram", "bpe"]),
    normalization=st.sampled_from(["identity", "whitespace"]),
)
@settings(max_examples=200)
def test_any_text_comes_back(lines: list[str], kind: str, normalization: str) -> None:
    made = tokenizer(kind, normalization=normalization)
    ids = made.encode(lines)
    assert made.decode(ids) == [came_back(line, normalization) for line in lines]
    special = {made.pad, made.unk, made.bos, made.eos}
    assert not special & set(itertools.chain(*ids))


@KIND
@pytest.mark.parametrize("normalization", ["whitespace", "nmt_nfkc"])
def test_the_text_it_learned_from_comes_back(kind: str, normalization: str) -> None:
    made = tokenizer(kind, normalization=normalization)
    assert made.decode(made.encode(LINES)) == LINES
    assert made.encode(["", "   "]) == [[], []]
    assert made.encode(LINES, threads=3) == made.encode(LINES)


def test_normalization() -> None:
    line = "ﬁne Ⅷ ａ\u3000b\xa0c"
    for name, expected in (("nmt_nfkc", "fine VIII a b c"), ("identity", line)):
        made = tokenizer("bpe", normalization=name)
        assert made.decode(made.encode([line])) == [expected]


@KIND
@given(draw=st.data())
@settings(max_examples=100)
def test_no_line_holds_a_break_whatever_is_decoded(kind: str, draw: st.DataObject) -> None:
    made = tokenizer(kind)
    anything, first = st.integers(0, len(made) - 1), st.integers(4, min(259, len(made) - 1))
    ids = st.lists(anything | first, max_size=30)  # the first are bytes, where there are some
    rows = draw.draw(st.lists(ids, max_size=4))
    lines = made.decode(rows)
    assert len(lines) == len(rows)
    for line in lines:
        assert not set(line) & set(BREAKS)
        assert len(f"{line}.".splitlines()) == 1
        line.encode()


def test_bytes_that_are_breaks_are_spaces() -> None:
    made = tokenizer("bpe")
    for mark in BREAKS:
        ids = made.piece_ids([f"<0x{byte:02X}>" for byte in f"a{mark}b".encode()])
        assert made.unk not in ids
        assert made.decode([ids]) == ["a b"]


@KIND
def test_breaks_in_the_pieces_are_spaces(kind: str) -> None:
    lines = [f"one{mark}two {mark} three" for mark in BREAKS.replace("\n", "")]
    values = TokenizerConfig(
        kind=kind,
        vocabulary={"unigram": 22, "bpe": 40}.get(kind, 100),
        normalization="identity",
        byte_fallback=False,
        character_coverage=1.0,
    )
    made = train_tokenizer(lines, values)
    known = [row for row in made.encode(lines) if made.unk not in row]  # some are never learned
    assert len(known) > 4
    assert set(made.decode(known)) == {"one two   three"}


@KIND
def test_special_ids_collide_with_nothing(kind: str) -> None:
    made = tokenizer(kind)
    special = [made.pad, made.unk, made.bos, made.eos]
    assert len(set(special)) == 4
    assert all(0 <= i < len(made) for i in special)
    assert made.pieces(special) == ["<pad>", "<unk>", "<s>", "</s>"]
    written = set(made.encode(["<s> </s> <pad> a</s>"])[0])
    assert not written & {made.pad, made.bos, made.eos}
    assert made.decode([[made.bos, made.pad, made.eos], [made.unk]]) == ["", " ⁇ "]


def test_every_word_has_an_id_of_its_own() -> None:
    """SentencePiece itself makes one <unk> of a row of unknown words."""
    made = tokenizer("word")
    known = made.piece_ids(["▁the"])[0]
    line = "the zzyx <unk> the  qqq\u00a0qqq <s> the"
    assert made.encode([line])[0] == [known, *[made.unk] * 2, known, *[made.unk] * 3, known]
    assert made.piece_words(line) == list(range(8))
    assert made.encode(["", " "]) == [[], []]


def test_unknown_characters() -> None:
    for kind in KINDS:
        made = tokenizer(kind)
        assert (made.unk in made.encode(["日"])[0]) is (kind in ("char", "word"))
    made = tokenizer("bpe", byte_fallback=False, vocabulary=60)
    assert made.unk in made.encode(["日"])[0]


@KIND
def test_lowercase(kind: str) -> None:
    made = tokenizer(kind, lowercase=True)
    assert made.encode(["THE Big CAT"]) == made.encode(["the big cat"])
    assert made.decode(made.encode(["THE Big CAT"])) == ["the big cat"]
    assert tokenizer(kind).encode(["THE Big CAT"]) != tokenizer(kind).encode(["the big cat"])
    learned = train_tokenizer(
        map(str.upper, LINES), TokenizerConfig(kind=kind, vocabulary=SIZES[kind], lowercase=True)
    )
    assert learned.model == made.model


@KIND
def test_pieces_and_ids_name_each_other(kind: str) -> None:
    made = tokenizer(kind)
    every = list(range(len(made)))
    assert made.piece_ids(made.pieces(every)) == every
    assert made.piece_ids(["no such piece"]) == [made.unk]
    assert parse_ids(list(map(str, every)), 1, len(made)) == every
    for wrong in (str(len(made)), "-1", "1.0", "x", "²", ""):
        with pytest.raises(
            UserError, match=f"line 7: {re.escape(repr(wrong))} is not a vocabulary number"
        ):
            parse_ids(["1", wrong], 7, len(made))
    with pytest.raises(IndexError):
        made.decode([[len(made)]])


@KIND
def test_learned_twice_it_is_the_same(kind: str) -> None:
    values = TokenizerConfig(kind=kind, vocabulary=SIZES[kind])
    assert train_tokenizer(LINES, values).model == train_tokenizer(iter(LINES), values).model


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize("vocabulary", [8, 20_000])
def test_a_size_that_does_not_fit_is_told_what_does(
    kind: str, byte_fallback: bool, vocabulary: int
) -> None:
    values: dict[str, Any] = {"kind": kind, "byte_fallback": byte_fallback}
    said = complaint(LINES, vocabulary=vocabulary, **values)
    assert said.startswith(f"tokenizer.vocabulary = {vocabulary} does not fit corpus.txt: ")
    pattern = "alone need (\\d+);" if vocabulary == 8 else "at most (\\d+) is possible"
    match = re.search(pattern, said)
    assert match
    assert ("tokenizer.byte_fallback = false" in said) == (byte_fallback and vocabulary == 8)
    # At the limit it goes, one piece beyond it does not.
    limit, step = int(match[1]), -1 if vocabulary == 8 else 1
    values["vocabulary"] = limit
    assert len(train_tokenizer(LINES, TokenizerConfig.model_validate(values))) == limit
    complaint(LINES, **{**values, "vocabulary": limit + step})


@pytest.mark.parametrize("kind", ["char", "word"])
def test_characters_and_words_may_be_fewer(kind: str) -> None:
    assert len(train_tokenizer(LINES, TokenizerConfig(kind=kind, vocabulary=20_000))) < 40
    assert len(train_tokenizer(LINES, TokenizerConfig(kind=kind, vocabulary=10))) == 10


@KIND
@pytest.mark.parametrize("lines", [[], [""], ["", "  "], ["\t", "▁", "\u3000\u200b"]], ids=ascii)
def test_no_text(kind: str, lines: list[str]) -> None:
    said = complaint(lines, kind=kind)
    assert said == "corpus.txt is empty; give at least one line to learn a vocabulary"


@KIND
def test_no_line_that_is_short_enough(kind: str) -> None:
    assert complaint(["ab " * 30_000], kind=kind) == (
        "corpus.txt: every line is longer than 65,536 bytes; split the lines into shorter ones"
    )


@KIND
@pytest.mark.parametrize("before", [[], [""], LINES], ids=["at once", "after a blank", "later"])
@pytest.mark.parametrize(
    "error", [UserError("corpus.txt:2: not UTF-8"), ZeroDivisionError("a bug"), KeyboardInterrupt()]
)
def test_what_goes_wrong_with_the_lines_is_told_as_it_is(
    kind: str, before: list[str], error: BaseException
) -> None:
    def lines() -> Iterator[str]:
        yield from before
        raise error

    with pytest.raises(type(error)) as caught:
        train_tokenizer(lines(), TokenizerConfig(kind=kind, vocabulary=SIZES[kind]))
    assert caught.value is error


def test_a_model_without_our_special_pieces() -> None:
    import io

    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(LINES), model_writer=written, model_type="char", minloglevel=2
    )  # has no <pad>
    with pytest.raises(UserError, match="lacks <pad>"):
        Tokenizer(written.getvalue())


def drawn(made: Tokenizer, strength: float, seed: int, times: int = 1) -> list[list[list[int]]]:
    """What a fresh thread draws for the lines, one time after the other."""
    found: list[list[list[int]]] = []
    seed_subword_sampling(seed)
    thread = threading.Thread(
        target=lambda: found.extend(made.sample(LINES, strength) for _ in range(times))
    )
    thread.start()
    thread.join()
    return found


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampling(kind: str) -> None:
    made = tokenizer(kind)
    first, second = drawn(made, 0.3, seed=5, times=2)
    assert made.decode(first) == LINES
    assert first != made.encode(LINES)
    assert first != second  # the generator goes on, so that the sides of a pair are drawn apart
    assert drawn(made, 0.3, seed=5) == [first]
    assert drawn(made, 0.3, seed=6) != [first]


@pytest.mark.parametrize("line", ["a\u200bb", "a\x1cb", " a  b ", "a\u3000b"])
def test_each_whole_word_that_has_an_id_is_a_word(line: str) -> None:
    made = train_tokenizer(["a b"], TokenizerConfig(kind="word", vocabulary=20))
    assert made.piece_words(line) == list(range(len(made.encode([line])[0])))


@given(line=st.text(st.sampled_from("abcdefghij 日本語éü▁\u200b\x1c\u3000")))
def test_each_character_has_an_id(line: str) -> None:
    """Also in a row of unknown ones, where SentencePiece makes one <unk>; its ids otherwise."""
    made = tokenizer("char")
    (ids,) = made.encode([line])
    merged = [
        one
        for one, before in zip(ids, [None, *ids], strict=False)
        if one != before or one != made.unk
    ]
    assert merged == made._processor.EncodeAsIds(line)
    assert len(made.piece_words(line)) == len(ids)
    assert made.encode(["日本語 a"])[0][1:4] == [made.unk] * 3
    assert made.piece_words("日本語 a") == [0, 0, 0, 0, 1, 1]
