"""Copying and hard monotonic attention in a search: unseen symbols, batches, exports, limits."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import seq2seq
from seq2seq.config import toml
from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.decoding.stepping import Limits, Specials, force
from seq2seq.decoding.torch_engine import TorchEngine
from seq2seq.errors import UserError
from seq2seq.export.writer import export_model
from seq2seq.models import folder
from seq2seq.models.folder import Model, load_model
from seq2seq.models.loss import cross_entropy
from seq2seq.text.batching import collate_examples
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset, encode_examples
from seq2seq.text.example import Example
from seq2seq.text.features import FeatureSet
from seq2seq.text.sides import for_both_sides
from seq2seq.text.tokenizer import train_tokenizer
from seq2seq.text.vocabulary import learn_actions
from tests.decoding.learned_models import learn_symbols

KINDS = {
    "monotonic": {"context": {"kind": "monotonic"}},
    "copying": {"context": {"kind": "additive"}, "decoder": {"copying": True}},
    "both": {"context": {"kind": "monotonic"}, "decoder": {"copying": True}},
    "transducer": {"context": {"kind": "transducer"}},
    "editor": {"context": {"kind": "transducer"}, "decoder": {"copying": True}},
}
ATTENDING = [
    kind for kind, sections in KINDS.items() if sections["context"]["kind"] != "transducer"
]
LINES = ["abc", "ca", "bжa", "ñжñ", "", "a b", "cabbagecabb", "жжж"]


def random_model(
    kind: str,
    letters: str = "abc eg",
    source: str = "char",
    target: str = "char",
    features: str | None = None,
) -> Model:
    """A model with random weights and a vocabulary for each side.

    features: what the features N and PL describe, "line" or "word".
    """
    sections = KINDS[kind]
    values = {
        "data": {"train": "nowhere", "source": "x", "target": "y", "max_tokens": 8},
        "tokenizer": {
            "vocabulary": 25,
            "byte_fallback": False,
            "joint": False,
            "source": {"kind": source},
            "target": {"kind": target},
        },
        "encoder": {"embedding": 8, "hidden": 8},
        "context": {"size": 8, **sections["context"]},
        "decoder": {"embedding": 8, "hidden": 8, **sections.get("decoder", {})},
        "training": {"epochs": 1},
    }
    if features:
        values["data"]["features"] = "f"
        values["features"] = {"per": features}
    config = toml.parse_config(values, "here")
    text = {"char": letters, "symbols": " ".join(letters)}
    tokenizers = [
        train_tokenizer([text.get(side, "abc ca abbage")] * 9, config.tokenizer.of(name))
        for side, name in ((source, "source"), (target, "target"))
    ]
    both = for_both_sides(tokenizers, config)
    torch.manual_seed(1)
    names = FeatureSet(["N", "PL"], config.features) if features else None
    codec = Codec(*both, config.task, features=names, copies=config.decoder.copying)
    if config.context.is_transducer:
        pairs = [Example("abc", "c b a" if target == "symbols" else "cba")]
        codec = learn_actions(codec, Dataset.in_memory(encode_examples(pairs, codec)))
    model = folder.build_model(config, codec)
    for weight in model.network.parameters():
        weight.data.mul_(2)
    model.network.output.bias.data[codec.target.eos] += 1.5  # so that hypotheses end
    model.network.eval()
    return model


@pytest.mark.parametrize("kind", ATTENDING)
def test_a_wide_beam_finds_the_best_of_all_targets(kind: str) -> None:
    model = random_model(kind, "ab")
    model.network.double()
    codec, target = model.codec, model.codec.target
    specials = Specials(target.bos, target.eos, (target.pad, target.unk, target.bos))
    ids = [np.array(row, np.int64) for row in codec.source_ids(["aжb", "b"])]
    engine = TorchEngine([model.network], codec)
    found = beam_search(
        engine, engine.start(ids), Limits(1, np.array([3, 3])), specials, beam=64, alpha=1, n_best=4
    )
    for row, best in zip(ids, found, strict=True):
        copies = len(row) + 1 if codec.copies else 0
        tokens = range(4, len(target) + copies)
        starts = itertools.chain(*(itertools.product(tokens, repeat=size) for size in (1, 2)))
        paths = [[*path, target.eos] for path in starts]
        state = engine.select(engine.start([row]), np.zeros(len(paths), np.int64))
        totals = force(engine, state, paths, target.bos)
        scores = sorted(t / len(path) for t, path in zip(totals, paths, strict=True))[:-5:-1]
        assert [hypothesis.score for hypothesis in best] == pytest.approx(scores, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_steps_of_a_search(kind: str) -> None:
    model = random_model(kind)
    model.network.double()
    pairs = [("abж", "жa"), ("c", "cab"), ("ñжñ", "ñ")]
    examples = [Example(*pair) for pair in pairs]
    data = Dataset.in_memory(encode_examples(examples, model.codec))
    batch = collate_examples(data, np.arange(3), model.codec)
    loss = cross_entropy(model.network, batch)
    scored = seq2seq.Translator.from_models([model]).score(*zip(*pairs, strict=True))
    assert loss.nll.item() == pytest.approx(-sum(one.log_probability for one in scored), rel=1e-9)
    log_p = model.network.log_probabilities(batch)[..., : model.codec.target_size]
    possible = log_p.masked_fill(log_p.isinf(), float("nan"))
    mean = possible.nanmean(dim=2).flatten()[batch.target_index].sum().item()
    for options in ({"smoothing": 0.1}, {"smoothing": 0.1, "r_drop": 2.0}):
        other = cross_entropy(model.network, batch, **options)
        assert other.nll.item() == pytest.approx(loss.nll.item(), rel=1e-9)
        expected = 0.9 * loss.nll.item() - 0.1 * mean  # two passes without dropout are alike
        assert other.total.item() == pytest.approx(expected, rel=1e-9)
        gradients = torch.autograd.grad(other.total, list(model.network.parameters()))
        assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [GreedyOptions(), BeamOptions(beam=4, n_best=3), SamplingOptions()], ids=str
)
def test_a_line_depends_on_itself_alone_and_exports_agree(kind, options, tmp_path) -> None:
    model = random_model(kind)

    def translate(translator, lines=LINES):
        rows = translator.stream(lines, options)
        return [[(t.text, t.score) for t in row.translations] for row in rows]

    expected = translate(seq2seq.Translator.from_models([model]))
    one_by_one = translate(seq2seq.Translator.from_models([model], batch_size=1))
    export_model(model, tmp_path / "fp32", "fp32")
    exported = translate(seq2seq.Translator.load(tmp_path / "fp32"))
    for other in (one_by_one, exported):
        for mine, theirs in zip(expected, other, strict=True):
            assert [text for text, _ in mine] == [text for text, _ in theirs]
            assert [score for _, score in mine] == pytest.approx([s for _, s in theirs], abs=1e-4)
    export_model(model, tmp_path / "int8", "int8")
    coarse = translate(seq2seq.Translator.load(tmp_path / "int8", batch_size=1))
    assert translate(seq2seq.Translator.load(tmp_path / "int8", batch_size=64)) == coarse
    turned = translate(seq2seq.Translator.load(tmp_path / "int8", batch_size=3), LINES[::-1])
    assert turned == coarse[::-1]


@pytest.mark.parametrize("kind", ATTENDING)
def test_scores_and_alignments_are_those_of_the_search(kind: str, tmp_path: Path) -> None:
    model = random_model(kind, target="symbols")
    export_model(model, tmp_path / "export", "fp32")
    both = [seq2seq.Translator.from_models([model]), seq2seq.Translator.load(tmp_path / "export")]
    sources = ["abc", "bжa", "ñжñ"]
    weights = []
    for translator in both:
        (found,) = [list(translator.translate_windows([sources], GreedyOptions(), align=True))]
        scored = translator.score(sources, [row.best.text for row in found])
        whole = [i for i, row in enumerate(found) if "cut" not in [n.kind for n in row.notes]]
        assert whole
        expected = [scored[i].score for i in whole]
        assert [found[i].best.score for i in whole] == pytest.approx(expected, abs=1e-4)
        weights.append([row.best.alignment.weights for row in found])
        for row in found:
            np.testing.assert_allclose(row.best.alignment.weights.sum(axis=1), 1, atol=1e-5)
    for mine, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "target"),
    [("char", "char"), ("char", "symbols"), ("symbols", "char"), ("word", "word"), ("bpe", "bpe")],
)
def test_unknown_tokens_get_ids_and_their_text_back(source: str, target: str) -> None:
    texts = {
        "char": "aжñbж",
        "symbols": "a ж ñ b ж",
        "word": "abc жñ ca abbage жñ ß",
        "bpe": "abc жñ ca abbage",
    }
    codec = random_model("copying", source=source, target=target).codec
    example = Example(texts[source], texts[target])
    columns = codec.encode([example])
    (ids,), (written,) = columns["source"], columns["target"]
    assert codec.source.unk not in ids
    assert codec.target.unk not in written
    assert max(written) >= len(codec.target)
    assert codec.source_ids([texts[source]]) == [ids]
    copied = codec.copy_table.copied(np.array([ids]))[0]
    assert {i for i in written if i >= len(codec.target)} <= set(copied.tolist())
    writer = codec.writer(texts[source], np.array(ids), written)
    assert writer.decode([written]) == [texts[target]]
    assert len(writer.piece_starts(written)) == len(written)
    # A token that the source lacks stays unknown.
    assert codec.encode([Example("a", texts[target])])["target"][0].count(codec.target.unk) > 0


@pytest.mark.parametrize("kind", ["copying", "both", "editor"])
@pytest.mark.parametrize("per", ["line", "word"])
def test_features_and_copied_tokens_have_different_ids(kind: str, per: str, tmp_path) -> None:
    model = random_model(kind, target="symbols", features=per)
    codec, V = model.codec, len(model.codec.target)
    columns = codec.encode([Example("aжb", "ж b", ("N;PL",))])
    (ids,), (written,) = columns["source"], columns["target"]
    front = 2 if per == "line" else 0
    at = ids.index(len(codec.source) + front)
    written = codec.written(written)
    assert written == [V + at, codec.target.encode(["b"])[0][0]]
    copied = codec.copy_table.copied(np.array([ids]))[0].tolist()
    assert copied[:front] == [codec.target.pad] * front
    assert copied[at] == codec.target_size + at
    assert codec.close_source(ids)[at] == codec.source.unk
    assert codec.writer("aжb", np.array(ids), written).decode([written]) == ["ж b"]
    export_model(model, tmp_path / "export", "fp32")
    lines = ["aжb\tN;PL", "ñ\tN", "ca\tPL", "жbжbжbжbжb\tN"]
    results = []
    for translator in (
        seq2seq.Translator.from_models([model], batch_size=1),
        seq2seq.Translator.from_models([model]),
        seq2seq.Translator.load(tmp_path / "export"),
    ):
        found = [row.best for row in translator.stream(lines)]
        results.append([(one.text, pytest.approx(one.score, abs=1e-4)) for one in found])
        scored = translator.score(lines[:1], ["ж b"])
        results[-1].append(("score", pytest.approx(scored[0].score, abs=1e-4)))
    expected = [(text, near.expected) for text, near in results[0]]
    assert results[1] == expected
    assert results[2] == expected


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned to repeat twelve letters as symbols, with a mark at the end."""
    return learn_symbols(
        tmp_path_factory.mktemp("copying"),
        lambda word: f"{' '.join(word)} +",
        letters="abcdefghijkl",
        words=240,
        context={"size": 32},
        epochs=25,
        label_smoothing=0.0,
    )


