"""The commands of the other tasks, as a shell sees them. The models are told nothing: what they
say is checked against the Python API, and their lines against the lines that went in."""

import gzip
import json

import pytest

from seq2seq.decoding.classifier import Classifier

_QUICK = ("--threads", "1", "--device", "cpu")


def test_classify(shell, models, tmp_path):
    lines = ["the cat", "", "caf\u00e9 \U0001f600", "dog " * 300]
    data = "".join(f"{line}\n" for line in lines).encode()
    said = shell("classify", models["classify"], *_QUICK, stdin=data)
    assert said.code == 0, said
    labels = said.out.split("\n")[:-1]
    wanted = Classifier.load(models["classify"], device="cpu").stream(lines)
    assert labels == ["".join(one.labels) for one in wanted]
    assert labels[1] == ""
    (tmp_path / "in").write_bytes(data)
    out = tmp_path / "out"
    shell("classify", models["classify"], tmp_path / "in", "-o", out, *_QUICK)
    assert out.read_text() == said.out
    rows = shell("classify", models["classify"], "--probabilities", *_QUICK, stdin=data).out
    first, second, *_ = map(json.loads, rows.splitlines())
    assert second is None
    assert (
        first["label"] == labels[0] == max(first["probabilities"], key=first["probabilities"].get)
    )
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_tag(shell, models, tmp_path):
    lines = ["the  cat\truns", "", "word " * 90]
    data = "".join(f"{line}\n" for line in lines).encode()
    said = shell("tag", models["tag"], *_QUICK, stdin=data)
    assert said.code == 0, said
    tags = [line.split() for line in said.out.split("\n")[:-1]]
    assert [len(one) for one in tags] == [3, 0, 90]
    rows = shell("tag", models["tag"], "--probabilities", *_QUICK, stdin=data).out.splitlines()
    assert [[one["label"] for one in json.loads(row)] for row in rows] == tags
    cells = "\t".join("_" * 8)
    text = f"# c\n1-2\tthecat\t{cells}\n1\tthe\t{cells}\n2\tcat\t{cells}\n\n1\tdog\t{cells}\n\n"
    path = tmp_path / "a.conllu"
    path.write_text(text)
    found = shell("tag", models["tag"], path, *_QUICK).out
    assert found == shell("tag", models["tag"], "--conllu", *_QUICK, stdin=text.encode()).out
    assert [line.split("\t")[:3] for line in found.split("\n")] == [
        line.split("\t")[:3] for line in text.split("\n")
    ]
    packed = tmp_path / "a.conllu.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert shell("tag", models["tag"], packed, *_QUICK).out == found
    said = shell("tag", models["tag"], packed, "--probabilities", *_QUICK)
    assert said.code == 2
    assert "CoNLL-U has no column for probabilities" in said.err
    words = [line.split("\t") for line in found.split("\n") if line[:1].isdigit()]
    assert [word[3] in "ABC" for word in words] == [False, True, True, True]


def test_generate_what_is_given(shell, models):
    given = ("--length", "9", "--seed", "3", *_QUICK)
    said = shell("generate", models["write"], "--given", "B", "--number", "4", *given)
    assert said.code == 0, said
    assert said.out.count("\n") == 4
    assert (
        said.out == shell("generate", models["write"], "--given", "B", "--number", "4", *given).out
    )
    assert shell("generate", models["colour"], "--given", "#102030", *given).code == 0


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (
            "write",
            ["generate"],
            "generates text for a label or a vector; pass the label or the vector with --given",
        ),
        ("write", ["generate", "--given", "D"], "unknown label 'D'; the labels are: A, B, C"),
        ("colour", ["generate", "--given", "#12"], "'#12' is not a vector of size 3"),
        ("tag", ["classify"], "is a model of task 'tagging', not 'classification': use this"),
        (
            "tag",
            ["classify"],
            "use this model with seq2seq tag, seq2seq embed and seq2seq evaluate",
        ),
        (
            "classify",
            ["tag"],
            "use this model with seq2seq classify, seq2seq embed and seq2seq evaluate",
        ),
        ("classify", ["translate"], "use this model with seq2seq classify, seq2seq embed and"),
        ("tag", ["classify", "--batch-size", "0"], "task 'tagging'"),
        ("tag", ["tag", "--batch-size", "0"], "the batch size must be at least 1"),
        ("tag", ["evaluate", "--split", "valid"], "data.valid is not set"),
    ],
)
def test_mistakes(shell, models, model, arguments, said):
    found = shell(arguments[0], models[model], *arguments[1:])
    assert found.code == 2
    assert said in found.err
    assert found.err.count("\n") == 1
    assert found.out == ""


