"""Targets stay as they are, sources may be folded, symbols survive, vocabularies can be given."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.text.codec import Codec
from seq2seq.text.normalization import TextRules, normalize_text
from seq2seq.text.preparation import prepare_data
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

KINDS = ["unigram", "bpe", "char", "word"]
KIND = pytest.mark.parametrize("kind", KINDS)
SIZES = {"unigram": 276, "bpe": 305, "char": 80, "word": 80}
LARGER = {"unigram": 308, "bpe": 330, "char": 80, "word": 80}
# What NMT NFKC would change (case 7 of issue 26).
TARGETS = ["你好，世界！", "m² ½", "tʰ kʷ", "１０ ？", "می\u200cخواهم", "ﬁn\u00a0!", "e\u0301"]


def config(folder: Path, **tokenizer: object) -> Config:
    return toml.parse_config(
        {
            "data": {"source": "x", "target": "y", "train": str(folder / "t"), "valid": "none"},
            "tokenizer": tokenizer,
            "training": {"epochs": 1},
        },
        "here",
    )


def prepared(folder: Path, pairs: list[tuple[str, str]], **tokenizer: object) -> Codec:
    for split in ("t", "v"):
        for side, name in enumerate("xy"):
            text = "".join(pair[side] + "\n" for pair in pairs)
            (folder / f"{split}.{name}").write_text(text, encoding="utf-8")
    values = config(folder, **tokenizer).model_dump(mode="json")
    values["data"]["valid"] = str(folder / "v")
    made = toml.parse_config(values, "here")
    codec = prepare_data(toml.find_files(made, folder), folder / "data").codec
    assert Codec.load(folder / "data", made) == codec
    return codec


@KIND
def test_targets_come_out_as_they_were_and_sources_are_folded(kind: str, tmp_path: Path) -> None:
    pairs = [(line, line) for line in TARGETS * 3]
    codec = prepared(tmp_path, [*pairs, ("a b", "a b")], kind=kind, vocabulary=LARGER[kind])
    assert codec.target.decode(codec.target.encode(TARGETS)) == TARGETS
    folded = codec.source.encode(["１０ ２"])
    assert folded == codec.source.encode(["10  2"])
    assert folded != codec.target.encode(["１０ ２"])


def test_a_normalisation_of_both_sides_or_of_one(tmp_path: Path) -> None:
    assert config(tmp_path).tokenizer.normalization_of("target") == "identity"
    assert config(tmp_path, kind="word").tokenizer.normalization_of("target") == "whitespace"
    both = config(tmp_path, normalization="nmt_nfkc", target={"normalization": "nfc"}).tokenizer
    assert [both.normalization_of(side) for side in ("source", "target")] == ["nmt_nfkc", "nfc"]
    codec = prepared(
        tmp_path,
        [("ａ e\u0301", "ａ e\u0301")] * 3,
        kind="char",
        vocabulary=40,
        target={"normalization": "nfc"},
    )
    assert codec.target.decode(codec.target.encode(["ａ e\u0301"])) == ["ａ é"]
    nfd = prepared(tmp_path, [("é", "é")] * 3, kind="char", vocabulary=40, normalization="nfd")
    assert nfd.target.decode(nfd.target.encode(["é"])) == ["e\u0301"]
    assert nfd.source.unknown_tokens("é") == []


def test_how_many_lines_change_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    prepared(
        tmp_path,
        [("a b", "c，d"), ("see ﬁgure", "x  y"), ("½", "z")],
        kind="char",
        vocabulary=40,
        normalization="nmt_nfkc",
    )
    said = "\n".join(caplog.messages)
    path = tmp_path / "t"
    assert (
        f"normalisation (nmt_nfkc) changes 2 of 3 source lines; for example, {path}.x:2: "
        "'see ﬁgure' becomes 'see figure'"
    ) in said
    assert f"changes 2 of 3 target lines; for example, {path}.y:1: 'c，d' becomes 'c,d'" in said


@KIND
def test_white_space_is_kept(kind: str) -> None:
    lines = ["def f(x):", "    if x:", "        return  1", "end"] * 4
    values = TokenizerConfig(kind=kind, vocabulary=SIZES[kind], normalization="identity")
    made = train_tokenizer(lines, values)
    assert made.decode(made.encode(lines)) == lines


@KIND
def test_every_character_of_the_text_is_known(kind: str) -> None:
    lines = ["abc def"] * 5000 + ["rare . ž"]
    made = train_tokenizer(lines, TokenizerConfig(kind=kind, vocabulary=267))
    if kind in ("word", "char"):
        assert made.unknown_tokens("rare . ž") == []
    assert made.decode(made.encode(["rare . ž"])) == ["rare . ž"]


def test_the_written_configuration_says_whether_bytes_stand_for_characters(tmp_path: Path) -> None:
    for kind in KINDS:
        written = toml.dump_config(config(tmp_path, kind=kind, byte_fallback=True))
        wanted = "true" if kind in ("unigram", "bpe") else "false"
        assert f"byte_fallback = {wanted}\n" in written


SYMBOLS = ["<2fr>", "<b>", "</b>", "ﬁ", "X"]


@KIND
@pytest.mark.parametrize("normalization", ["identity", "nmt_nfkc"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_symbols_are_never_split_or_changed(
    kind: str, normalization: str, lowercase: bool, tmp_path: Path
) -> None:
    size = {"unigram": 281, "bpe": 310}.get(kind, 80)
    values = {"kind": kind, "vocabulary": size, "symbols": SYMBOLS, "lowercase": lowercase}
    pairs = [("<2fr> the cat X", "le <b>chat</b>"), ("ﬁ the dog", "un chien")]
    for number, rules in enumerate(
        ({"normalization": normalization}, {"source": {"normalization": normalization}})
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        codec = prepared(folder, pairs, **values, **rules)
        for made in (codec.source, codec.target):
            mark = "▁" if kind == "word" else ""
            ids = made.piece_ids([mark + symbol for symbol in SYMBOLS])
            assert made.unk not in ids
            (row,) = made.encode(["<2fr> the <b>cat</b> ﬁ X"])
            assert [i for i in row if i in ids] == ids
            text = made.decode([row])[0]
            spaced = " <b> cat </b> " if kind == "word" else " <b>cat</b> "
            assert text == f"<2fr> the{spaced}ﬁ X"


@pytest.mark.parametrize("wrong", [[""], ["a b"], ["▁x"], ["<unk>"], ["x", "x"]])
def test_what_cannot_be_a_symbol(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="symbols: "):
        config(tmp_path, symbols=wrong)


@given(text=st.text(st.sampled_from("aＡ½ \u3000\u200b<b>ﬁİé\u0301⇧BC  ")))
def test_prepared_text_has_the_origins_of_its_characters(text: str) -> None:
    for rule in ("identity", "whitespace", "nfc", "nfd", "nmt_nfkc"):
        for symbols in ((), ("<b>", "½")):
            rules = TextRules(normalization=rule, symbols=symbols)
            changed, base, origins = rules.prepare_with_origins(text)
            assert changed == rules.prepare(text)
            assert len(origins) == len(changed)
            assert origins == sorted(origins)
            assert all(0 <= origin < len(base) for origin in origins)
            if not symbols:
                assert changed == normalize_text(text, rule)


def test_unknown_tokens_are_named() -> None:
    lines = ["the red cat"] * 3
    word = train_tokenizer(lines, TokenizerConfig(kind="word", vocabulary=20))
    assert word.unknown_tokens("the blue cat sat") == ["blue", "sat"]
    char = train_tokenizer(lines, TokenizerConfig(kind="char", vocabulary=20))
    assert char.unknown_tokens("the 9 cat") == ["9"]
    values = TokenizerConfig(kind="bpe", vocabulary=20, byte_fallback=False)
    assert train_tokenizer(lines, values).unknown_tokens("the 日本 cat") == ["日本"]


def vocabulary(path: Path, **values: object) -> Tokenizer:
    settings = TokenizerConfig.model_validate({"kind": "char", "vocabulary": 40, **values})
    made = train_tokenizer(["a b c", "ＡＢ"], settings, "x", settings.normalization_of("target"))
    path.write_bytes(made.model)
    return made


def test_a_given_vocabulary(tmp_path: Path) -> None:
    made = vocabulary(tmp_path / "shared.model")
    values = {"kind": "char", "model": "shared.model"}
    codec = prepared(tmp_path, [("a b", "b d"), ("c", "ＡＢ")], **values)
    assert codec.target.model == made.model
    assert codec.target.decode(codec.target.encode(["ＡＢ"])) == ["ＡＢ"]
    found = toml.find_files(config(tmp_path, **values), tmp_path).tokenizer
    assert found.sha256 == hashlib.sha256(made.model).hexdigest()
    assert found.model == str(tmp_path / "shared.model")


@pytest.mark.parametrize(
    ("inside", "wanted", "said"),
    [
        ({}, {"kind": "bpe"}, "is a vocabulary of kind 'char': set tokenizer.kind = 'char'"),
        ({"case": "marked"}, {}, "was made for case 'marked'"),
        ({"symbols": ["<b>"]}, {}, r"has the symbols \['<b>'\]"),
        ({"normalization": "nmt_nfkc"}, {}, "normalises all text with 'nmt_nfkc'"),
        ({}, {"sha256": "0" * 64}, "has the SHA-256 checksum"),
    ],
)
def test_a_given_vocabulary_that_does_not_fit(
    inside: dict[str, object], wanted: dict[str, object], said: str, tmp_path: Path
) -> None:
    vocabulary(tmp_path / "shared.model", **inside)
    with pytest.raises(UserError, match=said):
        prepared(tmp_path, [("a", "b")], **{"kind": "char", "model": "shared.model", **wanted})


def test_a_given_vocabulary_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.model cannot be read"):
        prepared(tmp_path, [("a", "b")], kind="char", model="none.model")


def test_copies_in_capitals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pairs = [(f"the cat {i}", f"le chat <b> {i}") for i in range(20)]
    prepared(tmp_path, pairs, kind="char", case="marked", symbols=["<b>"], vocabulary=60)
    assert "20 read, 22 kept (among them 2 copies in capitals)" in "\n".join(caplog.messages)
