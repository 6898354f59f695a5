"""Too little memory costs one line, and a batch that is too large is divided."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fault_limits import run_limited

import seq2seq
from seq2seq.decoding.memory_splits import MemorySplits
from seq2seq.errors import OutOfMemoryError, UserError, is_out_of_memory
from seq2seq.export.exported_model import ExportedModel
from seq2seq.models.translation import TranslationNetwork


def allocate(engine):
    """A description of how an engine reports too little memory."""
    if engine == "torch":
        torch.zeros(1 << 50)
    if engine == "numpy":
        np.zeros(1 << 50)
    raise MemoryError


@pytest.mark.parametrize("engine", ["torch", "numpy", "python"])
def test_each_library_is_understood(engine):
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        allocate(engine)
    assert is_out_of_memory(caught.value)


def test_other_errors_are_not_mistaken_for_it():
    assert not is_out_of_memory(RuntimeError("shape '[2]' is invalid"))
    assert not is_out_of_memory(UserError("the GPU is out of memory"))


def test_a_batch_is_divided_until_it_fits(caplog):
    done, splits = [], MemorySplits(str)
    for rows in splits.batches(range(9)):
        with splits.attempt():
            if len(rows) > 2:
                raise MemoryError
            done.extend(rows)
    assert done == list(range(9))
    assert caplog.text.count("continues with smaller batches") == 1


def test_a_row_that_does_not_fit_is_named():
    splits = MemorySplits(lambda row: f"line {row} (9 subwords)")

    def search():
        for rows in splits.batches([1, 2, 3, 4]):
            with splits.attempt():
                if 3 in rows:
                    raise MemoryError("no memory")

    with pytest.raises(OutOfMemoryError, match=r"line 3 \(9 subwords\) needs more memory.*no mem"):
        search()


@pytest.mark.parametrize("kind", ["model", "export"])
def test_translation_goes_on_in_smaller_batches(subjects, kind, monkeypatch):
    """The process has room for a few of the lines at once, but not for all of them."""
    lines = ["the red cat", "a dog sleeps here", "now", "an old man"] * 2
    expected = seq2seq.Translator.load(subjects[kind], device="cpu").translate(lines, beam=1)
    share = [40 << 20]  # bytes that each line uses in addition
    if kind == "model":
        plain = TranslationNetwork.start

        def start(network, tokens, *rest):
            torch.ones(len(tokens) * share[0], dtype=torch.uint8)
            return plain(network, tokens, *rest)

        monkeypatch.setattr(TranslationNetwork, "start", start)
    else:
        encode = ExportedModel._encode_alike

        def start(model, sources):
            np.ones(len(sources) * share[0], np.uint8)
            return encode(model, sources)

        monkeypatch.setattr(ExportedModel, "_encode_alike", start)
    translator = seq2seq.Translator.load(subjects[kind], device="cpu", batch_size=len(lines))
    outcome = run_limited(lambda: translator.translate(lines, beam=1) == expected, extra=170 << 20)
    assert (outcome.kind, outcome.said) == ("opened", "True"), outcome
    share[0] = 4 << 30
    failing = run_limited(lambda: translator.translate(lines, beam=1), extra=16 << 20)
    assert failing.kind == "refused", failing
    assert "line 3 (" in failing.said  # the shortest line comes first


def test_training_names_the_longest_pair(toy, tmp_path, no_picture, monkeypatch):
    from seq2seq.training.run_training import train_model
    from seq2seq.training.train_step import TrainStep

    def update(self, batches, *rest):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(TrainStep, "update", update)
    with pytest.raises(OutOfMemoryError) as caught:
        train_model(toy.config(), tmp_path / "run")
    said = str(caught.value)
    assert "update 1: too little memory" in said
    assert "with training pair " in said
    assert "training.batch_tokens below 120" in said
