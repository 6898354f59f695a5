"""One program a task, as a user writes it: train from data in memory, load, use.

`test_api.py` runs each of them in a thread, and checks the file with `mypy --strict`. A comment
`type: ignore` marks a mistake that mypy has to find: strict mode refuses one that is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import seq2seq

SENTENCES = [
    ("the red cat runs", "le chat rouge court"),
    ("the old dog sleeps", "le vieux chien dort"),
    ("the big man eats", "le grand homme mange"),
    ("the blue horse reads", "le cheval bleu lit"),
    ("the red dog eats", "le chien rouge mange"),
    ("the old cat reads", "le vieux chat lit"),
    ("the big horse runs", "le grand cheval court"),
    ("the blue man sleeps", "l'homme bleu dort"),
]
KINDS = ["DET", "ADJ", "NOUN", "VERB"]


def configuration(task: str, **sections: dict[str, Any]) -> dict[str, Any]:
    """The least that a small model of the task needs."""
    values: dict[str, Any] = {
        "task": task,
        "data": {},
        "tokenizer": {"kind": "word", "vocabulary": 60, "character_coverage": 1.0},
        "training": {
            "epochs": 3,
            "batch_tokens": 12,
            "learning_rate": 0.02,
            "warmup": 0,
            "log_every": 2,
            "threads": 1,
            "device": "cpu",
            "precision": "fp32",
        },
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return values


SMALL: dict[str, dict[str, Any]] = {
    "encoder": {"embedding": 16, "hidden": 16},
    "context": {"size": 16},
    "decoder": {"embedding": 16, "hidden": 16},
}


def translation(run: Path) -> list[str]:
    config = configuration("translation", data={"source": "en", "target": "fr"}, **SMALL)
    result: seq2seq.TrainingResult = seq2seq.train(
        config, train=SENTENCES, valid=SENTENCES[:3], out=run
    )
    translator = seq2seq.Translator.load(result.model, device="cpu")
    lines = [source for source, _ in SENTENCES]
    search: seq2seq.SearchOptions = seq2seq.GreedyOptions()
    assert isinstance(search, seq2seq.GreedyOptions)
    texts: list[str] = translator.translate(lines, search)
    assert texts == translator.translate(lines, beam=1)
    translator.translate(lines, seq2seq.BeamOptions(beam=3, n_best=2))
    translator.translate(lines, seq2seq.SamplingOptions(temperature=0.5))
    risk = seq2seq.MinimumRiskOptions(candidates=seq2seq.BeamOptions(beam=2, n_best=2))
    translator.translate(lines, risk)
    scored = translator.score(lines, [target for _, target in SENTENCES])
    assert all(one.log_probability < 0.0 for one in scored)
    return translator.translate(lines, beam=2, length_penalty=0.5)


def aligned(run: Path) -> list[str]:
    config = configuration(
        "aligned",
        data={"source": "en", "target": "fr"},
        encoder=SMALL["encoder"],
        decoder=SMALL["decoder"],
        context={"size": 16},
    )
    result = seq2seq.train(config, train=SENTENCES[:-1], valid=SENTENCES[:3], out=run)
    translator = seq2seq.Translator.load(result.model, device="cpu")
    texts = translator.translate([source for source, _ in SENTENCES])
    assert all(len(text.split()) == 4 for text in texts)
    return texts


def language_model(run: Path) -> list[str]:
    config = configuration(
        "language-model",
        decoder={"embedding": 16, "hidden": 16},
        training={"window": 8},
    )
    texts = [target for _, target in SENTENCES]
    result = seq2seq.train(config, train=texts, valid=texts[:3], out=run)
    model = seq2seq.LanguageModel.load(result.model, device="cpu")
    measured = model.perplexity(texts)
    value: float = measured.value
    assert 1.0 < value < 60.0
    assert model.perplexity("\n".join(texts) + "\n") == measured
    assert "".join(model.stream("le chat", seq2seq.SamplingOptions(max_length=5))) == (
        model.generate("le chat", max_length=5)
    )
    return [model.generate(None, max_length=8, seed=seed) for seed in (1, 2, 3)]


def classification(run: Path) -> list[str]:
    config = configuration("classification", encoder=SMALL["encoder"], context=SMALL["context"])
    pairs = [(source, source.split()[2]) for source, _ in SENTENCES]
    result = seq2seq.train(config, train=pairs, valid=pairs[:3], out=run)
    classifier = seq2seq.Classifier.load(result.model, device="cpu")
    assert classifier.names == ["cat", "dog", "horse", "man"]
    labels: list[str] = classifier.classify([*(text for text, _ in pairs), " "])
    assert labels.pop() == ""
    for labelling, label in zip(classifier.stream([pairs[0][0]]), labels, strict=False):
        assert labelling.labels == [label]
        assert labelling.probabilities.shape == (1, 4)
    return labels


def tagging(run: Path) -> list[str]:
    config = configuration("tagging", encoder=SMALL["encoder"])
    pairs = [(source.split(), KINDS) for source, _ in SENTENCES]
    result = seq2seq.train(config, train=pairs, valid=pairs[:3], out=run)
    tagger = seq2seq.Tagger.load(result.model, device="cpu")
    tags: list[list[str]] = tagger.tag([words for words, _ in pairs])
    assert tagger.tag([*(" ".join(words) + " " for words, _ in pairs), ""]) == [*tags, []]
    assert [row.probabilities.shape for row in tagger.stream(["a b"])] == [(2, 4)]
    return [" ".join(row) for row in tags]


def generation(run: Path) -> list[str]:
    config = configuration("generation", data={"source": "noun", "target": "fr"}, **SMALL)
    pairs = [(source.split()[2], target) for source, target in SENTENCES]
    result = seq2seq.train(config, train=pairs, valid=pairs[:3], out=run)
    generator = seq2seq.Generator.load(result.model, device="cpu")
    texts: list[str] = generator.generate("cat", number=3, max_length=6)
    assert generator.generate("cat", options=seq2seq.BeamOptions(beam=2))
    return texts


def generation_from_vectors(run: Path) -> list[str]:
    vectors = [((float(i % 2), 0.5, i / 8), target) for i, (_, target) in enumerate(SENTENCES)]
    sections = {**SMALL, "encoder": {"kind": "vector", "embedding": 16}}
    config = configuration("generation", data={"source": "rgb", "target": "fr"}, **sections)
    result = seq2seq.train(config, train=vectors, valid=vectors[:3], out=run)
    generator = seq2seq.Generator.load(result.model, device="cpu")
    assert generator.generate([1.0, 0.5, 0.25]) == generator.generate("1 0.5 0.25")
    return generator.generate((0.0, 0.5, 1.0), number=2)


class Watch(seq2seq.Callback):
    """Notes the rows of a run, and stops it after `limit` updates."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.losses: list[float] = []
        self.validations: list[int] = []

    def on_log(self, row: seq2seq.TrainingRow) -> bool:
        self.losses.append(row["loss"])
        return row["update"] >= self.limit

    def on_validation(self, row: seq2seq.ValidationRow) -> None:
        self.validations.append(row["update"])
        if row["bleu"] is not None and row["bleu"] > 99.0:
            raise seq2seq.StopTraining("nothing is left to learn")


def any_model(folder: Path) -> str:
    model = seq2seq.load(folder)
    if isinstance(model, seq2seq.Classifier):
        return model.classify(["a text"])[0]
    return type(model).__name__


def mistakes(translator: seq2seq.Translator, run: Path) -> None:
    """Never called: each line is one that mypy refuses."""
    translator.translate(["a"], beem=3)  # type: ignore[call-arg]
    translator.translate(["a"], beam="3")  # type: ignore[arg-type]
    translator.translate([1])  # type: ignore[list-item]
    seq2seq.train(3, out=run)  # type: ignore[arg-type]
    seq2seq.train({}, callbacks=[print], out=run)  # type: ignore[list-item]
    print(seq2seq.nothing)  # type: ignore[attr-defined]
    seq2seq.load(run).translate(["a"])  # type: ignore[union-attr]
