"""What turns a pair into ids: saved and loaded, and each shape's own way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seq2seq.config import Config, Shape, TokenizerConfig
from seq2seq.config_file import parse
from seq2seq.errors import UserError
from seq2seq.text.labels import Labels, Numbers
from seq2seq.text.tokenizer import learn
from seq2seq.text.tokenizers import Tokenizers

TEXT = ["the red cat runs here", "a dog sleeps", "THE END"]


def config(shape: Shape = "translation", **sections: object) -> Config:
    values = {
        "shape": shape,
        "data": {"train": "x", "source": "a", "target": "b"},
        "training": {"epochs": 1},
    }
    return parse(values | sections, "here")


def tokenizers(shape: Shape, labels: Labels | Numbers | None = None) -> Tokenizers:
    one = learn(TEXT, TokenizerConfig(kind="char"))
    return Tokenizers(one, one, shape, labels)


@pytest.mark.parametrize("joint", [True, False])
def test_saved_and_loaded(tmp_path: Path, joint: bool) -> None:
    kinds = (TokenizerConfig(kind="char", lowercase=True), TokenizerConfig(kind="word"))
    one, other = (learn(TEXT, kind) for kind in kinds)
    made = Tokenizers(one, one if joint else other)
    made.save(tmp_path)
    settings = {"joint": joint, "lowercase": True}
    loaded = Tokenizers.load(tmp_path, config(tokenizer=settings))
    assert (loaded.source is loaded.target) is joint
    assert (loaded.source.model, loaded.target.model) == (made.source.model, made.target.model)
    assert loaded.source.encode(["The CAT"]) == one.encode(["the cat"])
    assert len(list(tmp_path.iterdir())) == (1 if joint else 2)
    with pytest.raises(UserError, match=r"tokenizer.*\.model is missing"):
        Tokenizers.load(tmp_path, config(tokenizer=settings | {"joint": not joint}))


def test_labels_are_saved_beside(tmp_path: Path) -> None:
    made = tokenizers("tagging", Labels(["NOUN", "VERB"]))
    made.save(tmp_path)
    tagging = config("tagging", tokenizer={"kind": "char"})
    assert Tokenizers.load(tmp_path, tagging) == made
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(UserError, match=r"labels\.txt is missing"):
        Tokenizers.load(tmp_path, tagging)


@pytest.mark.parametrize("content", [b"", b"no model", b"cut"])
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.model"
    made = tokenizers("translation").source.model
    path.write_bytes(made[:100] if content == b"cut" else content)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*no SentencePiece model"):
        Tokenizers.load(tmp_path, config())


def test_each_shape_in_its_own_way() -> None:
    labels = Labels(["x", "y"])
    made = tokenizers("classification", labels)
    plain = made.source.encode(["a cat"])
    assert made.encode(["a cat"], ["y"]) == (plain, [[1]])
    assert made.labelled_target
    made = tokenizers("generation", labels)
    assert made.encode(["y"], ["a cat"]) == ([[1]], plain)
    assert not made.labelled_target
    made = tokenizers("generation", Numbers(2))
    assert made.encode(["1 -0.5"], ["a cat"]) == ([[1_000_000, -500_000]], plain)
    made = tokenizers("tagging", labels)
    ((*ids,),), tags = made.encode(["a cat"], ["x y"])
    eos = made.source.eos
    one, other = made.source.encode(["a", "cat"])
    assert ids == [*one, eos, *other, eos]
    assert tags == [[0, 1]]


@pytest.mark.parametrize("shape", ["classification", "tagging", "generation"])
def test_sampled_pieces_spell_the_same_text(shape: Shape) -> None:
    one = learn([*TEXT, "cats red runs sleeps ended"], TokenizerConfig(kind="bpe", vocabulary=300))
    made = Tokenizers(one, one, shape, Labels(["x", "y"]))
    texts, labels = ["the red cat"], ["x x y"] if shape == "tagging" else ["x"]
    sides = (labels, texts) if shape == "generation" else (texts, labels)
    side = 1 if shape == "generation" else 0
    for _ in range(5):
        drawn, plain = made.sample(*sides, 0.5), made.encode(*sides)
        assert drawn[1 - side] == plain[1 - side]
        kept = [i for i in drawn[side][0] if i != one.eos]
        assert one.decode([kept]) == texts


@pytest.mark.parametrize(
    ("shape", "text", "labels", "said"),
    [
        ("tagging", "the red cat", "x y", "'x y' is not 3 labels, as 'the red cat' needs"),
        ("classification", "the red cat", "x y", "'x y' is not 1 label, as"),
    ],
)
def test_as_many_labels_as_are_wanted(shape: Shape, text: str, labels: str, said: str) -> None:
    made = tokenizers(shape, Labels(["x", "y"]))
    with pytest.raises(UserError, match=said):
        made.encode(["a dog", text], ["x x" if shape == "tagging" else "x", labels])


def test_what_is_written_for_has_one_label() -> None:
    one = learn(["a b"], TokenizerConfig(kind="char", vocabulary=20))
    made = Tokenizers(one, one, "generation", Labels(["very", "happy"]))
    with pytest.raises(UserError, match="'very happy' is not 1 label"):
        made.encode(["very happy"], ["a"])
    vectors = Tokenizers(one, one, "generation", Numbers(2))
    assert vectors.encode(["0 1"], ["a"])[0] == [[0, 1_000_000]]
