"""What must hold of preparation: nothing dropped unsaid, nothing stale reused, no half of it."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text import vocabulary
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset
from seq2seq.text.example import Example
from seq2seq.text.model_codec import ModelCodec
from seq2seq.text.preparation import PreparedData, prepare_data
from seq2seq.text.resampling import resample_subwords

TRAIN = [
    Example(f"ein {a[0]}es {b[0]} am {c[0]}", f"a {a[1]} {b[1]} by the {c[1]}")
    for a, b, c in itertools.product(
        [("rot", "red"), ("alt", "old"), ("neu", "new")],
        [("Haus", "house"), ("Boot", "boat")],
        [("See", "lake"), ("Tor", "gate")],
    )
]
VALID = [Example("ein Tor", "a gate"), Example("ein See", "a lake")]
TEST = [Example("ein Haus", "a house")]


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="seq2seq")


def write(folder: Path, split: str, pairs: Sequence[tuple[Any, ...]]) -> None:
    for side, language in enumerate(("de", "en")):
        lines = "".join(pair[side] + "\n" for pair in pairs)
        (folder / f"{split}.{language}").write_text(lines)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split, pairs in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        write(folder, split, pairs)
    return folder


def settings(corpus: Path, **sections: dict[str, Any]) -> Config:
    values: dict[str, Any] = {
        "data": {
            "source": "de",
            "target": "en",
            **{split: str(corpus / split) for split in ("train", "valid", "test")},
        },
        "tokenizer": {"kind": "char", "vocabulary": 40},
        "training": {"epochs": 1},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return toml.parse_config(values, "test")


def counts(prepared: PreparedData) -> dict[str, int]:
    written = json.loads((prepared.folder / "prepared.json").read_text())["counts"]
    return {name: count for name, count in written.items() if count}


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(caplog.messages)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_what_is_made(corpus: Path, tmp_path: Path) -> None:
    made = prepare_data(settings(corpus), tmp_path / "new" / "data")
    assert list(made.train.examples()) == TRAIN
    assert list(made.valid.examples()) == VALID
    assert made.codec.source.shares_vocabulary(made.codec.target)
    for dataset, pairs in ((made.train, TRAIN), (made.valid, VALID)):
        for row, (source, target, *_) in enumerate(pairs):
            assert made.codec.source.decode([dataset.ids(row, "source").tolist()]) == [source]
            assert made.codec.target.decode([dataset.ids(row, "target").tolist()]) == [target]
    assert set(state(made.folder)) == {
        "prepared.json",
        "statistics.json",
        "tokenizer.model",
        "train.arrow",
        "valid.arrow",
    }


def test_empty_pairs_of_a_validation_set_are_kept_and_named(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(corpus, "valid", [*VALID, ("Tor", ""), ("", "lost")])
    made = prepare_data(settings(corpus), tmp_path / "data")
    assert len(made.valid) == len(VALID) + 2
    place = f"{corpus / 'valid.en'}:{len(VALID) + 1}"
    assert f"{place}: the source or the target is empty; such items count" in caplog.text
    assert f"(2 of {len(VALID) + 2} items)" in caplog.text


def test_pairs_are_dropped_whole_and_counted(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A side that is blank takes the other with it, and shifts nothing."""
    extra = [("", "lost"), ("verloren", " \t"), TRAIN[0], ("x" * 50, "x"), ("Haus am See", "a")]
    write(
        corpus,
        "train",
        [pair for one, pair in zip(extra, TRAIN, strict=False) for pair in (one, pair)] + TRAIN[5:],
    )
    made = prepare_data(
        settings(corpus, data={"max_tokens": 40, "max_ratio": 3}), tmp_path / "data"
    )
    assert list(made.train.examples()) == TRAIN
    assert counts(made) == {
        "read": 17,
        "empty": 2,
        "duplicate": 1,
        "too long": 1,
        "length ratio": 1,
        "kept": 12,
    }
    assert (
        "training pairs: 17 read, 12 kept; "
        "dropped: 2 empty, 1 duplicate, 1 too long, 1 above the maximum length ratio"
        in said(caplog)
    )


