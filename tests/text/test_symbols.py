"""Vocabularies of symbols and of grapheme clusters, and a tokenizer for each side."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.schema import Config
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.config.toml import dump_config, parse_config
from seq2seq.decoding.line_encoder import LineEncoder
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.errors import UserError
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset, EncodedChunk
from seq2seq.text.example import Example
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer
from seq2seq.text.vocabulary import learn_codec

PHONES = ["AE B IY", "B AE", "tʰ aɪ ɡ ɚ"]


def learned(lines: list[str], **values: object) -> Tokenizer:
    return train_tokenizer(lines, TokenizerConfig.model_validate(values), "phones.txt")


def config(**tokenizer: object) -> Config:
    values = {
        "data": {"train": "x", "source": "word", "target": "phones"},
        "tokenizer": tokenizer,
        "training": {"epochs": 1},
    }
    return parse_config(values, "here")


SIDES = {"source": {"kind": "char"}, "target": {"kind": "symbols"}}


@pytest.mark.parametrize("separator", [" ", "-", ".", " - ", "::"])
def test_symbols_come_back_with_their_separator(separator: str) -> None:
    lines = [line.replace(" ", separator) for line in PHONES]
    made = learned(lines, kind="symbols", separator=separator)
    assert made.decode(made.encode(lines)) == lines
    assert [len(row) for row in made.encode(lines)] == [3, 2, 4]
    assert (made.kind, made.settings.separator) == ("symbols", separator)
    assert len(made) == 4 + 7  # the special tokens, AE B IY tʰ aɪ ɡ ɚ
    ids = made.encode(lines)[0]
    assert made.piece_ids(made.pieces(ids)) == ids
    assert made.piece_starts(ids) == [lines[0].index(symbol) for symbol in ("AE", "B", "IY")]


def test_the_file_alone_says_how_it_splits() -> None:
    made = learned(["a-b"], kind="symbols", separator="-")
    again = Tokenizer(made.model)
    assert again == made
    assert again.decode(again.encode(["b-a-a"])) == ["b-a-a"]
    assert again.settings.symbols == ()


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=" \n▁")), max_size=6))
def test_any_symbols_that_were_learned_come_back(symbols: list[str]) -> None:
    line = " ".join(symbol for symbol in symbols if symbol) or "a"
    line = "".join(c if c.isprintable() else "x" for c in line)
    made = learned([line], kind="symbols")
    assert made.decode(made.encode([line])) == [line]


def test_an_unknown_symbol_is_one_token_and_is_named() -> None:
    made = learned(PHONES, kind="symbols")
    (ids,) = made.encode(["AE QX B"])
    assert len(ids) == 3
    assert ids[1] == made.unk
    assert made.unknown_tokens("AE QX B") == ["QX"]
    assert made.decode([ids]) == ["AE ⁇ B"]
    assert made.decode([[made.pad, *ids, made.eos]]) == ["AE ⁇ B"]
    with pytest.raises(IndexError):
        made.decode([[len(made)]])


def test_empty_symbols_are_left_out() -> None:
    made = learned(PHONES, kind="symbols")
    assert made.encode([" AE  B ", "   ", ""]) == [*made.encode(["AE B"]), [], []]
    assert made.piece_words(" AE  B ") == [0, 1]


def test_special_tokens_in_the_text_are_unknown() -> None:
    made = learned(["<s> a </s> <pad>"], kind="symbols")
    assert made.unknown_tokens("<s> a <unk>") == ["<s>", "<unk>"]


def test_symbols_of_the_user_have_tokens() -> None:
    made = learned(["a-b"], kind="symbols", separator="-", symbols=["<2up>"])
    assert made.settings.symbols == ("<2up>",)
    assert made.unk not in made.encode(["<2up>-a"])[0]
    made = learned(["<2up>abc"], kind="char", unit="grapheme", symbols=["<2up>"])
    assert len(made.encode(["<2up>cab"])[0]) == 4


def test_grapheme_clusters() -> None:
    line = "a\u0308ba\u0308 नि\U0001f469\u200d\U0001f4bb"
    made = learned([line], kind="char", unit="grapheme")
    (ids,) = made.encode([line])
    assert made.pieces(ids) == ["a\u0308", "b", "a\u0308", "▁", "नि", "\U0001f469\u200d\U0001f4bb"]
    assert made.decode([ids]) == [line]
    assert made.piece_words(line) == [0, 0, 0, 1, 1, 1]
    assert made.piece_starts(ids) == [0, 2, 3, 5, 6, 8]
    # A code point alone is another unit than the cluster that begins with it.
    assert made.unknown_tokens("ab") == ["a"]
    assert len(learned([line], kind="char").encode([line])[0]) > len(ids)


def test_the_most_frequent_symbols_are_kept() -> None:
    made = learned(["a a a a b b c d e f g"], kind="symbols", vocabulary=8)
    assert made.pieces(range(4, len(made))) == ["▁a", "▁b", "▁c", "▁d"]
    made = learned(["a a a a a a a b b c"], kind="symbols", character_coverage=0.9)
    assert made.pieces(range(4, len(made))) == ["▁a", "▁b"]


def test_ipa_survives_and_nfc_is_a_choice() -> None:
    composed, split = "\u00e4 tʰ", "a\u0308 tʰ"
    settings = config(**SIDES).tokenizer
    assert [settings.normalization_of(side) for side in ("source", "target")] == ["identity"] * 2
    made = learned([composed, split], kind="symbols", normalization="nfc")
    assert made.decode(made.encode([split])) == [composed]
    made = learned([split], kind="symbols")
    assert made.decode(made.encode([split])) == [split]


def test_learned_on_each_side(tmp_path: Path) -> None:
    rows = [Example("abbey", "AE B IY"), Example("tʰy", "tʰ aɪ")]
    Dataset.write(tmp_path / "text.arrow", [EncodedChunk(rows, {})])
    settings = config(**SIDES)
    assert not settings.tokenizer.joint
    made = learn_codec(settings, Dataset.open(tmp_path / "text.arrow"))
    assert made.source.unknown_tokens("yabeʰ") == []
    assert made.target.decode(made.encode(rows)["target"]) == ["AE B IY", "tʰ aɪ"]
    (tmp_path / "model").mkdir()
    made.save(tmp_path / "model")
    kept = parse_config(tomllib.loads(dump_config(settings)), "there")
    assert kept.tokenizer == settings.tokenizer
    assert Codec.load(tmp_path / "model", kept) == made


@pytest.mark.parametrize("joint", [True, False])
def test_lower_case_on_one_side(tmp_path: Path, joint: bool) -> None:
    rows = [Example("<A> Cat", "Dogs"), Example("ABBEY", "Iy")]
    Dataset.write(tmp_path / "text.arrow", [EncodedChunk(rows, {})])
    settings = config(kind="char", joint=joint, symbols=["<A>"], source={"lowercase": True})
    made = learn_codec(settings, Dataset.open(tmp_path / "text.arrow"))
    assert made.source.shares_vocabulary(made.target) is joint
    assert made.source.unknown_tokens("<A> CATBEY") == []
    assert made.source.encode(["<A> CAT"]) == made.source.encode(["<A> cat"])
    assert made.target.decode(made.target.encode(["Dogs Iy"])) == ["Dogs Iy"]
    assert made.target.unknown_tokens("B") == ["B"]  # no target has this letter
    (tmp_path / "model").mkdir()
    made.save(tmp_path / "model")
    kept = parse_config(tomllib.loads(dump_config(settings)), "there")
    assert Codec.load(tmp_path / "model", kept) == made
    both = config(kind="char", lowercase=True, target={"lowercase": False}).tokenizer
    assert [both.of(side).lowercase for side in ("source", "target")] == [True, False]


def test_sides_with_the_same_kind_share_their_vocabulary() -> None:
    settings = config(source={"kind": "char"}, target={"kind": "char"})
    assert settings.tokenizer.joint
    assert not config(source={"vocabulary": 100}).tokenizer.joint
    assert not config(kind="char", target={"unit": "grapheme"}).tokenizer.joint
    assert config(**SIDES, kind="bpe").tokenizer.byte_fallback is False
    assert config(kind="char", target={"kind": "bpe"}).tokenizer.byte_fallback is True


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**SIDES, "joint": True}, "joint = true needs the same kind of tokens"),
        (
            {"source": {"separator": "-"}},
            "source.separator works only with source.kind = 'symbols'",
        ),
        ({"separator": "-"}, "separator works only with kind = 'symbols'"),
        ({"kind": "symbols", "separator": ""}, "separator: '' cannot separate symbols"),
        ({"kind": "symbols", "separator": "\t"}, r"separator: '\\t' cannot separate symbols"),
        ({"unit": "grapheme"}, "unit works only with kind = 'char'"),
        ({**SIDES, "case": "marked"}, "case = 'marked' needs"),
        ({"case": "marked", "source": {"lowercase": True}}, "case = 'marked' needs lowercase"),
        ({**SIDES, "sampling": 0.1}, "sampling needs tokenizer.kind"),
        ({"target": {"kind": "phones"}}, "tokenizer.target.kind"),
    ],
)
def test_mistakes_cost_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        config(**values)
    assert "\n" not in str(caught.value)


def test_a_task_with_one_side_of_text() -> None:
    with pytest.raises(UserError, match=r"needs one kind of tokens: set the keys of \[tokenizer\]"):
        parse_config(
            {
                "task": "classification",
                "data": {"train": "x", "source": "a", "target": "b"},
                "tokenizer": {"source": {"kind": "char"}},
                "training": {"epochs": 1},
            },
            "here",
        )


def test_too_little_room_and_no_text() -> None:
    tags = [f"<{letter}>" for letter in "abcd"]
    with pytest.raises(UserError, match="no room for tokens besides"):
        learned(["a b"], kind="symbols", vocabulary=8, symbols=tags)
    with pytest.raises(UserError, match=r"phones\.txt is empty"):
        learned(["", "  "], kind="symbols")


@pytest.mark.parametrize("separator", [" ", "-"])
def test_parts_of_a_long_line_are_joined_by_the_separator(separator: str) -> None:
    source = learned(["abcdefgh"], kind="char", unit="grapheme")
    target = learned([f"A{separator}B"], kind="symbols", separator=separator)
    encoder = LineEncoder(
        Codec(source, target), SourceOptions(), max_tokens=4, language="", spaced=(True, True)
    )
    (line,) = encoder.encode(["abcdefgh"], 1)
    assert line.joints == [separator]
