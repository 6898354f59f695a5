"""Another language runs an export by docs/export.md alone.

Needs Node.js and, in the folder $SEQ2SEQ_NODE, the package onnxruntime-web or onnxruntime-node:
npm install --prefix FOLDER onnxruntime-web. Skipped without them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.stepping import Limits, Specials
from seq2seq.export.artifact import load_export
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model

_FOLDER = os.environ.get("SEQ2SEQ_NODE", "")


@pytest.mark.skipif(
    not (_FOLDER and shutil.which("node")), reason="set SEQ2SEQ_NODE to a folder with onnxruntime"
)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("kind", ["fixed", "attention"])
def test_node_writes_the_same_ids(precision, kind, trained, attending, toy, tmp_path) -> None:
    run = {"fixed": trained, "attention": attending}[kind]
    export_model(load_model(run / "model"), tmp_path / "export", precision)
    export = load_export(tmp_path / "export")
    target = export.codec.target
    sources = export.codec.source.encode(toy.lines("test.en"))
    engine = OnnxEngine([export])
    specials = Specials(target.bos, target.eos, (target.pad, target.unk, target.bos))
    expected = []
    for ids in sources:
        state, limits = engine.start([np.array(ids)]), Limits(1, np.array([20]))
        ((found,),) = greedy_search(engine, state, limits, specials, alpha=1.0)
        expected.append(found.tokens)
    script = Path(__file__).with_name("greedy.mjs").resolve()
    said = subprocess.run(
        ["node", script, tmp_path / "export", "20"],
        input="\n".join(map(json.dumps, sources)),
        capture_output=True,
        text=True,
        cwd=_FOLDER,
        check=True,
    )
    assert [json.loads(line) for line in said.stdout.splitlines()] == expected
