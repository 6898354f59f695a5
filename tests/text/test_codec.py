"""What turns an example into ids: saved and loaded, and each task's own way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seq2seq.config.schema import Config
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.config.toml import parse_config
from seq2seq.errors import UserError
from seq2seq.tasks import CLASSIFICATION, GENERATION, TAGGING, TRANSLATION, Task
from seq2seq.text.codec import Codec
from seq2seq.text.example import Example
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.tokenizer import train_tokenizer

TEXT = ["the red cat runs here", "a dog sleeps", "THE END"]


def config(task: Task = TRANSLATION, **sections: object) -> Config:
    values = {
        "task": task.name,
        "data": {"train": "x", "source": "a", "target": "b"},
        "training": {"epochs": 1},
    }
    return parse_config(values | sections, "here")


def codec(task: Task, labels: LabelSet | VectorFormat | None = None) -> Codec:
    one = train_tokenizer(TEXT, TokenizerConfig(kind="char"))
    return Codec(one, one, task, labels)


@pytest.mark.parametrize("joint", [True, False])
def test_saved_and_loaded(tmp_path: Path, joint: bool) -> None:
    kinds = (TokenizerConfig(kind="char", lowercase=True), TokenizerConfig(kind="word"))
    one, other = (train_tokenizer(TEXT, kind) for kind in kinds)
    made = Codec(one, one if joint else other)
    made.save(tmp_path)
    settings = {"joint": joint, "lowercase": True}
    loaded = Codec.load(tmp_path, config(tokenizer=settings))
    assert loaded.source.shares_vocabulary(loaded.target) is joint
    assert (loaded.source.model, loaded.target.model) == (made.source.model, made.target.model)
    assert loaded.source.encode(["The CAT"]) == one.encode(["the cat"])
    assert len(list(tmp_path.iterdir())) == (1 if joint else 2)
    with pytest.raises(UserError, match=r"tokenizer.*\.model is missing"):
        Codec.load(tmp_path, config(tokenizer=settings | {"joint": not joint}))


def test_labels_are_saved_beside(tmp_path: Path) -> None:
    made = codec(TAGGING, LabelSet(["NOUN", "VERB"]))
    made.save(tmp_path)
    tagging = config(TAGGING, tokenizer={"kind": "char"})
    assert Codec.load(tmp_path, tagging) == made
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(UserError, match=r"labels\.txt is missing"):
        Codec.load(tmp_path, tagging)


@pytest.mark.parametrize("content", [b"", b"no model", b"cut"])
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.model"
    made = codec(TRANSLATION).source.model
    path.write_bytes(made[:100] if content == b"cut" else content)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*not a SentencePiece model"):
        Codec.load(tmp_path, config())


def test_each_task_in_its_own_way() -> None:
    labels = LabelSet(["x", "y"])
    made = codec(CLASSIFICATION, labels)
    plain = made.source.encode(["a cat"])
    assert made.encode([Example("a cat", "y")]) == {"source": plain, "target": [[1]]}
    assert made.task.label_side == 1
    made = codec(GENERATION, labels)
    assert made.encode([Example("y", "a cat")]) == {"source": [[1]], "target": plain}
    assert made.task.label_side != 1
    made = codec(GENERATION, VectorFormat(2))
    encoded = made.encode([Example("1 -0.5", "a cat")])
    assert encoded == {"source": [[1_000_000, -500_000]], "target": plain}
    made = codec(TAGGING, labels)
    encoded = made.encode([Example("a cat", "x y")])
    ((*ids,),), tags = encoded["source"], encoded["target"]
    eos = made.source.eos
    one, other = made.source.encode(["a", "cat"])
    assert ids == [*one, eos, *other, eos]
    assert tags == [[0, 1]]


@pytest.mark.parametrize("task", [CLASSIFICATION, TAGGING, GENERATION])
def test_sampled_pieces_spell_the_same_text(task: Task) -> None:
    one = train_tokenizer(
        [*TEXT, "cats red runs sleeps ended"], TokenizerConfig(kind="bpe", vocabulary=300)
    )
    made = Codec(one, one, task, LabelSet(["x", "y"]))
    texts, labels = ["the red cat"], ["x x y"] if task is TAGGING else ["x"]
    sides = (labels, texts) if task is GENERATION else (texts, labels)
    examples = list(map(Example, *sides))
    side, other = ("target", "source") if task is GENERATION else ("source", "target")
    for _ in range(5):
        drawn, plain = made.sample(examples, 0.5), made.encode(examples)
        assert drawn[other] == plain[other]
        kept = [i for i in drawn[side][0] if i != one.eos]
        assert one.decode([kept]) == texts


@pytest.mark.parametrize(
    ("task", "text", "labels", "said"),
    [
        (TAGGING, "the red cat", "x y", "expected 3 labels for 'the red cat', but found 'x y'"),
        (
            CLASSIFICATION,
            "the red cat",
            "x y",
            "expected 1 label for 'the red cat', but found 'x y'",
        ),
    ],
)
def test_as_many_labels_as_are_wanted(task: Task, text: str, labels: str, said: str) -> None:
    made = codec(task, LabelSet(["x", "y"]))
    with pytest.raises(UserError, match=said):
        made.encode([Example("a dog", "x x" if task is TAGGING else "x"), Example(text, labels)])


def test_what_is_written_for_has_one_label() -> None:
    one = train_tokenizer(["a b"], TokenizerConfig(kind="char", vocabulary=20))
    made = Codec(one, one, GENERATION, LabelSet(["very", "happy"]))
    with pytest.raises(UserError, match="expected 1 label, but found 'very happy'"):
        made.encode([Example("very happy", "a")])
    with pytest.raises(UserError, match="expected 1 label, but found 'very happy'"):
        made.source_ids(["very happy"])
    vectors = Codec(one, one, GENERATION, VectorFormat(2))
    assert vectors.encode([Example("0 1", "a")])["source"] == [[0, 1_000_000]]
    assert vectors.source_ids(["0 1"]) == [[0, 1_000_000]]
