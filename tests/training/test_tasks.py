"""Every task is trained by the one loop, kept in a folder, used and scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_models import TRAINING

from seq2seq.config import toml
from seq2seq.decoding.classifier import Classifier
from seq2seq.decoding.options import BeamOptions, SamplingOptions, search_options
from seq2seq.decoding.tagger import Tagger
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.evaluate import evaluate_models
from seq2seq.models import folder as model_folder
from seq2seq.models.perplexity import perplexity_of_examples
from seq2seq.tasks import GENERATION, LANGUAGE_MODEL
from seq2seq.text.corpus import read_examples
from seq2seq.text.example import Example
from seq2seq.training.run_training import train_model

pytestmark = pytest.mark.usefixtures("no_picture")

_COMMON = """
[tokenizer]
kind = "{kind}"
vocabulary = 400
character_coverage = 1.0
[encoder]
embedding = 24
hidden = 24
dropout = 0.0
embedding_dropout = 0.0
{encoder}
{context}
[training]
epochs = {epochs}
{training}"""
_CONTEXT = '[context]\npooling = "mean"\nsize = 32\n'
_DECODER = "[decoder]\nembedding = 24\nhidden = 32\ndropout = 0.0\nembedding_dropout = 0.0\n"
_COLOURS = [("#ff0000", "red"), ("#00ff00", "green"), ("#0000ff", "blue"), ("#ffff00", "yellow")]


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def conllu(sentences: list[list[tuple[str, str]]]) -> str:
    text = ""
    for words in sentences:
        text += "# a sentence\n"
        for number, (word, label) in enumerate(words, start=1):
            text += "\t".join([str(number), word, "_", label, *["_"] * 6]) + "\n"
        text += "\n"
    return text


@pytest.fixture(scope="module")
def data(toy, tmp_path_factory) -> Path:
    """The toy language for every task: {classify,tag,write,colour,align}.toml and their splits."""
    folder = tmp_path_factory.mktemp("tasks")
    kinds = ["DET", "ADJ", "NOUN", "VERB", "ADV"]
    for split in ("train", "valid", "test"):
        english, french = toy.lines(f"{split}.en"), toy.lines(f"{split}.fr")
        nouns = [line.split()[1] for line in french]
        rows = [f"{line}\t{noun}" for line, noun in zip(english, nouns, strict=True)]
        write(folder / f"classify.{split}.tsv", ["text\tlabel", *rows])
        tagged = [list(zip(line.split(), kinds, strict=False)) for line in english]
        (folder / f"tag.{split}.conllu").write_text(conllu(tagged), encoding="utf-8")
        rows = [f"{noun}\t{line}" for line, noun in zip(french, nouns, strict=True)]
        write(folder / f"write.{split}.tsv", ["noun\tfr", *rows])
        rows = [f"{code}\t{name} {tone}" for code, name in _COLOURS for tone in "abcdef"]
        write(folder / f"colour.{split}.tsv", ["rgb\tname", *rows])
        rows = [f"{one}\t{other}" for one, other in zip(english, french, strict=True)]
        write(folder / f"align.{split}.tsv", ["en\tfr", *rows])

    def describe(name: str, task: str, columns: str, ending: str, **parts: object) -> None:
        values = {"kind": "word", "encoder": "", "context": _CONTEXT, "epochs": 4} | parts
        splits = "".join(
            f'{split} = "{name}.{split}{ending}"\n' for split in ("train", "valid", "test")
        )
        head = f'task = "{task}"\n[data]\n{columns}{splits}drop_duplicates = false\n'
        (folder / f"{name}.toml").write_text(
            head + _COMMON.format(training=TRAINING, **values), encoding="utf-8"
        )

    describe("classify", "classification", "", ".tsv")
    describe("tag", "tagging", "", ".conllu", kind="char", context="")
    describe(
        "write",
        "generation",
        'source = "noun"\ntarget = "fr"\n',
        ".tsv",
        context=_CONTEXT + _DECODER,
        epochs=8,
    )
    describe(
        "colour",
        "generation",
        'source = "rgb"\ntarget = "name"\n',
        ".tsv",
        encoder='kind = "vector"',
        context=_CONTEXT + _DECODER,
        epochs=30,
    )
    describe(
        "align",
        "aligned",
        'source = "en"\ntarget = "fr"\n',
        ".tsv",
        context=_CONTEXT + _DECODER,
        epochs=8,
    )
    return folder


@pytest.fixture(scope="module")
def learned(data, tmp_path_factory):
    """Model folders by the name of their configuration, trained when first asked for."""
    runs = tmp_path_factory.mktemp("runs")

    def run(name: str) -> Path:
        if not (runs / name).exists():
            train_model(toml.load_config(data / f"{name}.toml"), runs / name)
        return runs / name / "model"

    return run


def pairs_of(model: Path, split: str = "test") -> list[Example]:
    return list(read_examples(model_folder.load_model(model, locate_data=True).config.data, split))


def figures(model: Path) -> dict[str, float]:
    loaded = model_folder.load_model(model, locate_data=True)
    found = evaluate_models([loaded], pairs_of(model), search_options(), name="test")
    return {score.name: score.value for score in found.scores}


def test_a_classifier(learned):
    model = learned("classify")
    assert figures(model)["accuracy"] == figures(model)["macro F1"] == 100
    labeller = Classifier.load(model, device="cpu")
    pairs = pairs_of(model)
    together = list(labeller.stream([example.source for example in pairs]))
    assert [one.labels for one in together] == [[example.target] for example in pairs]
    for example, one in zip(pairs[:9], together, strict=False):  # promise 2
        (alone,) = labeller.stream([example.source])
        assert abs(alone.probabilities - one.probabilities).max() < 1e-6
        assert alone.probabilities.sum() == pytest.approx(1, abs=1e-5)
    (blank,) = labeller.stream(["  "])
    assert blank.labels == []
    assert {path.name for path in model.iterdir()} == {
        "config.toml", "labels.txt", "tokenizer.model", "model.safetensors", "README.md",
        "manifest.json",
    }  # fmt: skip
    rows = map(json.loads, (model.parent / "metrics.jsonl").read_text().splitlines())
    assert [row["accuracy"] for row in rows if row["kind"] == "valid"][-1] == 1
    assert "seq2seq classify FOLDER" in (model / "README.md").read_text()


def test_a_tagger(learned):
    model = learned("tag")
    found = figures(model)
    assert found["accuracy"] == 100
    assert "accuracy, unknown words" not in found  # there are none
    labeller = Tagger.load(model, device="cpu", batch_size=5)
    texts = [example.source for example in pairs_of(model)] + [
        "cat",
        "the old dog sleeps well now here",
    ]
    together = list(labeller.stream(texts))
    assert [len(one.labels) for one in together] == [len(text.split()) for text in texts]
    for text, one in zip(texts, together, strict=True):
        (alone,) = labeller.stream([text])
        assert abs(alone.probabilities - one.probabilities).max() < 1e-6
    assert together[-2].labels == ["NOUN"]


def test_a_label_makes_a_text(learned):
    model = learned("write")
    found = figures(model)
    # The noun is given, three choices of four are left: 4 tokens and EOS.
    assert found["perplexity"] < 0.9 * found["perplexity, sources shuffled"]
    translator = Translator.load(model, device="cpu", tasks=[GENERATION])
    for noun in ("chat", "homme"):
        (result,) = translator.stream([noun], SamplingOptions(n_best=6))
        assert all(one.text.split()[1] == noun for one in result.translations)
    with pytest.raises(UserError, match="unknown label 'chatt'; did you mean 'chat'"):
        list(translator.stream(["chatt"], search_options()))


def test_a_vector_makes_a_text(learned):
    model = learned("colour")
    found = figures(model)
    assert found["perplexity"] < 0.7 * found["perplexity, sources shuffled"]
    translator = Translator.load(model, device="cpu", tasks=[GENERATION])
    for code, name in [*_COLOURS, ("0 0.1 0.95", "blue")]:
        (result,) = translator.stream([code], BeamOptions(beam=2))
        assert result.best.text.split()[0] == name
    for wrong in ("#ff00", "1 2", "red", "1 2 nan", "0 0 9999"):
        with pytest.raises(UserError, match="is not a vector of size 3: write 3 numbers"):
            list(translator.stream([wrong], search_options()))


@pytest.mark.parametrize("beam", [1, 3])
def test_as_many_tokens_as_the_source_has(learned, beam):
    model = learned("align")
    found = figures(model)
    assert found["perplexity"] < 0.5 * found["perplexity, sources shuffled"]
    translator = Translator.load(model, device="cpu")
    sources, targets, *_ = zip(*pairs_of(model), strict=True)
    sources = [*sources, "the", "the cat runs here now well the red old"]
    outputs = translator.translate(sources, beam=beam)
    assert [len(line.split()) for line in outputs] == [len(line.split()) for line in sources]
    right = sum(one == other for one, other in zip(outputs, targets, strict=False))
    assert right > 0.8 * len(targets)
    assert outputs == [translator.translate([line], beam=beam)[0] for line in sources]


@pytest.mark.parametrize("name", ["classify", "tag", "colour", "align"])
def test_a_folder_says_what_it_is_for(learned, name):
    model = learned(name)
    with pytest.raises(UserError, match="use this model with seq2seq"):
        model_folder.load_model(model, [LANGUAGE_MODEL])


def test_a_stopped_tagger_goes_on_as_if_it_had_not(data, learned, tmp_path):
    model = learned("tag")
    config = toml.load_config(data / "tag.toml")
    short = toml.load_config(data / "tag.toml", ["training.epochs=2"])
    train_model(short, tmp_path / "run")
    train_model(config, tmp_path / "run", resume=True)
    one, other = (model_folder.load_model(path).network for path in (model, tmp_path / "run/model"))
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])


@pytest.mark.parametrize(
    ("name", "split", "line", "said"),
    [
        ("classify", "valid", "the cat\tcamel", r"classify\.valid\.tsv:27: unknown label 'camel'"),
        (
            "colour",
            "train",
            "#12\tpale red",
            r"colour\.train\.tsv:26: '#12' is not a vector",
        ),
        (
            "colour",
            "valid",
            "#12\tpale red",
            r"colour\.valid\.tsv:26: '#12' is not a vector",
        ),
        ("classify", "train", "the cat\tle chat", r"classify\.train\.tsv:27: expected 1 label"),
        ("classify", "valid", "the cat\tle chat", r"classify\.valid\.tsv:27: expected 1 label"),
        ("write", "train", "le chat\tun", r"write\.train\.tsv:27: expected 1 label"),
        ("write", "valid", "camel\tle chat", r"write\.valid\.tsv:27: unknown label 'camel'"),
    ],
)
def test_labels_that_cannot_be(data, tmp_path, name, split, line, said):
    for path in data.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = tmp_path / f"{name}.{split}.tsv"
    lines = table.read_text().splitlines()[:26]
    write(table, [*lines, line])
    with pytest.raises(UserError, match=said):
        train_model(toml.load_config(tmp_path / f"{name}.toml"), tmp_path / "run")


@pytest.mark.parametrize("name", ["write", "align"])
def test_perplexity_is_that_of_the_targets_alone(learned, name):
    """What a search says of a target is what its perplexity is made of; and EOS, which an aligned
    model learns and does not write."""
    model = model_folder.load_model(learned(name))
    pairs = pairs_of(learned(name))[:7]
    found = perplexity_of_examples(model, pairs, torch.device("cpu"), torch.float32)
    scored = Translator.from_models([model]).score(
        [one.source for one in pairs], [other.target for other in pairs]
    )
    said = -sum(one.log_probability for one in scored)
    assert found.nll == pytest.approx(said, rel=1e-4) if name == "write" else found.nll > said
    assert found.tokens == sum(len(other.target.split()) + 1 for other in pairs)


def test_an_aligned_model_is_scored_as_its_search_scores(learned):
    translator = Translator.from_models([model_folder.load_model(learned("align"))])
    sources = [one.source for one in pairs_of(learned("align"))[:7]]
    found = [result.best for result in translator.stream(sources, BeamOptions(beam=3))]
    scored = translator.score(sources, [one.text for one in found])
    for one, other in zip(found, scored, strict=True):
        assert other.log_probability == pytest.approx(one.log_probability, abs=1e-4)
        assert other.score == pytest.approx(one.score, abs=1e-4)


def test_an_aligned_model_learns_from_sides_of_one_length(data, tmp_path, caplog):
    for path in data.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = tmp_path / "align.train.tsv"
    write(table, [*table.read_text().splitlines(), "the red cat\tle chat"])
    config = toml.load_config(tmp_path / "align.toml", ["training.updates=1"])
    with caplog.at_level("INFO"):
        train_model(config, tmp_path / "run")
    assert "dropped: 1 with sides of different lengths" in caplog.text