def test_nothing_dropped_is_said_too(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_data(settings(corpus), tmp_path / "data")
    assert "training pairs: 12 read, 12 kept; none dropped" in said(caplog)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({"max_tokens": 5}, ["ab", "abcd"]),  # the mark of a word's beginning counts
        ({"max_tokens": 4}, ["ab"]),
        ({"max_ratio": 5 / 3}, ["ab", "abcd"]),
        ({"max_ratio": 1.6}, ["ab"]),
        ({}, ["ab", "abcd", "abcdabcd"]),
    ],
    ids=str,
)
def test_limits_are_kept_exactly(
    corpus: Path, tmp_path: Path, data: dict[str, Any], kept: list[str]
) -> None:
    write(corpus, "train", [("ab", "dc"), ("abcd", "dc"), ("abcdabcd", "dc")])
    write(corpus, "valid", [("abcd" * 9, "d")])  # never dropped
    made = prepare_data(settings(corpus, data=data), tmp_path / "data")
    assert [example.source for example in made.train.examples()] == kept
    assert len(made.valid) == 1


def test_duplicates_may_stay(corpus: Path, tmp_path: Path) -> None:
    write(corpus, "train", TRAIN + TRAIN[:3])
    made = prepare_data(settings(corpus, data={"drop_duplicates": False}), tmp_path / "data")
    assert list(made.train.examples()) == TRAIN + TRAIN[:3]


def test_pairs_of_other_sets_are_counted_with_a_warning(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = [TRAIN[0], TRAIN[0], ("", "dropped"), *TRAIN[1:], *VALID, *TEST]
    write(corpus, "train", [*pairs, (VALID[0].source, "another side")])
    made = prepare_data(settings(corpus), tmp_path / "data")
    assert (counts(made)["also in valid"], counts(made)["also in test"]) == (2, 1)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warnings == [
        f"{corpus / 'train.de'}:{number}: the {split} set contains {pairs}, so scores on this set "
        "are too high; remove these pairs from the training data"
        for split, number, pairs in (
            ("valid", 15, "2 training pairs"),
            ("test", 17, "1 training pair"),
        )
    ]
    assert len(made.train) == 16  # said, not dropped


_OLD, _NEW = ["a\tN\tx"], ["a\tN\tx", "b\tN;Q\ty", "b\tR;Q\ty"]
_OF_MODEL = "2: the model old does not know all features of 2"
_LEARN = "these features are left out (to learn them, train without --from): 'Q', 'R'"
_LEFT_OUT = "these features are left out: 'Q', 'R'"


@pytest.mark.parametrize(
    ("train", "valid", "start", "messages"),
    [
        (_NEW, _OLD, True, [f"train.tsv:{_OF_MODEL} training examples; {_LEARN}"]),
        (_OLD, _NEW, True, [f"valid.tsv:{_OF_MODEL} validation examples; {_LEFT_OUT}"]),
        (_OLD, _OLD, True, []),
        (
            _OLD,
            _NEW,
            False,
            [
                "valid.tsv:2: the features of 2 validation examples do not all occur in the "
                f"training data; {_LEFT_OUT}"
            ],
        ),
    ],
    ids=["train", "valid", "known", "without a model"],
)
def test_features_that_are_left_out_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, train, valid, start, messages
) -> None:
    def config(**splits: Sequence[str]) -> Config:
        for name, rows in splits.items():
            (tmp_path / f"{name}.tsv").write_text("".join(f"{row}\n" for row in rows))
        columns = {"source_column": 1, "features": 2, "target_column": 3, "test": None}
        files = {name: str(tmp_path / f"{name}.tsv") for name in splits}
        return settings(tmp_path, data={**columns, **files})

    old = prepare_data(config(train=_OLD, valid=_OLD), tmp_path / "old").codec
    model = ModelCodec(old, "digest", "old") if start else None
    made = prepare_data(config(train=train, valid=valid), tmp_path / "data", start=model)
    assert made.codec.features == old.features
    found = [message for message in caplog.messages if "features are left out" in message]
    assert found == [f"{tmp_path}/{message}" for message in messages]


