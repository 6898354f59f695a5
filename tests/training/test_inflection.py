"""Inflection: a lemma and features become a form, from a TSV file of three columns."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import safetensors.torch
from small_models import ATTENTION, TRAINING

import seq2seq
from seq2seq.config.toml import load_config
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model, save_model
from seq2seq.training import trainer
from seq2seq.training.run_training import train_model

_CONFIG = f"""
[data]
source = "lemma"
target = "form"
source_column = 1
features = 2
target_column = 3
train = "train.tsv"
valid = "valid.tsv"
test = "valid.tsv"
[tokenizer]
kind = "char"
{ATTENTION}
[training]
epochs = 12
{TRAINING}
[validation]
metric = "exact-match"
every = 200
"""
_ENDINGS = {
    "N;NOM(SG)": "",
    "N;NOM(PL)": "et",
    "N;ABL(SG)": "sta",
    "N;ABL(PL)": "ista",
    "V;PRS;SBJ(3,SG)": "ee",
    "V;PST;SBJ(3,SG)": "i",
}


def _rows() -> list[tuple[str, str, str]]:
    lemmas = ["".join(letters) for letters in itertools.product("kmt", "ao", "lrs", "aou")]
    rows = [(lemma, *pair) for lemma in lemmas for pair in _ENDINGS.items()]
    random.Random(1).shuffle(rows)
    return [(lemma, features, lemma + ending) for lemma, features, ending in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inflection")
    rows = _rows()
    for split, part in (("valid", rows[:40]), ("train", rows[40:])):
        text = "".join("\t".join(row) + "\n" for row in part)
        (made / f"{split}.tsv").write_text(text, encoding="utf-8")
    (made / "inflection.toml").write_text(_CONFIG, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> Path:
    with mock.patch.object(trainer, "plot_curves"):
        train_model(load_config(folder / "inflection.toml"), folder / "run")
    return folder / "run" / "model"


@pytest.fixture(scope="module")
def exports(learned: Path) -> dict[str, Path]:
    made = {}
    for precision in ("fp32", "int8"):
        made[precision] = learned.parent / precision
        export_model(load_model(learned, locate_data=True), made[precision], precision)
    return made


NO_FEATURES = "there are no features; write them after a tab, or in their column"
LINES = [f"{lemma}\t{features}" for lemma, features, _ in _rows()[:40]]


def test_features_decide_the_form(learned: Path) -> None:
    forms = seq2seq.Translator.load(learned).translate(LINES, beam=1)
    right = [form == row[2] for form, row in zip(forms, _rows(), strict=False)]
    assert sum(right) >= 0.9 * len(right)


def test_the_order_of_features_does_not_matter(learned: Path) -> None:
    loaded = seq2seq.Translator.load(learned)
    others = [re.sub(r"\t(\w+);(.*)", r"\t\2;\1", line) for line in LINES]
    assert others != LINES
    ours, theirs = (
        [result.best for result in loaded.stream(lines, GreedyOptions())]
        for lines in (LINES, others)
    )
    assert ours == theirs


@pytest.mark.parametrize("kind", ["model", "fp32", "int8"])
@pytest.mark.parametrize("options", [GreedyOptions(), BeamOptions(n_best=2), SamplingOptions()])
def test_a_form_depends_on_its_line_alone(kind, options, learned: Path, exports) -> None:
    path = learned if kind == "model" else exports[kind]
    tolerance = 0 if kind == "int8" else 1e-4

    def found(lines: list[str], batch_size: int) -> list[list[tuple[str, float]]]:
        results = seq2seq.Translator.load(path, batch_size=batch_size).stream(lines, options)
        return [[(t.text, t.score) for t in result.translations] for result in results]

    lines = [*LINES, "kala\tN", "kala\t", "", "malus\tV;PRS;SBJ(3,SG);NOM(SG);ABL(PL)"]
    expected = found(lines, 1)
    for size in (3, 64):
        for ours, theirs in zip(found(lines, size), expected, strict=True):
            assert [text for text, _ in ours] == [text for text, _ in theirs]
            assert [score for _, score in ours] == pytest.approx(
                [score for _, score in theirs], abs=tolerance
            )


def test_an_export_finds_what_pytorch_finds(learned: Path, exports) -> None:
    for options in (GreedyOptions(), BeamOptions(n_best=3), SamplingOptions()):
        theirs, ours = (
            list(seq2seq.Translator.load(path).stream([*LINES, "kala\tXX"], options))
            for path in (learned, exports["fp32"])
        )
        assert [r.best.text for r in ours] == [r.best.text for r in theirs]
        assert [r.notes for r in ours] == [r.notes for r in theirs]
        assert [r.best.score for r in ours] == pytest.approx(
            [r.best.score for r in theirs], abs=1e-4
        )


@pytest.mark.parametrize("kind", ["model", "fp32"])
def test_scoring_a_form_gives_its_score(kind: str, learned: Path, exports) -> None:
    loaded = seq2seq.Translator.load(learned if kind == "model" else exports[kind])
    best = [result.best for result in loaded.stream(LINES)]
    scored = loaded.score(LINES, [one.text for one in best])
    assert [one.score for one in scored] == pytest.approx([one.score for one in best], abs=1e-4)


def test_what_is_wrong_with_a_line_is_said(learned: Path, shell) -> None:
    text = "kala\tN;NOM(SG);XX(Y)\n\tN;NOM(SG)\n\nkala\t\nkala\nkala\tN\tkala\n"
    said = shell("translate", learned, "--beam", 1, stdin=text.encode())
    assert said.code == 0
    assert said.err.splitlines() == [
        "line 1: unknown features, which are left out: 'XX', 'XX(Y)'",
        "line 2: the tokenizer found no tokens, so the translation is ⁇",
        "line 4: there are no features; write at least one, such as '-'",
        f"line 5: {NO_FEATURES}",
        "line 6: the text after the second tab is ignored",
    ]
    lines = said.out.split("\n")
    assert len(lines) == 7
    assert lines[1:3] == ["⁇", ""]
    assert lines[3] == lines[4]


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl"])
def test_a_table_and_its_text_give_the_same_lines(suffix, learned, shell, tmp_path) -> None:
    rows = [[], ["kala", "N;NOM(SG)"], ["kala"], [], ["malus", "N;NOM(PL)"], [], []]
    text = "".join("\t".join(row) + "\n" for row in rows)
    table, model = tmp_path / f"a.{suffix}", learned
    if suffix == "jsonl":
        model = tmp_path / "model"
        loaded = load_model(learned)
        columns = {"source_column": "lemma", "features": "feats", "target_column": "form"}
        data = loaded.config.data.model_copy(update=columns)
        config = loaded.config.model_copy(update={"data": data})
        save_model(model, replace(loaded, config=config), "card\n")
        objects = [dict(zip(("lemma", "feats"), row, strict=False)) for row in rows]
        lists = [
            {key: value.split(";") if key == "feats" else value for key, value in one.items()}
            for one in objects
        ]
        table.write_text("".join(f"{json.dumps(one) if one else ''}\n" for one in lists))
    else:
        table.write_text(text if suffix == "tsv" else text.replace("\t", ","))
    expected = shell("translate", learned, "--beam", 1, stdin=text.encode())
    said = shell("translate", model, table, "--beam", 1)
    assert (said.code, said.out, said.err) == (0, expected.out, expected.err)
    assert said.err == f"line 3: {NO_FEATURES}\n"
    assert [not line for line in said.out.split("\n")] == [not row for row in [*rows, []]]


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_a_table_of_one_blank_line_gives_one_blank_line(suffix, learned, shell, tmp_path) -> None:
    (tmp_path / f"a.{suffix}").write_text("\n")
    said = shell("translate", learned, tmp_path / f"a.{suffix}", "--beam", 1)
    assert (said.code, said.out, said.err) == (0, "\n", "")


def test_the_first_row_may_lack_features_in_any_csv(learned, shell, tmp_path) -> None:
    (tmp_path / "a.csv").write_text("\nkala\nmalus;N;x\n")
    said = shell("translate", learned, tmp_path / "a.csv", "--beam", 1)
    assert (said.out.count("\n"), said.err) == (3, f"line 2: {NO_FEATURES}\n")


def test_a_source_with_a_tab_keeps_its_features_apart(learned, shell, tmp_path) -> None:
    (tmp_path / "a.csv").write_text('"ka\tN;NOM(SG)"\n')
    said = shell("translate", learned, tmp_path / "a.csv", "--beam", 1)
    assert f"line 1: {NO_FEATURES}" in said.err


def test_json_lines_need_names_of_columns(learned, shell, tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text('{"lemma": "kala"}\n')
    said = shell("translate", learned, tmp_path / "a.jsonl")
    assert "a.jsonl: the model was trained on column numbers, so it reads only TSV" in said.err
    assert "data." not in said.err


def test_the_commands_read_features(learned: Path, folder: Path, exports, shell, tmp_path) -> None:
    rows = _rows()[:40]
    lines, forms = tmp_path / "lines", tmp_path / "forms"
    lines.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    forms.write_text("".join(f"{row[2]}\n" for row in rows), encoding="utf-8")
    expected = shell("translate", learned, lines).out
    assert expected.count("\n") == len(rows)
    assert shell("translate", learned, folder / "valid.tsv").out == expected
    assert shell("translate", exports["fp32"], lines, "--jobs", 2).out == expected
    assert shell("score", learned, lines, forms).out.count("\n") == len(rows)
    assert shell("embed", learned, lines).out.count("\n") == len(rows)
    scores = []
    for files in ([], [lines, forms], [folder / "valid.tsv"]):
        said = shell("evaluate", learned, *files, "--json")
        assert said.code == 0
        scores.append({one["name"]: one["value"] for one in json.loads(said.out)["scores"]})
    assert scores[0] == scores[1] == scores[2]
    assert scores[0]["exact match"] >= 90
    forms.write_text("☃\n" * len(rows), encoding="utf-8")
    said = shell("evaluate", learned, lines, forms)
    assert "so the model cannot write them: for example '☃'" in said.err
    said = shell("evaluate", learned, forms, forms)
    assert said.code == 2
    assert f"{forms}:1: there are no features" in said.err


def test_the_folder_and_the_card_name_the_features(learned: Path, tmp_path: Path) -> None:
    names = (learned / "features.txt").read_text(encoding="utf-8").splitlines()
    assert names[:3] == ["ABL", "ABL(PL)", "ABL(SG)"]
    card = (learned / "README.md").read_text(encoding="utf-8")
    assert f"- features: {len(names)}, per line (column 2)" in card
    assert r"printf 'SOURCE\tFEATURES\n' | seq2seq translate FOLDER" in card
    damaged = tmp_path / "model"
    damaged.mkdir()
    for path in learned.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "features.txt").write_text("N\n", encoding="utf-8")
    with pytest.raises(seq2seq.UserError, match=r"features\.txt: .*checksum"):
        load_model(damaged)
    (damaged / "manifest.json").unlink()
    with pytest.raises(seq2seq.UserError, match="weights do not fit"):
        load_model(damaged)


_TINY = ["encoder.hidden=8", "decoder.hidden=8", "validation.metric=loss", "validation.every=0"]
_TINY += ["training.word_dropout=0.1", "training.r_drop=1", "encoder.embedding_dropout=0.1"]


def test_a_resumed_run_equals_an_uninterrupted_one(folder: Path, tmp_path, no_picture) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    config = load_config(folder / "inflection.toml", [*_TINY, "training.epochs=2"])
    train_model(config, whole)
    train_model(load_config(folder / "inflection.toml", [*_TINY, "training.epochs=1"]), parted)
    train_model(config, parted, resume=True)
    ours, theirs = (
        safetensors.torch.load_file(run / "model" / "model.safetensors") for run in (parted, whole)
    )
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("", "there are no features; write at least one, such as '-'"),
        ("N;ABL(PL", r"a bracket in the features 'N;ABL\(PL' has no partner; add or remove"),
    ],
)
def test_wrong_features_of_a_row_are_refused(features, message, folder, tmp_path) -> None:
    table = tmp_path / "new.tsv"
    table.write_text(f"kala\tN;NOM(SG)\tkala\nmalo\t{features}\tmalo\n", encoding="utf-8")
    config = load_config(folder / "inflection.toml", [*_TINY, f"data.train={table}"])
    with pytest.raises(seq2seq.UserError, match=rf"new\.tsv:2: {message}"):
        train_model(config, tmp_path / "run")


def test_a_likely_separator_is_named(folder: Path, tmp_path: Path, no_picture, caplog) -> None:
    table = tmp_path / "new.tsv"
    table.write_text((folder / "train.tsv").read_text(encoding="utf-8").replace(";", "|"), "utf-8")
    settings = [*_TINY, f"data.train={table}", f"data.valid={table}", "training.updates=1"]
    train_model(load_config(folder / "inflection.toml", settings), tmp_path / "run")
    assert caplog.text.count("no features contain the separator ';', but those of 284 rows") == 2
    assert "contain '|'; set features.separator" in caplog.text
    first = table.read_text(encoding="utf-8").partition("|")[0].count("\n") + 1
    assert caplog.text.count(f"{table}:{first}: no features") == 2
    caplog.clear()
    settings.append("features.separator=|")
    train_model(load_config(folder / "inflection.toml", settings), tmp_path / "other")
    assert "features.separator" not in caplog.text


@pytest.mark.parametrize(("column", "key"), [(1, "source_column"), (3, "target_column")])
def test_features_have_a_column_of_their_own(column: int, key: str, folder: Path) -> None:
    with pytest.raises(seq2seq.UserError, match=f"features and {key} name the same column"):
        load_config(folder / "inflection.toml", [f"data.features={column}"])


def test_training_on_data_in_memory(folder: Path, tmp_path: Path, no_picture) -> None:
    import datasets

    values = load_config(folder / "inflection.toml", [*_TINY, "training.updates=2"]).model_dump()
    data = {"source": "lemma", "target": "form", "features": "tags"}
    values = {**values, "data": data}
    rows = [(lemma, form, features) for lemma, features, form in _rows()[:60]]
    records = [dict(zip(("lemma", "form", "tags"), row, strict=True)) for row in rows]
    weights = []
    for number, given in enumerate((rows, records, datasets.Dataset.from_list(records))):
        run = tmp_path / str(number)
        seq2seq.train(values, train=given, valid=given, out=run)
        weights.append((run / "model" / "model.safetensors").read_bytes())
    assert len(set(weights)) == 1
    with pytest.raises(seq2seq.UserError, match=r"is not a triple \(source, target, features\)"):
        seq2seq.train(values, train=[("a", "b")], valid=rows, out=tmp_path / "none")


def test_a_run_can_start_from_a_model_with_features(learned, folder, tmp_path, no_picture) -> None:
    settings = ["training.updates=1", "validation.metric=loss"]
    table = folder / "new.tsv"
    table.write_text("kala\tN;NEW\tkala\nmalo\tN\tmalo\n", encoding="utf-8")
    plain = ["data.source_column=1", "data.target_column=3", f"data.train={table}"]
    toml = tmp_path / "c.toml"
    text = '[data]\nsource = "lemma"\ntarget = "form"\nvalid = "new.tsv"\n[training]\nupdates = 1\n'
    toml.write_text(text.replace("new.tsv", str(table)), encoding="utf-8")
    for features in ([], ["data.features=2"]):
        given = [*plain, *settings, *features]
        if not features:
            with pytest.raises(seq2seq.UserError, match=r"it reads features; set data\.features"):
                seq2seq.train(toml, settings=given, start_from=learned, out=tmp_path / "bad")
            continue
        seq2seq.train(toml, settings=given, start_from=learned, out=tmp_path / "run")
    made = load_model(tmp_path / "run" / "model")
    assert made.codec.features == load_model(learned).codec.features


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads the part of speech of each word, after two updates."""
    folder = tmp_path_factory.mktemp("words")
    rows = [("the red cat", "le chat rouge", "D A N"), ("a dog", "un chien", "D N")] * 20
    values = load_config_values(folder)
    with mock.patch.object(trainer, "plot_curves"):
        seq2seq.train(values, train=rows, valid=rows[:4], out=folder / "run")
    return folder / "run" / "model"


