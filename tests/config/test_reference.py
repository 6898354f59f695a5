"""What `seq2seq config` prints is complete, true, and accepted by `seq2seq train`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from seq2seq.config import reference
from seq2seq.config.schema import Config
from seq2seq.config.section import Section
from seq2seq.config.toml import parse_config
from seq2seq.tasks import (
    ALIGNED,
    CLASSIFICATION,
    GENERATION,
    LANGUAGE_MODEL,
    TAGGING,
    TASKS,
    TRANSLATION,
)

PAGE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"
EVERY = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
SECTIONS = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
KEYS = [
    *(("", name) for name in Config.model_fields if name not in SECTIONS),
    *((section, name) for section, schema in SECTIONS.items() for name in schema.model_fields),
]
# What has no default, and must have a value all the same.
EXAMPLES = {"data.source", "data.target", "data.train", "data.valid", "training.epochs"}


def schema_of(section: str) -> type[Section]:
    return SECTIONS[section] if section else Config


@pytest.mark.parametrize(("section", "name"), KEYS, ids=".".join)
def test_every_key_is_described(section: str, name: str) -> None:
    description = schema_of(section).model_fields[name].description
    assert description
    assert description[0].isupper()
    assert description.endswith(".")
    assert description.count("`") % 2 == 0
    assert len(description) <= 240
    assert schema_of(section).__doc__


@EVERY
def test_it_holds_the_defaults_of_the_task(task) -> None:
    config = parse_config(tomllib.loads(reference.render_toml(task)), "here")
    assert config.task is task
    for section, schema in SECTIONS.items():
        own = task.defaults.get(section, {})
        for name, field in schema.model_fields.items():
            value = getattr(getattr(config, section), name)
            key = f"{section}.{name}"
            if name in own or key not in EXAMPLES:
                if key == "decoder.embedding" and task is LANGUAGE_MODEL:
                    assert value == config.decoder.hidden  # for it is tied
                    continue
                assert value == own.get(name, field.default), key
    assert config.seed == Config.model_fields["seed"].default


@EVERY
def test_it_holds_every_key_that_the_task_uses_and_no_other(task) -> None:
    text = reference.render_toml(task)
    assert max(map(len, text.splitlines())) <= 100
    whole = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    values = tomllib.loads(whole)
    parse_config(values, "here")  # the examples of what is commented out are sound, too
    for section, name in KEYS:
        there = name in (values.get(section, {}) if section else values)
        assert there is reference.uses_key(task, section, name), (section, name)
        if len(task.allowed.get(f"{section}.{name}", ())) == 1:
            assert not there
    for key, allowed in task.allowed.items():
        section, name = key.split(".")
        if reference.uses_key(task, section, name):
            known = ", ".join(f'"{value}"' for value in allowed)
            assert f"# One of: {known}." in text.replace('",\n# "', '", "')


def test_keys_are_left_out_where_they_have_no_effect() -> None:
    for section, name, users in (
        ("training", "window", [LANGUAGE_MODEL]),
        ("decoder", "weight_dropout", [LANGUAGE_MODEL]),
        ("encoder", "vector_size", [GENERATION]),
        ("encoder", "layers", [TRANSLATION, ALIGNED, CLASSIFICATION, TAGGING]),
        ("context", "placement", [TRANSLATION]),
        ("context", "pooling", [TRANSLATION, ALIGNED, CLASSIFICATION]),
        ("validation", "beam", [TRANSLATION, ALIGNED]),
        ("training", "epochs", list(TASKS.values())),
    ):
        found = [task for task in TASKS.values() if reference.uses_key(task, section, name)]
        assert found == users, (section, name)


def corpora(folder: Path, toy) -> None:
    """Files under the names that the printed configurations have, with tiny corpora of every
    task."""
    folder.mkdir()
    kinds = ["DET", "ADJ", "NOUN", "VERB", "ADV"]
    for split in ("train", "valid"):
        english, french = toy.lines(f"{split}.en")[:40], toy.lines(f"{split}.fr")[:40]
        nouns = [line.split()[1] for line in french]
        pairs = list(zip(english, french, nouns, strict=True))
        files = {
            "en": english,
            "fr": french,
            "first": english,
            "second": french,
            "txt": french,
            "conllu": [
                "\n".join(
                    "\t".join([str(n), word, "_", kind, *["_"] * 6])
                    for n, (word, kind) in enumerate(zip(line.split(), kinds, strict=False), 1)
                )
                + "\n"
                for line in english
            ],
            # The label stands behind the text or before it: by their names alone.
            "tsv": ["text\tlabel", *(f"{text}\t{noun}" for text, _, noun in pairs)],
        }
        for ending, lines in files.items():
            text = "".join(line + "\n" for line in lines)
            (folder / f"{split}.{ending}").write_text(text, encoding="utf-8")


@EVERY
@pytest.mark.usefixtures("no_picture")
def test_train_accepts_it(task, toy, shell, tmp_path) -> None:
    corpora(tmp_path / "corpus", toy)
    path = tmp_path / "printed.toml"
    assert shell("config", task.name, "-o", path).code == 0
    settings = ["tokenizer.kind=word", "training.updates=1", "training.threads=1"]
    settings += ["training.device=cpu", "training.precision=fp32", "training.batch_tokens=200"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    said = shell("train", path, *arguments, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "finished: 1 update\n" in said.err
    assert (tmp_path / "run" / "model").is_dir()


def test_the_page_is_current(shell) -> None:
    said = shell("config", "--markdown")
    assert said.code == 0
    assert PAGE.read_text(encoding="utf-8") == said.out, (
        "run: seq2seq config --markdown > docs/configuration.md"
    )
    assert "generated by `seq2seq config --markdown" in said.out.splitlines()[0].lower()
    for section, name in KEYS:
        assert f"| `{name}` |" in said.out
        assert not section or f"## `[{section}]`" in said.out


def test_the_page_names_defaults_and_tasks() -> None:
    rows = {line.split(" | ")[0]: line.split(" | ") for line in reference.render_page().split("\n")}
    others = 'language-model, generation: `"loss"`; classification, tagging: `"accuracy"`'
    assert rows["| `metric`"][1] == f'`"bleu"`; {others}'
    assert rows["| `vector_size`"][3] == "generation |"
    assert rows["| `drop_duplicates`"][3] == "all but language-model |"
    assert rows["| `train`"][1] == "none"
    assert rows["| `source`"][1].startswith("required; ")


def test_it_prints_translation_by_default_and_to_a_file(shell, tmp_path) -> None:
    printed = shell("config")
    assert printed == shell("config", TRANSLATION.name)
    assert (printed.code, printed.err) == (0, "")
    written = shell("config", "-o", tmp_path / "new.toml")
    assert (written.code, written.out) == (0, "")
    assert (tmp_path / "new.toml").read_text(encoding="utf-8") == printed.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["taging"], "unknown task 'taging'; did you mean 'tagging'?; choose one of "),
        (["-o", "{there}"], "{there}: the file already exists; delete it or choose another name"),
        (["-o", "{there}/x"], "{there}/x: the file cannot be written"),
        (["--markdown", "tagging"], "--markdown describes all tasks; leave out the task 'tagging'"),
    ],
)
def test_mistakes_cost_one_line(arguments, expected, shell, tmp_path) -> None:
    there = tmp_path / "there.toml"
    there.write_text("kept")
    said = shell("config", *(part.format(there=there) for part in arguments))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {expected.format(there=there)}")
    assert said.err.count("\n") == 1
    assert there.read_text() == "kept"


def test_it_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from seq2seq.cli import cli; cli(['config'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
