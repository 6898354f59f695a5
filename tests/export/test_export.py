"""An export computes what its model computes, for every task and configuration."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import seq2seq
from seq2seq.config import toml
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.errors import UserError
from seq2seq.export.artifact import load_export
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.export.writer import export_model
from seq2seq.models import folder
from seq2seq.models.folder import Model, load_model
from seq2seq.text.codec import Codec
from seq2seq.text.features import FeatureSet
from seq2seq.text.sides import for_both_sides
from seq2seq.text.tokenizer import train_tokenizer

LINES = ["the red cat runs here", "a dog sleeps", "the cat", "here", "a red dog runs", "sleeps a"]


def random_model(**sections: object) -> Model:
    """A model with random weights that are larger than at first, so that differences show."""
    torch.manual_seed(1)
    values: dict[str, object] = {
        "task": "translation",
        "data": {"train": "nowhere", "source": "x", "target": "y"},
        "tokenizer": {"kind": "char", "vocabulary": 60},
        "encoder": {"embedding": 8, "hidden": 16},
        "context": {"size": 16, "heads": 4},
        "decoder": {"embedding": 8, "hidden": 16},
        "training": {"epochs": 1},
    }
    for name, section in sections.items():
        both = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        values[name] = both
    config = toml.parse_config(values, "here")
    tokenizer = train_tokenizer(["the red cat runs here", "a dog sleeps"], config.tokenizer)
    features = None
    if config.data.features is not None:
        features = FeatureSet(["N", "V", "V(PL)", "V(SG)"], config.features)
    copies = config.decoder.copying
    codec = Codec(tokenizer, tokenizer, config.task, features=features, copies=copies)
    model = folder.build_model(config, codec)
    for weight in model.network.parameters():
        if weight.ndim == 1:
            weight.data += 0.3 * torch.randn_like(weight)
    return model


def cells(cell: str, layers: int = 1, *, norm: bool = False) -> dict[str, dict[str, object]]:
    section = {"cell": cell, "layers": layers, "layer_norm": norm}
    return {"encoder": section, "decoder": section}


CONFIGURATIONS = {
    "fixed": {"context": {"kind": "fixed"}},
    "additive": {"context": {"kind": "additive"}},
    "additive classic": {"context": {"kind": "additive", "placement": "classic"}},
    "general": {"context": {"kind": "general", "shortcut": False, "pooling": "last"}},
    "cosine classic": {"context": {"kind": "cosine", "placement": "classic", "pooling": "max"}},
    "heads": {"context": {"kind": "multi-head", "pooling": "mean"}},
    "heads classic": {"context": {"kind": "multi-head", "placement": "classic"}},
    "dot": {"context": {"kind": "dot"}, "encoder": {"hidden": 8}},
    "rnn": cells("rnn", 2),
    "relu": cells("rnn-relu", 2),
    "lstm": cells("lstm", 3),
    "lstm norm": cells("lstm", 2, norm=True),
    "gru norm": {**cells("gru", 3, norm=True), "context": {"placement": "classic"}},
    "fixed lstm": {**cells("lstm", 2), "context": {"kind": "fixed"}},
    "one way": {"encoder": {"bidirectional": False}, "context": {"pooling": "last"}},
    "aligned": {"task": "aligned", "context": {"kind": "same-position"}},
    "tied": {"decoder": {"tied": "all"}},
    "monotonic": {"context": {"kind": "monotonic"}},
    "monotonic lstm": {**cells("lstm", 2, norm=True), "context": {"kind": "monotonic"}},
    "monotonic copying": {"context": {"kind": "monotonic"}, "decoder": {"copying": True}},
    "copying": {"context": {"kind": "additive"}, "decoder": {"copying": True}},
    "copying heads": {"context": {"kind": "multi-head"}, "decoder": {"copying": True}},
    "copying features": {
        "data": {"features": "f"},
        "context": {"kind": "monotonic"},
        "decoder": {"copying": True},
    },
    "features": {"data": {"features": "f"}, "context": {"kind": "additive"}},
    "features of words": {
        "data": {"features": "f"},
        "features": {"per": "word"},
        "context": {"kind": "fixed", "pooling": "mean"},
    },
    "features aligned": {
        "task": "aligned",
        "data": {"features": "f"},
        "context": {"kind": "same-position"},
    },
}


@pytest.fixture(scope="module")
def exported(trained: Path, attending: Path, tmp_path_factory) -> dict[str, Path]:
    """Exports of trained models: of a fixed context and of attention, in both precisions."""
    where = tmp_path_factory.mktemp("exports")
    for name, run in (("fixed", trained), ("attention", attending)):
        for precision in ("fp32", "int8"):
            model = load_model(run / "model", locate_data=True)
            export_model(model, where / f"{name}-{precision}", precision)
    return {path.name: path for path in where.iterdir()}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_computes_what_pytorch_computes(name: str, tmp_path: Path) -> None:
    model = random_model(**CONFIGURATIONS[name])
    difference = export_model(model, tmp_path / "fp32", "fp32")
    assert difference.largest < 2e-5
    assert difference.agreement == 1
    coarse = export_model(model, tmp_path / "int8", "int8")
    assert 0 < coarse.largest < 0.3
    assert coarse.divergence < 1e-3


@pytest.mark.parametrize("kind", ["fixed", "attention"])
@pytest.mark.parametrize("options", [GreedyOptions(), BeamOptions(n_best=3), SamplingOptions()])
def test_a_translator_finds_what_pytorch_finds(kind, options, exported, trained, attending, toy):
    run = {"fixed": trained, "attention": attending}[kind]
    lines = [*toy.lines("test.en"), "", "the " * 40]
    expected = seq2seq.Translator.load(run / "model").stream(lines, options)
    actual = seq2seq.Translator.load(exported[f"{kind}-fp32"]).stream(lines, options)
    for theirs, ours in zip(expected, actual, strict=True):
        assert [t.text for t in ours.translations] == [t.text for t in theirs.translations]
        assert [t.score for t in ours.translations] == pytest.approx(
            [t.score for t in theirs.translations], abs=1e-4
        )
        assert ours.notes == theirs.notes


@pytest.mark.parametrize("kind", ["fixed", "attention"])
@pytest.mark.parametrize("beam", [1, 4])
def test_int8_is_the_same_to_the_bit_in_every_batch(kind, beam, exported, toy):
    lines = [*toy.lines("test.en"), *toy.lines("valid.en"), "cat", "the the the the"]
    search = GreedyOptions() if beam == 1 else BeamOptions(beam=beam, n_best=2)

    def translate(lines: list[str], batch_size: int) -> list[list[tuple[str, float]]]:
        loaded = seq2seq.Translator.load(exported[f"{kind}-int8"], batch_size=batch_size)
        results = loaded.stream(lines, search)
        return [[(t.text, t.score) for t in result.translations] for result in results]

    expected = translate(lines, 1)
    for size in (2, 3, 17, 64):
        assert translate(lines, size) == expected
    assert translate(lines[::-1], 64) == expected[::-1]


@pytest.mark.parametrize(
    "name",
    [
        "fixed",
        "additive classic",
        "heads",
        "lstm norm",
        "aligned",
        "monotonic",
        "monotonic copying",
        "copying",
    ],
)
def test_int8_steps_do_not_depend_on_other_rows(name: str, tmp_path: Path) -> None:
    export_model(random_model(**CONFIGURATIONS[name]), tmp_path / "e", "int8")
    engine = OnnxEngine([load_export(tmp_path / "e")])
    random = np.random.default_rng(1)
    sources = list(random.integers(4, 19, size=(9, 7)))
    tokens = random.integers(4, 19, size=(5, 9))

    def run(rows: list[int]) -> list[np.ndarray]:
        state, steps = engine.start([sources[row] for row in rows]), []
        for step in tokens:
            log_p, state = engine.step(state, step[rows])
            steps.append(log_p.all())
        return steps

    together = run(list(range(9)))
    for rows in ([3], [8, 2], [5, 0, 7, 1]):
        for part, whole in zip(run(rows), together, strict=True):
            np.testing.assert_array_equal(part, whole[rows])


def test_alignments_are_those_of_pytorch(exported, attending, toy, shell, tmp_path):
    lines = "".join(line + "\n" for line in toy.lines("test.en")).encode()
    for number, model in enumerate((attending / "model", exported["attention-fp32"])):
        path = tmp_path / f"{number}.txt"
        assert shell("translate", model, "--alignments", path, stdin=lines).code == 0
    assert (tmp_path / "0.txt").read_bytes() == (tmp_path / "1.txt").read_bytes()


def test_an_ensemble_averages_probabilities(exported, trained, toy):
    lines = toy.lines("test.en")[:6]
    twice = seq2seq.Translator.load(trained / "model", trained / "model")
    export = exported["fixed-fp32"]
    ours = seq2seq.Translator.load(export, export)
    for theirs, mine in zip(twice.stream(lines), ours.stream(lines), strict=True):
        assert mine.best.text == theirs.best.text
        assert mine.best.score == pytest.approx(theirs.best.score, abs=1e-4)


def test_score_is_what_the_search_says(exported, toy):
    translator = seq2seq.Translator.load(exported["attention-int8"])
    sources = toy.lines("test.en")[:5]
    found = list(translator.stream(sources, GreedyOptions()))
    scored = translator.score(sources, [result.best.text for result in found])
    for ours, theirs in zip(scored, found, strict=True):
        assert ours.score == pytest.approx(theirs.best.score, abs=1e-4)


def test_a_language_model_writes_and_measures(speaking, toy, tmp_path):
    model = load_model(speaking / "model", locate_data=True)
    theirs = seq2seq.LanguageModel.load(speaking / "model")
    for precision, tolerance in (("fp32", 1e-4), ("int8", 0.01)):
        export_model(model, tmp_path / precision, precision)
        ours = seq2seq.load(tmp_path / precision)
        assert isinstance(ours, seq2seq.LanguageModel)
        lines = toy.lines("test.fr")
        measured, expected = ours.perplexity(lines), theirs.perplexity(lines)
        assert measured.tokens == expected.tokens
        assert measured.value == pytest.approx(expected.value, rel=tolerance)
    writer = seq2seq.LanguageModel.load(tmp_path / "fp32")
    assert writer.generate("le chat", top_k=1) == theirs.generate("le chat", top_k=1)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_labels_and_conditions(precision, models, tmp_path):
    for name, path in models.items():
        export_model(load_model(path), tmp_path / name, precision)
    texts = ["the red cat", "a dog sleeps here", "", "cat"]
    for name, kind in (("classify", seq2seq.Classifier), ("tag", seq2seq.Tagger)):
        ours, theirs = kind.load(tmp_path / name), kind.load(models[name])
        for mine, other in zip(ours.stream(texts), theirs.stream(texts), strict=True):
            np.testing.assert_allclose(mine.probabilities, other.probabilities, atol=2e-2)
    for name, condition in (("write", "B"), ("colour", "#1e90ff")):
        ours, theirs = seq2seq.load(tmp_path / name), seq2seq.load(models[name])
        search = BeamOptions(max_length=8)
        if precision == "fp32":
            written = [m.generate(condition, options=search) for m in (ours, theirs)]
            assert written[0] == written[1]
        else:
            assert ours.generate(condition, options=search)


def test_a_bad_export_is_one_clear_line(exported, tmp_path, shell):
    import shutil

    def broken(name: str) -> Path:
        return Path(shutil.copytree(exported["fixed-int8"], tmp_path / name))

    damaged, missing, foreign, other = map(broken, ("damaged", "missing", "foreign", "other"))
    content = bytearray((damaged / "step.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "step.onnx").write_bytes(content)
    (missing / "encode.onnx").unlink()
    (foreign / "export.json").write_text("[]")
    manifest = json.loads((other / "export.json").read_text())
    del manifest["checksum"]
    (other / "export.json").write_text(json.dumps({**manifest, "format": 99}))
    for path, message in (
        (damaged, "step.onnx: the file does not match its checksum"),
        (missing, "encode.onnx is missing"),
        (foreign, "not the manifest of an export"),
        (other, "format 99"),
    ):
        said = shell("translate", path, stdin=b"the cat\n")
        assert (said.code, said.out) == (2, "")
        assert message in said.err
        assert said.err.count("\n") == 1


def test_a_graph_that_is_not_ours_is_refused(exported, tmp_path):
    import hashlib
    import shutil

    path = Path(shutil.copytree(exported["fixed-int8"], tmp_path / "e"))
    for content, message in (
        (b"not a graph", r"step\.onnx: the file is not an ONNX graph that seq2seq wrote"),
        ((path / "encode.onnx").read_bytes(), r"step\.onnx: the graph has no 'state\.0\.0'"),
    ):
        (path / "step.onnx").write_bytes(content)
        manifest = json.loads((path / "export.json").read_text())
        manifest.pop("checksum", None)
        manifest["sha256"]["step.onnx"] = hashlib.sha256(content).hexdigest()
        (path / "export.json").write_text(json.dumps(manifest))
        with pytest.raises(UserError, match=message):
            seq2seq.load(path)


def test_without_onnx_runtime_the_message_names_the_package(exported, shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = shell("translate", exported["fixed-int8"], stdin=b"the cat\n")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: an exported model needs ONNX Runtime, which is not installed: run "
        "pip install 'seq2seq-rnn[onnx]'\n"
    )


TOKENIZERS = {
    "capitals": {"case": "marked"},
    "sides": {"joint": False, "normalization": "nfc", "target": {"normalization": "identity"}},
    "symbols": {"symbols": ["<2en>", "<2de>"]},
    "lowercase words": {"kind": "word", "joint": False, "lowercase": True},
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_an_export_reads_and_writes_text_as_its_model_does(name: str, tmp_path: Path) -> None:
    model = random_model(tokenizer=TOKENIZERS[name])
    config, text = model.config, ["the red cat runs here", "a dog sleeps"]
    both = [train_tokenizer(text, config.tokenizer) for _ in range(2 - config.tokenizer.joint)]
    model = replace(model, codec=Codec(*for_both_sides(both, config), config.task))
    export_model(model, tmp_path / "e", "fp32")
    lines = ["The RED cat  runs", "<2de> a dog sleeps", "ﬁne Cats", "", "a  dog\u0301"]
    codec = load_export(tmp_path / "e").codec
    assert codec == model.codec
    assert codec.source_ids(lines) == model.codec.source_ids(lines)
    ids = model.codec.target.encode(lines)
    assert codec.target.encode(lines) == ids
    assert codec.target.decode(ids) == model.codec.target.decode(ids)
    theirs = seq2seq.Translator.from_models([model]).score(lines, lines)
    ours = seq2seq.Translator.load(tmp_path / "e").score(lines, lines)
    assert [line.score for line in ours] == pytest.approx([line.score for line in theirs], abs=1e-4)


def test_what_an_export_cannot_do_is_said(exported, trained):
    with pytest.raises(UserError, match="runs on the CPU"):
        seq2seq.load(exported["fixed-int8"], device="cuda")
    with pytest.raises(UserError, match="precision is fixed"):
        seq2seq.load(exported["fixed-int8"], precision="bf16")
    with pytest.raises(UserError, match="use exports only, or no exports"):
        seq2seq.load(exported["fixed-int8"], trained / "model")
