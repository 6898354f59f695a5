"""Inputs of the commands as people have them: tables, compressed files, Windows line ends."""

import bz2
import gzip
import io
import json
import lzma
from dataclasses import replace
from shutil import copytree

import pyarrow as pa
import pytest
from pyarrow import parquet

from seq2seq.cli.options import model_folders
from seq2seq.models.folder import load_model, save_model

_QUICK = ("--threads", "1", "--device", "cpu")
_TEXTS = ["the cat", 'a "dog", sleeps', "the dog"]


@pytest.fixture
def tag_model(models, tmp_path):
    """A model folder of a tagger that has learned the column `target` of CoNLL-U."""

    def make(target):
        learned = load_model(models["tag"])
        columns = {"source": "form", "target": target}
        data = learned.config.data.model_copy(update=columns)
        config = learned.config.model_copy(update={"data": data})
        save_model(tmp_path / target, replace(learned, config=config), "card\n")
        return tmp_path / target

    return make


def labels_of(shell, model, text):
    said = shell("classify", model, *_QUICK, stdin=text)
    assert said.code == 0, said
    return said.out


def test_line_ends_and_marks_on_stdin(shell, models):
    lines = b"the cat\n\na dog\n"
    labels = labels_of(shell, models["classify"], lines)
    assert labels.count("\n") == 3
    assert labels_of(shell, models["classify"], lines.replace(b"\n", b"\r\n")) == labels
    assert labels_of(shell, models["classify"], b"\xef\xbb\xbf" + lines) == labels


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        (gzip.compress(b"a line\n", mtime=0), "the text is compressed with gzip"),
        (lzma.compress(b"a line\n"), "the text is compressed with xz"),
        (bz2.compress(b"a line\n"), "the text is compressed with bzip2"),
        ("a line\n".encode("utf-16"), "the text is encoded in UTF-16"),
    ],
    ids=["gzip", "xz", "bzip2", "UTF-16"],
)
@pytest.mark.parametrize("command", ["classify", "tag"])
def test_packed_bytes_are_refused(shell, models, command, stdin, words):
    said = shell(command, models[command], *_QUICK, stdin=stdin)
    assert said.code == 2
    assert words in said.err
    assert said.err.count("\n") == 1


def write_tables(folder):
    """Write the texts in every format. Return the paths."""
    rows = list(enumerate(_TEXTS))
    quoted = [text.replace('"', '""') for text in _TEXTS]
    contents = {
        "a.csv": "id,x\r\n" + "".join(f'{n},"{text}"\r\n' for n, text in enumerate(quoted)),
        "b.csv": "\ufeffid;x\n" + "".join(f'{n};"{text}"\n' for n, text in enumerate(quoted)),
        "a.tsv": "id\tx\n" + "".join(f"{n}\t{text}\n" for n, text in rows),
        "b.tsv": "id\tx\n" + "".join(f'{n}\t"{text}"\n' for n, text in enumerate(quoted)),
        "a.jsonl": "".join(json.dumps({"x": text}) + "\n" for text in _TEXTS),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content.encode())
    (folder / "a.csv.xz").write_bytes(lzma.compress(contents["a.csv"].encode()))
    return [*(folder / name for name in contents), folder / "a.csv.xz"]


def test_tables_as_input(shell, models, tmp_path):
    stdin = "".join(f"{text}\n" for text in _TEXTS).encode()
    labels = labels_of(shell, models["classify"], stdin)
    tags = shell("tag", models["tag"], *_QUICK, stdin=stdin).out
    for path in write_tables(tmp_path):
        assert shell("classify", models["classify"], path, *_QUICK).out == labels, path
        assert shell("tag", models["tag"], path, *_QUICK).out == tags, path
    blank = tmp_path / "blank.tsv"
    blank.write_text("x\ty\nthe cat\tb\n\nthe dog\tb\n\n", encoding="utf-8")
    for command, model in (("classify", "classify"), ("tag", "tag")):
        stdin = b"the cat\n\nthe dog\n\n"
        wanted = shell(command, models[model], *_QUICK, stdin=stdin).out
        assert shell(command, models[model], blank, *_QUICK).out == wanted
        assert wanted.count("\n") == 4
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("id,text\n1,the cat\n")
    said = shell("classify", models["classify"], wrong, *_QUICK)
    assert said.code == 2
    assert f"{wrong}: no column 'x'; existing columns: 'id', 'text'" in said.err


def test_translate_reads_the_source_of_a_table(shell, trained, toy, tmp_path):
    model = trained / "model"
    lines = toy.lines("test.en")[:4]
    text = "".join(f"{line}\n" for line in lines).encode()
    wanted = shell("translate", model, "--beam", "1", *_QUICK, stdin=text).out
    table = tmp_path / "a.csv"
    table.write_text("fr,en\n" + "".join(f"nothing,{line}\n" for line in lines))
    assert shell("translate", model, table, "--beam", "1", *_QUICK).out == wanted
    packed = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}
    for suffix, pack in packed.items():
        (tmp_path / f"a{suffix}").write_bytes(pack(text))
    with pa.output_stream(str(tmp_path / "a.zst"), compression="zstd") as stream:
        stream.write(text)
    for suffix in (*packed, ".zst"):
        said = shell("translate", model, tmp_path / f"a{suffix}", "--beam", "1", *_QUICK)
        assert said.out == wanted, suffix
        said = shell("translate", model, "-o", tmp_path / f"out{suffix}", *_QUICK, stdin=text)
        assert f"out{suffix}: the output is never compressed" in said.err
    table.write_text("fra,eng\nle chat,the cat\n")
    whole = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"en": lines, "fr": toy.lines("test.fr")[:4]}), whole)
    assert "4 lines" in shell("evaluate", model, whole, "--beam", "1", *_QUICK).out
    pairs = tmp_path / "fra.txt"
    pairs.write_text("en\tfr\r\nthe red cat\tle chat rouge\r\n")
    said = shell("evaluate", model, pairs, *_QUICK)
    assert said.code == 0, said
    assert "fra" in said.out
    said = shell("score", model, table, pairs, *_QUICK)
    assert "a.csv: the file is a table (csv)" in said.err


