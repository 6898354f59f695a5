"""BLEU, chrF and TER are those of sacreBLEU."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from seq2seq.decoding.options import search_options
from seq2seq.errors import UserError
from seq2seq.evaluation.evaluate import evaluate_models
from seq2seq.evaluation.scores import (
    bleu_signature,
    can_judge,
    corpus_bleu,
    corpus_scores,
    exact_match,
    measure_bleu,
)
from seq2seq.models import folder
from seq2seq.text.compared_form import ComparedForm
from seq2seq.text.example import Example
from seq2seq.text.languages import bleu_tokenizer
from seq2seq.text.scripts import BleuTokenizer

HYPOTHESES = ["The cat sat on the mat.", "a Dog barks, loudly!", "", "trois petits chats sont là"]
REFERENCES = ["The cat is on the mat.", "A dog barks loudly!", "Hm.", "trois petits chats sont là"]


def test_scores_and_signatures_are_those_of_the_sacrebleu_command(tmp_path):
    hypothesis, reference = tmp_path / "hyp", tmp_path / "ref"
    hypothesis.write_text("\n".join(HYPOTHESES) + "\n", encoding="utf-8")
    reference.write_text("\n".join(REFERENCES) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(reference), "-i", str(hypothesis)]
    command += ["-m", "bleu", "chrf", "ter", "-w", "9", "-f", "json"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    scores = corpus_scores(HYPOTHESES, REFERENCES)
    assert [score.name for score in scores] == ["BLEU", "chrF", "TER", "exact match"]
    assert (scores[3].value, scores[3].signature) == (25, "nrefs:1|case:mixed|lines:4")
    for score, theirs in zip(scores, said, strict=False):
        assert score.value == pytest.approx(theirs["score"], abs=1e-8)
        assert 10 < score.value < 90
        assert theirs["signature"] == score.signature
    assert corpus_bleu(HYPOTHESES, REFERENCES) == scores[0].value


def test_bleu_says_nothing_of_tiny_or_tokenized_text():
    # In a process of its own: what logging does with no handler set up is what a user sees.
    script = """
from seq2seq.evaluation.scores import corpus_bleu as bleu
print(bleu(["a ."] * 150, ["b ."] * 150), bleu(["a"], ["b"]), bleu([""], [""]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("count", [corpus_bleu, corpus_scores])
def test_unpaired_and_empty_texts_are_refused(count):
    with pytest.raises(UserError, match=r"3 hypotheses .* 2 references"):
        count(["a", "b", "c"], ["a", "b"])
    with pytest.raises(UserError, match="no lines"):
        count([], [])


def test_case_counts():
    assert corpus_bleu(["the cat sat on the mat"], ["The Cat Sat On The Mat"]) == 0.0


@pytest.mark.parametrize(
    ("language", "tokens"),
    [("de", "13a"), ("", "13a"), ("zh", "zh"), ("zh-CN", "zh"), ("zho_Hans", "zh"), ("JA", "char")],
)
def test_languages_without_spaces_are_parted(language, tokens):
    assert bleu_tokenizer(language) == tokens
    lines = ["我喜欢在公园里看书和跑步", "他昨天买了三本新书"]
    wanted = ["我喜欢在公园里看书和散步", "他昨天买了两本新书"]
    found = corpus_bleu(lines, wanted, tokens=tokens)
    assert (found == 0) == (tokens == "13a")  # one token a sentence
    score, *_ = corpus_scores(lines, wanted, tokens=tokens)
    assert score.value == pytest.approx(found)
    assert f"tok:{tokens}" in score.signature


def test_the_target_says_how_a_translator_is_scored(trained, toy):
    model = folder.load_model(trained / "model")
    data = model.config.data.model_copy(update={"target": "ja"})
    config = model.config.model_copy(update={"data": data})
    sides = (toy.lines("test.en")[:5], toy.lines("test.fr")[:5])
    # References without letters, so that the name of the side decides.
    pairs = [Example(source, "1 2 3 4") for source, _ in zip(*sides, strict=True)]
    done = evaluate_models(
        [replace(model, config=config)], pairs, search_options(beam=1), name="test"
    )
    assert "tok:char" in done.scores[0].signature
    references = [example.target for example in pairs]
    assert done.scores[0].value == corpus_bleu(done.outputs, references, tokens="char")
    french = [Example(*pair) for pair in zip(*sides, strict=True)]
    model = replace(model, config=config)
    done = evaluate_models([model], french, search_options(beam=1), name="test")
    assert done.bleu_tokens == BleuTokenizer(
        "13a", "the references are in a script with spaces between words"
    )
    done = evaluate_models([model], french, search_options(beam=1), name="a", tokenize="char")
    assert "tok:char" in done.scores[0].signature


def test_several_references_are_those_of_the_sacrebleu_command(tmp_path):
    others = ["The cat sat on a mat.", "", "Hm hm.", "trois chatons sont là"]
    paths = [tmp_path / name for name in ("hyp", "ref", "more")]
    for path, lines in zip(paths, (HYPOTHESES, REFERENCES, others), strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", paths[1], paths[2], "-i", paths[0]]
    command += ["-m", "bleu", "chrf", "ter", "-w", "9", "-f", "json"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    scores = corpus_scores(HYPOTHESES, REFERENCES, more_references=[others])
    single = corpus_scores(HYPOTHESES, REFERENCES)
    for score, alone, theirs in zip(scores, single, said, strict=False):
        assert score.value == pytest.approx(theirs["score"], abs=1e-8) != alone.value
        assert score.signature == theirs["signature"]
        assert "nrefs:2" in score.signature
    assert bleu_signature(references=2) == scores[0].signature


def test_exact_match_counts_lines_that_equal_any_reference():
    hypotheses, references = ["a b", "", "A", "c"], ["a b ", "", "a", "d"]
    assert exact_match(hypotheses, references) == 50
    assert exact_match(hypotheses, references, form=ComparedForm(lowercase=True)) == 75
    assert exact_match(hypotheses, references, more_references=[["", "x", "", "c"]]) == 75
    # An empty line in a further list is no reference.
    assert exact_match([""], ["x"], more_references=[[""]]) == 0


def test_bleu_without_a_reference_of_four_tokens_cannot_judge():
    words, sentences = ["one", "two three four"], ["one", "two three four five"]
    assert not can_judge(words)
    assert can_judge(sentences)
    assert can_judge(words, tokens="char")
    # Only smoothing: no 4-gram matches, but BLEU is far above 1.
    smoothed = measure_bleu(["two three four six"], ["two three four"])
    assert smoothed.value > 50
    assert smoothed.matches == 0
    perfect = measure_bleu(sentences, sentences)
    assert (perfect.value, perfect.matches) == (pytest.approx(100), 1)


def test_a_tokenizer_that_is_not_installed_is_named(monkeypatch):
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    with pytest.raises(UserError, match=r"'ja-mecab' cannot be used: .*sacrebleu\[ja\]"):
        corpus_bleu(["a"], ["b"], tokens="ja-mecab")