def load_config_values(folder: Path) -> dict[str, object]:
    (folder / "c.toml").write_text(_CONFIG, encoding="utf-8")
    settings = [*_TINY, "training.updates=2", "data.max_tokens=12"]
    values = load_config(folder / "c.toml", settings).model_dump()
    data = {"source": "en", "target": "fr", "features": "pos", "max_tokens": 12}
    return {**values, "data": data, "features": {"per": "word", "separator": "|"}}


def test_features_of_words_follow_their_words(of_words: Path, tmp_path: Path, shell) -> None:
    """Also in the parts of a line that is split, and behind a prefix."""
    loaded = seq2seq.Translator.load(of_words)
    line = "the red cat the red cat the red cat\tD A N N A D D|A A N"
    plain = "the red cat the red cat the red cat\tD D D D D D D D D"
    (result,) = loaded.stream([line])
    assert [note.kind for note in result.notes][:1] == ["split"]
    (other,) = loaded.stream([plain])
    assert other.best.score != result.best.score
    for size in (1, 5):
        again = seq2seq.Translator.load(of_words, batch_size=size)
        found = [one.best for one in again.stream([plain, line, "a dog\tD N"])]
        assert [one.score for one in found[:2]] == pytest.approx(
            [other.best.score, result.best.score], abs=1e-4
        )
    export_model(load_model(of_words), tmp_path / "export", "fp32")
    exported = seq2seq.Translator.load(tmp_path / "export")
    assert exported.translate([line, plain]) == loaded.translate([line, plain])
    assert exported.translate(["dog\tN"], source_prefix="a") == loaded.translate(["a dog\t| N"])
    said = shell("translate", of_words, stdin=b"a dog\tD N V\n")
    assert said.code == 0
    assert "line 1: the source has 2 words, but the features are those of 3 words" in said.err
    for option in ("--protect", "--split-sentences"):
        said = shell("translate", of_words, option, stdin=b"a dog\tD N\n")
        assert said.code == 2
        assert (
            f"{option} does not work with a model that reads the features of each word" in said.err
        )