def test_symbols_never_seen_in_training_come_out(copying: Path, tmp_path: Path, shell) -> None:
    draw = random.Random(2)
    words = []
    for letter in "жñßøλ漢":
        known = draw.sample("abcdefghijkl", 4)
        known[draw.randrange(4)] = letter
        words.append("".join(known))
    expected = [f"{' '.join(word)} +" for word in words]
    models = [copying, tmp_path / "fp32", tmp_path / "int8"]
    for path in models[1:]:
        export_model(load_model(copying), path, path.name)
    for path in models:
        found = seq2seq.Translator.load(path).translate(words)
        assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 5
    options = ["--alignments", tmp_path / "alignments.jsonl", "--n-best", "2"]
    assert shell("translate", copying, *options, stdin="aжbc\n".encode()).code == 0
    row = json.loads((tmp_path / "alignments.jsonl").read_text(encoding="utf-8"))
    assert "ж" in "".join(row["target"])


def test_what_does_not_work_is_one_clear_line(copying: Path, shell, tmp_path: Path) -> None:
    for option in ("--forbid", "--require", "--stop"):
        said = shell("translate", copying, option, "a", stdin=b"abc\n")
        assert said.code == 2
        assert "do not work with a model that copies (decoder.copying)" in said.err
    assert shell("translate", copying, "--target-prefix", "a b", stdin=b"cd\n").out[:3] == "a b"
    for kind in KINDS:
        with pytest.raises(UserError, match="a shortlist does not work with copying"):
            export_model(random_model(kind), tmp_path / "export", "int8", shortlist=True)
    with pytest.raises(UserError, match="cannot form an ensemble with a model that does not copy"):
        seq2seq.Translator.from_models([random_model("copying"), random_model("monotonic")])
    for settings, message in (
        ({"context": {"kind": "fixed"}, "decoder": {"copying": True}}, "decoder.copying does not"),
        ({"context": {"kind": "monotonic", "placement": "classic"}}, "placement 'classic' does"),
        ({"task": "aligned", "decoder": {"copying": True}}, "does not allow decoder.copying"),
    ):
        values = {"data": {"train": "x", "source": "a", "target": "b"}, "training": {"epochs": 1}}
        with pytest.raises(UserError, match=message):
            toml.parse_config({**values, **settings}, "here")
