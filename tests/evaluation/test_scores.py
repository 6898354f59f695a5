"""BLEU and chrF are sacrebleu's own."""

import json
import subprocess
import sys

import pytest

from seq2seq.errors import UserError
from seq2seq.evaluation.scores import bleu, corpus_scores

HYPOTHESES = ["The cat sat on the mat.", "a Dog barks, loudly!", "", "trois petits chats sont là"]
REFERENCES = ["The cat is on the mat.", "A dog barks loudly!", "Hm.", "trois petits chats sont là"]


def test_scores_and_signatures_are_those_of_the_sacrebleu_command(tmp_path):
    hypothesis, reference = tmp_path / "hyp", tmp_path / "ref"
    hypothesis.write_text("\n".join(HYPOTHESES) + "\n", encoding="utf-8")
    reference.write_text("\n".join(REFERENCES) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(reference), "-i", str(hypothesis)]
    command += ["-m", "bleu", "chrf", "-w", "9", "-f", "json"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    scores = corpus_scores(HYPOTHESES, REFERENCES)
    assert [score.name for score in scores] == ["BLEU", "chrF"]
    for score, theirs in zip(scores, said, strict=True):
        assert score.value == pytest.approx(theirs["score"], abs=1e-8)
        assert 10 < score.value < 90
        assert theirs["signature"] == score.signature
    assert bleu(HYPOTHESES, REFERENCES) == scores[0].value


def test_bleu_says_nothing_of_tiny_or_tokenized_text():
    # In a process of its own: what logging does with no handler set up is what a user sees.
    script = """
from seq2seq.evaluation.scores import bleu
print(bleu(["a ."] * 150, ["b ."] * 150), bleu(["a"], ["b"]), bleu([""], [""]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("count", [bleu, corpus_scores])
def test_unpaired_and_empty_texts_are_refused(count):
    with pytest.raises(UserError, match=r"3 hypotheses .* 2 references"):
        count(["a", "b", "c"], ["a", "b"])
    with pytest.raises(UserError, match="no lines"):
        count([], [])


def test_case_counts():
    assert bleu(["the cat sat on the mat"], ["The Cat Sat On The Mat"]) == 0.0