def test_alignments_name_the_features(learned: Path, shell, tmp_path: Path) -> None:
    options = ["--alignments", tmp_path / "alignments.jsonl"]
    assert shell("translate", learned, *options, stdin=b"kala\tN;ABL(PL)\n").code == 0
    row = json.loads((tmp_path / "alignments.jsonl").read_text(encoding="utf-8"))
    assert row["source"] == ["ABL", "ABL(PL)", "N", *"▁kala", "</s>"]
    assert [len(weights) for weights in row["weights"]] == [len(row["source"])] * len(row["target"])
    options = ["--alignments", tmp_path / "hard"]
    assert shell("translate", learned, *options, stdin=b"kala\tN;ABL(PL)\n").code == 0
    assert (tmp_path / "hard").read_text(encoding="utf-8") == "0-0\n"


def test_a_shortlist_ignores_features(learned: Path, tmp_path: Path) -> None:
    model = load_model(learned, locate_data=True)
    export_model(model, tmp_path / "export", "fp32", shortlist=True)
    exported = seq2seq.Translator.load(tmp_path / "export")
    assert exported.translate(LINES) == seq2seq.Translator.load(learned).translate(LINES)


def test_marks_are_protected_in_lines_with_features(learned: Path) -> None:
    results = seq2seq.Translator.load(learned).translate(["kala 12\tN;ABL(PL)"], protect=True)
    assert results[0].count("12") == 1


def test_a_long_line_repeats_its_features_in_each_part(learned: Path) -> None:
    loaded = seq2seq.Translator.load(learned)
    loaded.max_tokens = 10
    (result,) = loaded.stream(["kala malo kasu tora\tN;ABL(PL)"], GreedyOptions())
    assert [note.kind for note in result.notes] == ["split"]
    assert result.best.text.count("ista") >= 2