def test_broken_conllu_is_named(shell, models, tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text("# c\n1\tthe\n")
    found = shell("tag", models["tag"], path, *_QUICK)
    assert found.code == 2
    assert f"{path}:2: the line has 2 columns, but CoNLL-U needs 10" in found.err


def test_evaluate(shell, models, tmp_path):
    texts, labels = tmp_path / "texts", tmp_path / "labels"
    texts.write_text("the cat\na dog\n")
    labels.write_text("A\nD\n")
    picture, out = tmp_path / "confusion.png", tmp_path / "out"
    asked = (texts, labels, "--json", "--plot", picture, "-o", out, *_QUICK)
    said = shell("evaluate", models["classify"], *asked)
    assert said.code == 0, said
    found = json.loads(said.out)
    assert [score["name"] for score in found["scores"]] == ["accuracy", "macro F1"]
    assert found["labels"] == ["A", "B", "C", "D"]
    assert sum(map(sum, found["confusion"])) == 2
    assert picture.stat().st_size > 5000
    assert len(out.read_text().split()) == 2
    refused = shell("evaluate", models["tag"], texts, labels, *_QUICK)
    assert "labels:1: expected 2 labels for 'the cat', but found 'A'" in refused.err
    labels.write_text("the\ndog\n")
    texts.write_text("A\nB\n")
    scored = shell("evaluate", models["write"], texts, labels, "--json", *_QUICK)
    assert [score["name"] for score in json.loads(scored.out)["scores"]] == [
        "perplexity",
        "perplexity, sources shuffled",
    ]
    assert (
        "is scored by perplexity, so there is no text and no plot"
        in shell("evaluate", models["write"], texts, labels, "--plot", picture, *_QUICK).err
    )


def test_evaluate_a_table(shell, models, tmp_path):
    """With the columns of the training text."""
    texts, labels, table = tmp_path / "texts", tmp_path / "labels", tmp_path / "rows.tsv"
    texts.write_text("the cat\na dog\n")
    labels.write_text("A\nD\n")
    table.write_text("y\tx\nA\tthe cat\nD\ta dog\n")
    said = shell("evaluate", models["classify"], texts, labels, "--json", *_QUICK)
    found = shell("evaluate", models["classify"], table, "--json", *_QUICK)
    assert json.loads(found.out)["scores"] == json.loads(said.out)["scores"]
    assert json.loads(found.out)["set"] == "rows"
    table.write_text("y\tx\nA\tthe cat\nD E\ta dog\n")
    wrong = shell("evaluate", models["classify"], table, *_QUICK)
    assert f"{table}:3: expected 1 label for 'a dog', but found 'D E'" in wrong.err
    treebank = tmp_path / "a.conllu"
    treebank.write_text("1\tthe\t" + "\t".join("_" * 8) + "\n\n")
    other = shell("evaluate", models["tag"], treebank, *_QUICK)
    assert f"{treebank}: no column 'x'; existing columns: 'id', 'form'" in other.err


def test_a_blank_text_is_wrong_and_no_more(shell, models, tmp_path):
    texts, labels = tmp_path / "texts", tmp_path / "labels"
    texts.write_text("the cat\n\nthe dog\n")
    said = shell("classify", models["classify"], texts, *_QUICK).out.split("\n")[:-1]
    labels.write_text("\n".join(one or "A" for one in said) + "\n")
    found = shell("evaluate", models["classify"], texts, labels, *_QUICK)
    assert found.code == 0, found
    assert "accuracy 66.67" in found.out


def test_a_tagger_without_the_text_that_it_has_learned_from(shell, models, tmp_path):
    texts, tags = tmp_path / "texts", tmp_path / "tags"
    texts.write_text("the cat\n")
    tags.write_text("A B\n")
    found = shell("evaluate", models["tag"], texts, tags, *_QUICK)
    assert found.code == 0, found
    assert "accuracy on unknown words is left out" in found.err
    assert "unknown words" not in found.out
