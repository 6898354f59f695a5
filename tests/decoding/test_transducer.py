"""A transducer in a search: all actions, what it writes, unseen symbols, exports, limits."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest

import seq2seq
from seq2seq.config import toml
from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.options import BeamOptions, SamplingOptions
from seq2seq.decoding.stepping import Limits, force
from seq2seq.errors import UserError
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model
from tests.decoding.learned_models import learn_symbols
from tests.decoding.test_mixtures import KINDS, LINES, random_model

TRANSDUCERS = [kind for kind, parts in KINDS.items() if parts["context"]["kind"] == "transducer"]


@pytest.mark.parametrize("kind", TRANSDUCERS)
def test_a_wide_beam_finds_the_best_of_all_series_of_actions(kind: str) -> None:
    model = random_model(kind, "ab")
    model.network.double()
    translator = seq2seq.Translator.from_models([model])
    engine, specials, codec = translator.engine, translator.specials, model.codec
    (ids,) = (np.array(row, np.int64) for row in codec.source_ids(["aж"]))
    limits = Limits(1, np.array([4]))
    (best,) = beam_search(
        engine, engine.start([ids]), limits, specials, beam=500, alpha=1, n_best=4
    )
    known = codec.target_size + (len(ids) + 1 if codec.copies else 0)
    actions = sorted({*range(known)} - {*specials.forbidden, specials.eos})
    starts = itertools.chain(*(itertools.product(actions, repeat=size) for size in (1, 2, 3)))
    paths = [[*path, specials.eos] for path in starts]
    state = engine.select(engine.start([ids]), np.zeros(len(paths), np.int64))
    totals = np.array(force(engine, state, paths, specials.bos))
    scores = sorted(totals / [len(path) for path in paths])[:-5:-1]
    assert [hypothesis.score for hypothesis in best] == pytest.approx(scores, rel=1e-9)
    assert np.exp(totals).sum() <= 1


@pytest.mark.parametrize("kind", TRANSDUCERS)
@pytest.mark.parametrize("target", ["char", "symbols"])
def test_results_are_texts_without_moves_and_without_repetition(kind: str, target: str) -> None:
    model = random_model(kind, target=target)
    translator = seq2seq.Translator.from_models([model])
    for options in (BeamOptions(beam=6, n_best=6), BeamOptions(beam=6, n_best=6, max_length=2)):
        for row in translator.stream(LINES[:4], options):
            texts = [one.text for one in row.translations]
            assert len(set(texts)) == len(texts)
    for row in translator.stream(LINES[:4], BeamOptions(max_length=2)):
        assert len(row.best.text.split() if target == "symbols" else row.best.text) <= 2
    (scored,) = translator.score(["abc"], ["cab" if target == "char" else "c a b"])
    assert -100 < scored.log_probability < 0


@pytest.mark.parametrize("kind", TRANSDUCERS)
def test_alignments_show_the_pointer(kind: str, tmp_path: Path) -> None:
    model = random_model(kind, target="symbols")
    export_model(model, tmp_path / "export", "fp32")
    found = []
    for translator in (
        seq2seq.Translator.from_models([model]),
        seq2seq.Translator.load(tmp_path / "export"),
    ):
        rows = list(translator.translate_windows([LINES[:4]], BeamOptions(), align=True))
        found.append([(row.best.text, row.best.alignment.weights.tolist()) for row in rows])
        for row in rows:
            weights = row.best.alignment.weights
            assert weights.shape[0] == len(row.best.alignment.target.pieces)
            assert set(weights.ravel()) <= {0, 1}
            assert (weights.sum(axis=1) == 1).all()
            assert (np.diff(weights.argmax(axis=1)) >= 0).all()
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned to spell x as k s, to leave out h, and to repeat other letters."""
    return learn_symbols(
        tmp_path_factory.mktemp("transducer"),
        spelled,
        letters="abcdefghijxh",
        words=220,
        context={"kind": "transducer", "size": 32},
        epochs=8,
        label_smoothing=0.1,
    )


def spelled(word: str) -> str:
    return " ".join(word.replace("h", "").replace("x", "ks"))


def test_a_rule_is_learned_and_unseen_symbols_come_out(trained: Path, tmp_path: Path) -> None:
    draw = random.Random(2)
    words = ["".join(draw.sample("abcdefghijx", 4)) + letter + "ab" for letter in "жñßøλ漢"]
    for path in (trained, tmp_path / "fp32", tmp_path / "int8"):
        if path != trained:
            export_model(load_model(trained), path, path.name)
        found = seq2seq.Translator.load(path).translate(words)
        assert sum(one == spelled(word) for one, word in zip(found, words, strict=True)) >= 5


def test_the_command_line(trained: Path, shell, tmp_path: Path) -> None:
    options = ["--alignments", tmp_path / "a.jsonl", "--n-best", "2"]
    assert shell("translate", trained, *options, stdin=b"ahcxb\n").code == 0
    row = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))
    pieces = [row["source"][np.argmax(weights)] for weights in row["weights"]]
    assert pieces == ["a", "c", "x", "x", "b", "</s>"]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("xa\nxa\n")
    target.write_text("k s a\na a a\n")
    better, worse = map(float, shell("score", trained, source, target).out.split())
    assert better > worse
    assert shell("translate", trained, "--mbr", "4", stdin=b"abc\n").out == "a b c\n"


def test_what_does_not_work_is_one_clear_line(trained: Path, shell, tmp_path: Path) -> None:
    for option in ("--forbid", "--require", "--stop", "--target-prefix"):
        said = shell("translate", trained, option, "a", stdin=b"abc\n")
        assert said.code == 2
        assert "do not work with a" in said.err
    said = shell("translate", trained, "--min-length", "2", stdin=b"abc\n")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "a minimum length, required phrases and other constraints do not work" in said.err
    with pytest.raises(UserError, match="a shortlist does not work with"):
        export_model(random_model("transducer"), tmp_path / "export", "int8", shortlist=True)
    with pytest.raises(UserError, match=r"a transducer \(context.kind\) cannot form an ensemble"):
        seq2seq.Translator.from_models([random_model("transducer"), random_model("monotonic")])
    for settings, message in (
        ({"context": {"kind": "transducer", "placement": "classic"}}, "placement 'classic' does"),
        (
            {"context": {"kind": "transducer"}, "tokenizer": {"kind": "bpe", "sampling": 0.1}},
            "tokenizer.sampling does not work with context.kind = 'transducer'",
        ),
    ):
        values = {"data": {"train": "x", "source": "a", "target": "b"}, "training": {"epochs": 1}}
        with pytest.raises(UserError, match=message):
            toml.parse_config({**values, **settings}, "here")


def test_samples_and_ensembles(trained: Path) -> None:
    both = seq2seq.Translator.load(trained, trained)
    assert both.translate(["xab", "ж"]) == ["k s a b", "ж"]
    samples = next(iter(both.stream(["abcd"], SamplingOptions(n_best=4))))
    assert "a b c d" in [one.text for one in samples.translations]
