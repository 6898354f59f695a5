"""The notebook runs as it stands: it trains with a bar, draws the curves inline and translates."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs/first-steps.ipynb"


def outputs(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    """Return every output of a notebook that has the MIME type `kind`."""
    return [
        output["data"][kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if kind in output.get("data", {})
    ]


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream")


def check(notebook: nbformat.NotebookNode) -> None:
    """Assert that a full bar, a picture and five translations are in the outputs."""
    bars = outputs(notebook, "text/html")
    assert len(bars) == 1
    assert '<progress max="1" value="1.0000">' in bars[0]
    assert len(outputs(notebook, "image/png")) == 1
    translations = printed(notebook.cells[-1]).split("→ ")[1:]
    assert len(translations) == 5
    assert all(translation.strip() for translation in translations)


def test_the_committed_outputs_are_those_of_a_run():
    check(nbformat.read(NOTEBOOK, as_version=4))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the repository's layout: the notebook in docs/, and the corpus beside it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "data").symlink_to(ROOT / "data")
    shutil.copy(NOTEBOOK, tmp_path / "docs")
    return tmp_path / "docs"


def test_the_notebook_runs(folder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(folder / NOTEBOOK.name, as_version=4)
    training = notebook.cells[5]
    assert '"minutes": 1,' in training.source
    training.source = training.source.replace('"minutes": 1,', '"minutes": 0.2,')
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    check(notebook)
    assert (folder / "runs/first-steps/model/model.safetensors").is_file()


def test_a_mistake_is_one_line_in_a_notebook(capsys):
    InteractiveShell().run_cell("import seq2seq\nseq2seq.load('nowhere')")
    said = capsys.readouterr().out
    assert "UserError: nowhere: no such model folder" in said
    assert "Traceback" not in said
    assert said.strip().count("\n") == 0
