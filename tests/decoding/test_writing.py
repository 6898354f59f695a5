"""What a language model writes: drawn from its own probabilities, shown whole, piece by piece."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.decoding.language_model import LanguageModel
from seq2seq.decoding.options import SamplingOptions
from seq2seq.errors import NoTokenError, UserError
from seq2seq.models import folder
from seq2seq.text.codec import Codec
from seq2seq.text.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def generator(speaking):
    return LanguageModel.from_model(folder.load_model(speaking / "model"))


def test_the_prompt_is_read(generator):
    """What follows it is the likeliest continuation, by teacher forcing over all of it."""
    (prompt,) = generator.tokenizer.encode(["le chat rouge"])
    written = list(generator.tokens(prompt, SamplingOptions(max_length=9, top_k=1)))
    network, tokens = generator.engine.networks[0], [generator.tokenizer.bos, *prompt]
    for token in written:
        state = network.decoder.start_without_source(1)
        with torch.no_grad():
            r, _, _ = network.decoder.read(state, torch.tensor([tokens]))
            logits = network.output(r[0, -1])
        logits[[generator.tokenizer.pad, generator.tokenizer.unk, generator.tokenizer.bos]] = -1e9
        assert token == int(logits.argmax())
        tokens.append(token)


def test_pieces_make_the_text(generator):
    sampling = SamplingOptions(max_length=40, seed=3)
    pieces = list(generator.stream("le chien", sampling))
    ids = list(generator.tokens(generator.tokenizer.encode(["le chien"])[0], sampling))
    lines: list[list[int]] = [[]]
    for token in ids:
        if token == generator.tokenizer.eos:
            lines.append([])
        else:
            lines[-1].append(token)
    first, *others = lines
    whole = generator.tokenizer.decode([generator.tokenizer.encode(["le chien"])[0] + first])[0]
    wanted = "\n".join([whole, *generator.tokenizer.decode(others)])
    assert "le chien" + "".join(pieces) == wanted


def test_seeds(generator):
    def text(seed: int) -> str:
        return "".join(generator.stream(None, SamplingOptions(seed=seed, max_length=60)))

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(5)}) == 5


def test_a_text_that_runs_on_never_ends_a_line(speaking):
    model = folder.load_model(speaking / "model")
    data = model.config.data.model_copy(update={"line_ends": False})
    running = LanguageModel.from_model(
        replace(model, config=model.config.model_copy(update={"data": data}))
    )
    text = "".join(running.stream(None, SamplingOptions(max_length=80)))
    assert "\n" not in text
    assert len(text.split()) == 80
    with pytest.raises(NoTokenError):  # the vocabulary has fewer tokens
        running.generate(None, SamplingOptions(max_length=80, no_repeat_ngram=1))


def test_a_character_of_several_bytes_is_shown_whole(speaking):
    """A vocabulary of bytes writes ü as two tokens; nothing broken is shown between them."""
    model = folder.load_model(speaking / "model")
    made = train_tokenizer(["a b ab ba"], TokenizerConfig(kind="bpe", vocabulary=264))
    writer = LanguageModel.from_model(replace(model, codec=Codec(made, made)))
    (wanted,) = made.encode(["aü€ b"])
    writer.tokens = lambda *_: iter(wanted)  # type: ignore[method-assign]
    pieces = list(writer.stream(None, SamplingOptions()))
    assert "".join(pieces) == "aü€ b"
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_model_that_sees_both_ways_says_that_it_cannot_write(speaking, caplog):
    model = folder.load_model(speaking / "model")
    options = SamplingOptions(max_length=1)
    LanguageModel.from_model(model).generate(None, options)
    assert not caplog.messages
    decoder = model.config.decoder.model_copy(update={"bidirectional": True})
    LanguageModel.from_model(
        replace(model, config=model.config.model_copy(update={"decoder": decoder}))
    ).generate(None, options)
    (said,) = caplog.messages
    assert "the model is bidirectional" in said


def test_mistakes(generator):
    with pytest.raises(UserError, match="the prompt is empty"):
        next(generator.stream("  ", SamplingOptions()))
    with pytest.raises(
        UserError, match=r"maximum length 0 is below .*; top-k must be .*, but is -1"
    ):
        SamplingOptions(max_length=0, top_k=-1)