def test_no_warning_without_leaks_nor_without_a_test_set(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_data(settings(corpus, data={"test": None}), tmp_path / "data")
    assert not [each for each in caplog.records if each.levelname == "WARNING"]


SAME: dict[str, dict[str, Any]] = {
    "nothing": {},
    "training": {"training": {"epochs": 9, "learning_rate": 0.1}},
    "network": {"encoder": {"hidden": 3}},
}


@pytest.mark.parametrize("changed", SAME.values(), ids=list(SAME))
def test_reused_when_nothing_that_matters_changed(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, changed: dict[str, Any]
) -> None:
    made = prepare_data(settings(corpus), tmp_path / "data")
    before = state(made.folder)
    caplog.clear()
    for path in corpus.iterdir():  # an older or a newer file with the same content is the same
        path.write_bytes(path.read_bytes())
    again = prepare_data(settings(corpus, **changed), tmp_path / "data", in_use=True)
    assert state(made.folder) == before
    assert said(caplog) == ""
    assert list(again.train.examples()) == TRAIN
    assert again.codec.source.model == made.codec.source.model


def test_the_strength_of_sampling_changes_nothing_on_disk(corpus: Path, tmp_path: Path) -> None:
    bpe: dict[str, Any] = {"kind": "bpe", "vocabulary": 300}
    before = state(prepare_data(settings(corpus, tokenizer=bpe), tmp_path / "data").folder)
    made = prepare_data(settings(corpus, tokenizer={**bpe, "sampling": 0.1}), tmp_path / "data")
    assert state(made.folder) == before


CHANGED: dict[str, Callable[[Path], dict[str, Any]]] = {
    "vocabulary": lambda corpus: {"tokenizer": {"vocabulary": 20}},
    "kind": lambda corpus: {"tokenizer": {"kind": "word"}},
    "joint": lambda corpus: {"tokenizer": {"joint": False}},
    "limit": lambda corpus: {"data": {"max_tokens": 30}},
    "sides": lambda corpus: {"data": {"source": "en", "target": "de"}},
    **{
        # As many bytes as before, so that nothing but the content tells.
        f"{split}.{side}": lambda corpus, path=f"{split}.{side}": (
            (corpus / path).write_bytes((corpus / path).read_bytes()[::-1][1:] + b"\n") and {}
        )
        for split in ("train", "valid", "test")
        for side in ("de", "en")
    },
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=list(CHANGED))
def test_made_again_when_something_changed(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Any
) -> None:
    made = prepare_data(settings(corpus), tmp_path / "data")
    before = state(made.folder)
    changed = settings(corpus, **change(corpus))
    with pytest.raises(UserError, match="have changed since the run started"):
        prepare_data(changed, tmp_path / "data", in_use=True)
    assert state(made.folder) == before
    made = prepare_data(changed, tmp_path / "data")
    assert all(
        state(made.folder)[name] != before[name] for name in ("prepared.json", "train.arrow")
    )
    assert "preparing" in said(caplog)
    fresh = prepare_data(changed, tmp_path / "fresh")
    for name in ("train.arrow", "valid.arrow", "prepared.json"):
        assert (made.folder / name).read_bytes() == (fresh.folder / name).read_bytes()


@pytest.mark.parametrize("name", ["train.arrow", "valid.arrow", "tokenizer.model"])
def test_damage_to_prepared_data_is_found(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = prepare_data(settings(corpus), tmp_path / "data").folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(UserError, match=f"{name}: the prepared data is damaged"):
        prepare_data(settings(corpus), tmp_path / "data", in_use=True)
    prepare_data(settings(corpus), tmp_path / "data")
    assert f"{path} is missing or damaged; preparing the data again" in said(caplog)
    assert path.read_bytes() == content


def test_a_missing_file_is_found_without_checksums(corpus: Path, tmp_path: Path) -> None:
    folder = prepare_data(settings(corpus), tmp_path / "data").folder
    stamp = json.loads((folder / "prepared.json").read_text())
    del stamp["sha256"]  # as an earlier version wrote it
    (folder / "prepared.json").write_text(json.dumps(stamp))
    (folder / "valid.arrow").unlink()
    prepare_data(settings(corpus), folder)
    assert (folder / "valid.arrow").exists()


def test_made_again_for_another_schema(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = prepare_data(settings(corpus), tmp_path / "data")
    before = state(made.folder)
    monkeypatch.setattr("seq2seq.text.data_digest.SCHEMA_VERSION", 1)
    with pytest.raises(UserError, match="have changed since the run started"):
        prepare_data(settings(corpus), tmp_path / "data", in_use=True)
    assert state(prepare_data(settings(corpus), tmp_path / "data").folder) != before


def test_made_again_for_another_task(corpus: Path, tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(corpus, split, [("ein Haus", "house"), ("ein Tor", "gate")])
    made = prepare_data(settings(corpus), tmp_path / "data")
    values = settings(corpus).model_dump(exclude={"features", "decoder", "context", "validation"})
    labelled = toml.parse_config({**values, "task": "classification"}, "test")
    again = prepare_data(labelled, tmp_path / "data")
    assert made.codec.labels is None
    assert again.codec.labels is not None
    assert again.train.ids(0, "target").tolist() == [1]  # "house", after "gate"


def test_where_the_corpus_lies_may_change(corpus: Path, tmp_path: Path) -> None:
    before = state(prepare_data(settings(corpus), tmp_path / "data").folder)
    moved = corpus.rename(tmp_path / "elsewhere")
    assert state(prepare_data(settings(moved), tmp_path / "data", in_use=True).folder) == before


def test_a_folder_of_other_files_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    before = state(corpus)
    with pytest.raises(UserError, match="contains files that are not prepared data"):
        prepare_data(settings(corpus), corpus)
    assert state(corpus) == before
    (tmp_path / "empty").mkdir()
    assert list(prepare_data(settings(corpus), tmp_path / "empty").train.examples()) == TRAIN


@pytest.mark.parametrize("name", ["train.arrow", "valid.arrow"])
def test_made_again_when_a_piece_is_gone(corpus: Path, tmp_path: Path, name: str) -> None:
    made = prepare_data(settings(corpus), tmp_path / "data")
    (made.folder / name).unlink()
    assert list(prepare_data(settings(corpus), tmp_path / "data").train.examples()) == TRAIN


BROKEN: dict[str, tuple[dict[str, Any], Callable[[Path], object], str]] = {
    "a vocabulary that does not fit": (
        {"tokenizer": {"kind": "bpe", "vocabulary": 9000}},
        lambda corpus: None,
        "does not fit the training text: at most",
    ),
    "one vocabulary of two that does not fit": (
        {"tokenizer": {"kind": "bpe", "vocabulary": 9000, "joint": False}},
        lambda corpus: None,
        "does not fit the training text in de: at most",
    ),
    "a line too many": (
        {},
        lambda corpus: (corpus / "train.de").open("a").write("mehr\n"),
        "train.de has 13 lines and",
    ),
    "bytes that are no text": (
        {},
        lambda corpus: (corpus / "valid.en").write_bytes(b"a gate\n\xff lake\n"),
        "valid.en:2: not UTF-8",
    ),
    "no test file": ({}, lambda corpus: (corpus / "test.en").unlink(), "data.test: no such file"),
    "nothing to validate on": ({"data": {"valid": None}}, lambda corpus: None, "data.valid is not"),
    "blank lines alone": (
        {},
        lambda corpus: write(corpus, "train", [("a", ""), (" ", "b")]),
        "no training pairs are left after filtering: 2 read, 0 kept; dropped: 2 empty",
    ),
    "long lines alone": (
        {"data": {"max_tokens": 2}},
        lambda corpus: None,
        "no training pairs are left after filtering: 12 read, 0 kept; dropped: 12 too long",
    ),
    "characters that are nothing": (
        {"tokenizer": {"kind": "unigram", "vocabulary": 300, "normalization": "nmt_nfkc"}},
        lambda corpus: write(corpus, "train", [("\u200b", "\u200b")]),
        "the training text is empty",
    ),
}


@pytest.mark.parametrize(("sections", "harm", "expected"), BROKEN.values(), ids=list(BROKEN))
@pytest.mark.parametrize("before", [False, True], ids=["new", "made before"])
def test_a_mistake_is_told_and_changes_nothing_on_disk(
    corpus: Path, tmp_path: Path, sections: Any, harm: Any, expected: str, before: bool
) -> None:
    if before:
        prepare_data(settings(corpus), tmp_path / "data")
    old = state(tmp_path / "data") if before else None
    harm(corpus)
    for _ in range(2):  # what was there before is no answer, neither now nor when asked again
        with pytest.raises(UserError) as caught:
            prepare_data(settings(corpus, **sections), tmp_path / "data")
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
    there = {path.name for path in tmp_path.iterdir()}
    assert there == ({"corpus", "data"} if before else {"corpus"})
    assert not before or state(tmp_path / "data") == old


def test_vocabularies_of_their_own(corpus: Path, tmp_path: Path) -> None:
    made = prepare_data(settings(corpus, tokenizer={"joint": False}), tmp_path / "data")
    source, target = made.codec.source, made.codec.target
    assert source is not target
    # S is in the German text alone, y in the English alone.
    assert source.unk not in source.piece_ids(["S"])
    assert target.unk in target.piece_ids(["S"])
    assert source.unk in source.piece_ids(["y"])
    assert target.unk not in target.piece_ids(["y"])
    assert target.decode([made.train.ids(3, "target").tolist()]) == [TRAIN[3].target]
    again = prepare_data(settings(corpus, tokenizer={"joint": False}), tmp_path / "data")
    assert again.codec.target.model == target.model


def test_learned_from_a_sample(corpus: Path, tmp_path: Path) -> None:
    """Pairs evenly over the corpus; what none of them holds is not learned."""
    write(corpus, "train", [("a b", "c d"), ("x y", "z w")] * 4)
    values = {"data": {"drop_duplicates": False}, "tokenizer": {"sample_lines": 4}}
    made = prepare_data(settings(corpus, **values), tmp_path / "data").codec.source
    assert made.unk not in made.piece_ids(list("abcd"))
    assert set(made.piece_ids(list("xyzw"))) == {made.unk}


def test_threads_change_nothing(corpus: Path, tmp_path: Path) -> None:
    config = settings(corpus, tokenizer={"kind": "bpe", "vocabulary": 300})
    one = prepare_data(config, tmp_path / "one", threads=1)
    two = prepare_data(config, tmp_path / "two", threads=2)
    for name in state(one.folder):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


def drawn(dataset: Dataset) -> list[list[list[int]]]:
    sides = ("source", "target")
    return [[dataset.ids(row, side).tolist() for side in sides] for row in range(len(dataset))]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_sampling_depends_on_seed_and_epoch_alone(corpus: Path, tmp_path: Path, kind: str) -> None:
    write(corpus, "train", [*TRAIN, ("ein altes Boot am See",) * 2])
    tokenizer = {"kind": kind, "vocabulary": {"bpe": 330, "unigram": 284}[kind]}
    made = prepare_data(settings(corpus, tokenizer=tokenizer), tmp_path / "data")
    first = resample_subwords(made, 0.3, seed=1, epoch=2)
    ids = drawn(first)
    assert list(first.examples()) == list(made.train.examples())
    assert made.codec.source.decode([row[0] for row in ids]) == [
        example.source for example in made.train.examples()
    ]
    assert ids != drawn(made.train)
    others = [drawn(resample_subwords(made, 0.3, *each)) for each in ((1, 3), (2, 2), (1, 2**40))]
    made.codec.source.sample(["ein Haus"] * 50, 0.3)  # in this thread, meanwhile
    assert drawn(resample_subwords(made, 0.3, seed=1, epoch=2)) == ids
    assert ids not in others
    assert len({json.dumps(each) for each in others}) == 3
    assert drawn(first) == ids  # a newer file takes nothing from one that is open
    # The two sides of a pair are drawn apart: the last pair has the same text twice.
    pairs = [drawn(resample_subwords(made, 0.3, 1, epoch))[-1] for epoch in range(8)]
    assert any(source != target for source, target in pairs)


def test_what_fails_in_sampling_is_raised(corpus: Path, tmp_path: Path) -> None:
    made = prepare_data(settings(corpus), tmp_path / "data")
    resample_subwords(made, 0.3, seed=1, epoch=1)
    before = state(made.folder)

    class Broken:
        def sample(self, lines: list[str], strength: float) -> list[list[int]]:
            raise ZeroDivisionError

    broken: Any = Codec(Broken(), Broken())
    with pytest.raises(ZeroDivisionError):
        resample_subwords(replace(made, codec=broken), 0.3, seed=1, epoch=2)
    assert state(made.folder) == before


def test_a_hub_dataset_need_not_have_a_test_set(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    for name, pairs in (("train", TRAIN), ("validation", VALID)):
        lines = [json.dumps({"de": de, "en": en}) + "\n" for de, en, *_ in pairs]
        (hub / f"{name}.jsonl").write_text("".join(lines))
    none: dict[str, Any] = dict.fromkeys(("train", "valid", "test"))
    made = prepare_data(settings(corpus, data={"hub": str(hub), **none}), tmp_path / "data")
    assert len(made.train)
    assert "the training data cannot be compared with a test set" in caplog.text


def test_a_transducer_has_actions_that_write_the_targets(corpus: Path, tmp_path: Path) -> None:
    plain = prepare_data(settings(corpus), tmp_path / "plain")
    config = settings(corpus, context={"kind": "transducer"})
    first = prepare_data(config, tmp_path / "data")
    again = prepare_data(config, tmp_path / "data")
    for prepared in (first, again):
        for mine, other in ((prepared.train, plain.train), (prepared.valid, plain.valid)):
            assert len(mine) == len(other)
            for row in range(len(mine)):
                written = prepared.codec.written(mine.ids(row, "target").tolist())
                assert written == other.ids(row, "target").tolist()
    assert "actions.json" in first.codec.files()
    assert first.codec.files() == again.codec.files()
    start = ModelCodec(first.codec, "digest", "model")
    other = prepare_data(settings(corpus), tmp_path / "attention", start=start)
    assert other.codec.actions is None
    assert other.train.ids(0, "target").tolist() == plain.train.ids(0, "target").tolist()


def test_a_transducer_refuses_large_vocabularies(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "MOST_ACTIONS", 100)
    config = settings(corpus, context={"kind": "transducer"})
    with pytest.raises(UserError, match="because the product of both is larger than 100: use"):
        prepare_data(config, tmp_path / "data")
