"""Model folders of format 3, as commit a9632f4 wrote them, open and give what that code gave."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.decoding.language_model import LanguageModel
from seq2seq.decoding.load import load
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.decoding.translator import Translator
from seq2seq.models.folder import load_model
from seq2seq.models.perplexity import perplexity_of_lines
from seq2seq.tasks import TASKS

FOLDER = Path(__file__).parent.parent / "fixtures" / "format3"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
LINES = ["the red cat runs here", "the old horse eats", "", "a dog sleeps well now"]
INPUTS = {"label": ["red", "blue"], "vector": ["21 0.5", "15.5 -1"]}
SEARCHES = {
    "greedy": GreedyOptions(),
    "beam": BeamOptions(beam=3, n_best=3),
    "sampled": SamplingOptions(n_best=2, seed=5, temperature=0.8),
    "top": SamplingOptions(seed=6, top_k=5, top_p=0.9),
}


@pytest.mark.parametrize("name", ["attention", "fixed", "aligned", "label", "vector"])
@pytest.mark.parametrize("search", SEARCHES)
def test_translations(name: str, search: str) -> None:
    translator = Translator.load(FOLDER / name, device="cpu", tasks=list(TASKS.values()))
    results = translator.stream(INPUTS.get(name, LINES), SEARCHES[search])
    for result, expected in zip(results, EXPECTED[name][search], strict=True):
        assert [one.text for one in result.translations] == [text for text, _ in expected]
        found = [one.score for one in result.translations]
        assert found == pytest.approx([score for _, score in expected], abs=1e-4)


def test_alignments() -> None:
    translator = Translator.load(FOLDER / "attention", device="cpu")
    results = translator.translate_windows([LINES], BeamOptions(beam=2), align=True)
    expected = EXPECTED["attention"]["alignments"]
    assert [result.best.alignment.pharaoh() for result in results] == expected


def test_a_language_model() -> None:
    expected = EXPECTED["language-model"]
    writer = LanguageModel.load(FOLDER / "language-model", device="cpu")
    written = "".join(writer.stream(None, SamplingOptions(max_length=40, seed=3)))
    assert written == expected["generated"]
    model = load_model(FOLDER / "language-model")
    found = perplexity_of_lines(
        model, ["le chat rouge court"], torch.device("cpu"), torch.float32, "x"
    )
    assert found.value == pytest.approx(expected["perplexity"], rel=1e-5)


@pytest.mark.parametrize("name", ["classification", "tagging"])
def test_labels(name: str) -> None:
    labeller = load(FOLDER / name, device="cpu")
    found = list(labeller.stream(LINES))
    assert [one.labels for one in found] == EXPECTED[name]["labels"]
    for one, expected in zip(found, EXPECTED[name]["probabilities"], strict=True):
        wanted = np.array(expected).reshape(-1, len(labeller.names))
        assert one.probabilities == pytest.approx(wanted, abs=1e-5)


def test_old_names_are_hinted_at_in_one_line(shell, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "aligned", tmp_path / "aligned")
    said = shell("translate", tmp_path / "aligned", stdin=b"the red cat runs here\n")
    assert said.code == 0
    hint, note = said.err.strip().split("\n")
    assert "without checksums" in note
    assert "shape is now task" in hint
    assert "training.average_decay is now training.ema_decay" in hint
    assert 'context.kind = "aligned" is now task = "aligned"' in hint
    assert said.out == EXPECTED["aligned"]["beam"][0][0][0] + "\n"
