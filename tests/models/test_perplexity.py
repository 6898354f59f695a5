"""Perplexity is over the whole text: no window, no line and no cut may show in it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch

from seq2seq.errors import UserError
from seq2seq.evaluation.perplexities import perplexity_scores
from seq2seq.models import folder
from seq2seq.models import perplexity as module
from seq2seq.models.perplexity import perplexity_of_lines

UNKNOWN_TEXT = "le xyzzy rouge\nle chat\nplugh\n"
UNKNOWN_LINES = ["line 1: 1 of 3 tokens unknown: 'xyzzy'", "line 3: 1 of 1 tokens unknown: 'plugh'"]
CPU, FP32 = torch.device("cpu"), torch.float32


@pytest.fixture(scope="module")
def model(speaking):
    return folder.load_model(speaking / "model")


def by_steps(model, ids: list[int]) -> float:
    tokens = [model.codec.target.bos, *ids]
    state, nll = model.network.decoder.start_without_source(1), 0.0
    with torch.no_grad():
        for before, token in zip(tokens, ids, strict=False):
            log_p, state = model.network.decoder.step(state, torch.tensor([before]))
            nll -= float(log_p[0, token])
    return nll


@pytest.mark.parametrize("line_ends", [True, False])
@pytest.mark.parametrize("window", [1, 7, 512])
def test_it_is_that_of_one_step_after_the_other(model, toy, monkeypatch, window, line_ends):
    lines = ["", *toy.lines("test.fr"), "le hibou"]
    data = model.config.data.model_copy(update={"line_ends": line_ends})
    changed = replace(model, config=model.config.model_copy(update={"data": data}))
    ids: list[int] = []
    for line in model.codec.target.encode(lines):
        ids += [*line, model.codec.target.eos] if line_ends else line
    monkeypatch.setattr(module, "_WINDOW", window)
    monkeypatch.setattr(module, "_LINES", 3)
    found = perplexity_of_lines(changed, lines, CPU, FP32, "text")
    assert found.tokens == len(ids)
    assert found.nll == pytest.approx(by_steps(changed, ids), rel=1e-5)
    assert found.value == pytest.approx(math.exp(found.nll / found.tokens))


def test_no_text(model):
    with pytest.raises(UserError, match="book: no tokens"):
        perplexity_of_lines(model, [], CPU, FP32, "book")


def test_unknown_tokens_are_counted_and_left_out(model):
    tokenizer = model.codec.target
    known = perplexity_of_lines(model, ["le chat"], CPU, FP32, "text")
    assert (known.unknown, known.unknown_share, known.describe_unknown()) == (0, 0, "")
    lines = ["le hibou rouge", "xyzzy le chat"]
    found = perplexity_of_lines(model, lines, CPU, FP32, "text")
    ids = [i for line in tokenizer.encode(lines) for i in (*line, tokenizer.eos)]
    assert found.unknown == ids.count(tokenizer.unk) == 2
    # The loss of the unknown tokens is the difference that each of them makes, step by step.
    of_unknown = sum(
        by_steps(model, ids[: place + 1]) - by_steps(model, ids[:place])
        for place, token in enumerate(ids)
        if token == tokenizer.unk
    )
    assert found.unknown_nll == pytest.approx(of_unknown, rel=1e-4)
    expected = math.exp((found.nll - of_unknown) / (len(ids) - 2))
    assert found.known_value == pytest.approx(expected, rel=1e-4)
    text = f"25.00 % unknown tokens (<unk>), perplexity without them {expected:.3f}"
    assert found.describe_unknown() == text


def test_a_text_of_unknown_tokens_alone(model):
    data = model.config.data.model_copy(update={"line_ends": False})
    changed = replace(model, config=model.config.model_copy(update={"data": data}))
    found = perplexity_of_lines(changed, ["xyzzy"], CPU, FP32, "text")
    assert (found.known_value, found.known_loss) == (None, None)
    assert found.describe_unknown() == "100.00 % unknown tokens (<unk>)"
    (score,) = perplexity_scores("perplexity", found)
    assert score.signature == "1 tokens, 100.00 % unknown (<unk>)"


def test_the_command_prints_unknown_tokens(speaking, shell):
    said = shell("perplexity", speaking / "model", stdin=b"le chat rouge\n")
    assert said.out.count("\n") == 1
    said = shell("perplexity", speaking / "model", stdin=UNKNOWN_TEXT.encode())
    assert "22.22 % unknown tokens (<unk>), perplexity without them " in said.out
    assert re.findall(r"line .*", said.err) == UNKNOWN_LINES


def test_evaluate_and_an_export_name_unknown_tokens(speaking, shell, tmp_path):
    text = tmp_path / "text"
    text.write_text(UNKNOWN_TEXT)
    assert shell("export", speaking / "model", "-o", tmp_path / "export").code == 0
    for command in (
        ("evaluate", speaking / "model", text),
        ("perplexity", tmp_path / "export", text),
    ):
        said = shell(*command)
        assert said.code == 0, said.err
        assert re.findall(r"line .*", said.err) == UNKNOWN_LINES