def test_evaluate_checks_its_options_before_it_loads_the_model(shell, tmp_path, monkeypatch):
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    said = shell("evaluate", "nowhere", "--record", tmp_path / "results.jsonl", *_QUICK)
    assert said.err.startswith(f"error: --record {tmp_path}: git cannot read the repository")
    said = shell("evaluate", "nowhere", "--tokenize", "ja-mecab", *_QUICK)
    assert said.err.startswith("error: the BLEU tokenizer 'ja-mecab' cannot be used")
    assert "sacrebleu[ja]" in said.err


def test_a_comma_in_the_name_of_a_folder(shell, models, tmp_path):
    folder = copytree(models["classify"], tmp_path / "a, b" / "c,d")
    said = shell("classify", folder, *_QUICK, stdin=b"the cat\n")
    assert said.code == 0, said
    assert model_folders(str(folder)) == [folder]
    other = models["tag"]
    assert model_folders(f"{other},{folder},{other}") == [other, folder, other]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("{tmp}/a,b.de", "{tmp}/a or {tmp}/a,b.de"),
        ("{model},x,y", "x or x,y"),
        ("{model},x", "x"),
        ("x,{model}", "x or x,{model}"),
    ],
)
def test_a_typo_in_a_list_of_models_names_the_whole_list(shell, models, tmp_path, text, missing):
    names = {"tmp": tmp_path, "model": models["classify"]}
    wanted = text.format(**names)
    for command in ("classify", "evaluate", "translate"):
        said = shell(command, wanted, *_QUICK)
        assert said.code == 2
        assert said.err == (
            f"error: {wanted}: not a model folder and not a list of model folders, because "
            f"{missing.format(**names)} is not a folder; check the path\n"
        )


def test_a_typo_in_a_file_name_with_a_comma_names_the_whole_file(shell, models, tmp_path):
    said = shell("classify", models["classify"], tmp_path / "a,b.de", *_QUICK)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith(f"error: {tmp_path}/a,b.de: cannot be read")


@pytest.mark.parametrize(
    ("target", "options", "column"),
    [("xpos", (), 4), ("lemma", (), 2), ("y", (), 3), ("feats", ("--column", "XPOS"), 4)],
)
def test_tags_go_into_the_column_that_was_learned(
    shell, tag_model, tmp_path, target, options, column
):
    rows = [f"{n}\t{word}\tl\tU\tX\tF\t0\tD\t_\tM" for n, word in ((1, "the"), (2, "cat"))]
    path = tmp_path / "a.conllu"
    path.write_bytes("\r\n".join(["# c", *rows, "", ""]).encode())
    said = shell("tag", tag_model(target), path, *options, *_QUICK)
    assert said.code == 0, said
    written = [line.split("\t") for line in said.out.split("\n") if line[:1].isdigit()]
    assert len(written) == 2
    for before, after in zip(rows, written, strict=True):
        changed = [n for n, cell in enumerate(before.split("\t")) if cell != after[n]]
        assert changed == [column]
        assert after[column] in "ABC"
    assert "\r" not in said.out


def test_a_column_needs_conllu(shell, models):
    said = shell("tag", models["tag"], "--column", "upos", *_QUICK, stdin=b"a\n")
    assert said.code == 2
    assert "--column upos: the output is not CoNLL-U; add --conllu" in said.err


_CLASSIFIER = """
task = "classification"
[data]
train = "train.csv"
valid = ["valid.text", "valid.label"]
[tokenizer]
kind = "char"
vocabulary = 40
[encoder]
embedding = 8
hidden = 8
[context]
size = 8
[training]
updates = 2
device = "cpu"
threads = 1
"""


def test_a_classifier_learns_labels_without_line_ends(shell, tmp_path, no_picture):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + _CLASSIFIER.encode())
    rows = [("good, it is", "pos"), ("bad", "neg"), ("fine", "pos"), ("poor", "neg")]
    stream = io.StringIO()
    stream.writelines(f'"{text}",{label}\r\n' for text, label in [("text", "label"), *rows])
    (tmp_path / "train.csv").write_bytes(stream.getvalue().encode())
    (tmp_path / "valid.text").write_bytes(b"good\r\nbad\r\n")
    (tmp_path / "valid.label").write_bytes(b"pos\r\nneg\r\n")
    said = shell("train", tmp_path / "a.toml", "--out", tmp_path / "run")
    assert said.code == 0, said
    assert load_model(tmp_path / "run" / "model").codec.labels.names == ["neg", "pos"]
