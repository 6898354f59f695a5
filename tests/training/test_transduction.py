"""Letters to phones, from one TSV file of words and phones as they are published."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import shlex
import tomllib
from pathlib import Path
from unittest import mock

import pytest
from small_models import ATTENTION, TRAINING

from seq2seq.config import toml
from seq2seq.training import card as model_card
from seq2seq.training import trainer

_CONSONANTS = {"b": "B", "d": "D", "k": "K", "sh": "SH", "ch": "tʃʰ"}
_VOWELS = {"a": "AE", "i": "IH", "y": "IY", "é": "EY"}
_CONFIG = f"""
[data]
source = "word"
target = "phones"
source_column = 1
target_column = 2
train = "train.tsv"
valid = "valid.tsv"
test = "valid.tsv"
[tokenizer.source]
kind = "char"
[tokenizer.target]
kind = "symbols"
{ATTENTION}
[training]
epochs = 12
{TRAINING}
[validation]
metric = "wer"
every = 100
"""


def _rows() -> list[tuple[str, str]]:
    """Words of two syllables, such as "shaby", and their phones "SH AE B IY"."""
    syllables = list(itertools.product(_CONSONANTS.items(), _VOWELS.items()))
    return [
        ("".join((c, v, d, w)), " ".join((p, q, r, s)))
        for ((c, p), (v, q)), ((d, r), (w, s)) in itertools.product(syllables, syllables)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("g2p")
    rows = _rows()
    valid, train = rows[::9], [row for i, row in enumerate(rows) if i % 9]
    text = "".join(f"{word}\t{phones}\n" for word, phones in train)
    (made / "train.tsv.gz").write_bytes(gzip.compress(text.encode()))
    text = "".join(f"{word}\t{phones}\n" for word, phones in valid)
    (made / "valid.tsv").write_text(text, encoding="utf-8")
    (made / "g2p.toml").write_text(_CONFIG, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> Path:
    from seq2seq.config.toml import load_config
    from seq2seq.training.run_training import train_model

    with mock.patch.object(trainer, "plot_curves"):
        train_model(load_config(folder / "g2p.toml"), folder / "run")
    return folder / "run" / "model"


def test_letters_go_in_and_phones_come_out(learned: Path, shell) -> None:
    rows = _rows()[::9]
    words = "".join(f"{word}\n" for word, _ in rows)
    said = shell("translate", learned, stdin=words.encode())
    assert said.code == 0
    right = [line == phones for line, (_, phones) in zip(said.out.split("\n"), rows, strict=False)]
    assert sum(right) >= 0.9 * len(rows)
    assert "tʃʰ" in said.out  # no normalisation changes it to "tʃh"


def test_a_letter_never_seen_is_named(learned: Path, shell) -> None:
    said = shell("translate", learned, stdin="shaßy\n".encode())
    assert said.code == 0
    assert "'ß'" in said.err


def test_the_model_folder_and_the_card(learned: Path) -> None:
    names = {path.name for path in learned.iterdir()}
    assert {"tokenizer.source.model", "tokenizer.target.model"} <= names
    card = (learned / "README.md").read_text(encoding="utf-8")
    assert "- tokens: char, 15 → symbols, 13" in card


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("transducer", "context: transducer, 512;"),
        ("additive", "context: additive attention, parallel, 512;"),
    ],
)
def test_the_card_names_the_context(kind: str, said: str) -> None:
    values = {
        "data": {"train": "x", "source": "word", "target": "phones"},
        "context": {"kind": kind},
        "training": {"epochs": 1},
    }
    assert any(
        part.startswith(said) for part in model_card._parts(toml.parse_config(values, "here"))
    )


def test_alignments_name_letters_and_phones(learned: Path, shell, tmp_path: Path) -> None:
    options = ["--alignments", tmp_path / "alignments.jsonl"]
    assert shell("translate", learned, *options, stdin=b"shaby\n").code == 0
    row = json.loads((tmp_path / "alignments.jsonl").read_text(encoding="utf-8"))
    assert row["source"] == ["▁", "s", "h", "a", "b", "y", "</s>"]
    assert row["target"][:2] == ["▁SH", "▁AE"]


def test_an_export_gives_the_same(learned: Path, shell, tmp_path: Path) -> None:
    words = b"shaby\nchika\n\n"
    assert shell("export", learned, "-o", tmp_path / "export", "--precision", "fp32").code == 0
    said = shell("translate", tmp_path / "export", stdin=words)
    assert said.out == shell("translate", learned, stdin=words).out == "SH AE B IY\ntʃʰ IH K AE\n\n"


def test_the_weights_are_chosen_by_word_error_rate(learned: Path, folder: Path) -> None:
    from seq2seq.config.toml import load_config

    text = (folder / "g2p.toml").read_text(encoding="utf-8")
    (folder / "default.toml").write_text(text.replace('metric = "wer"\n', ""), encoding="utf-8")
    assert load_config(folder / "default.toml").validation.metric == "wer"
    chosen = load_config(folder / "default.toml", ["validation.metric=ser"])
    assert chosen.validation.metric == "ser"
    rows = (learned.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    valid = [row for row in map(json.loads, rows) if row["kind"] == "valid"]
    assert all(row["bleu"] is None for row in valid)
    assert all(row["wer"] == pytest.approx(100 - row["exact_match"]) for row in valid)
    best = min(valid, key=lambda row: (row["wer"], row["loss"]))
    assert best["best"]
    card = (learned / "README.md").read_text(encoding="utf-8")
    assert f"WER: {best['wer']:.2f} (greedy)" in card


def test_error_rates_and_confusions_are_printed(learned: Path, folder: Path, shell) -> None:
    (folder / "several.tsv").write_text(
        "shaby\tS AE B IY\nshaby\tSH AE B IY\nkadi\tK AE D AE\n", encoding="utf-8"
    )
    said = shell("evaluate", learned, folder / "several.tsv", "--json")
    assert said.code == 0
    scores = {one["name"]: one for one in json.loads(said.out)["scores"]}
    assert list(scores) == ["WER", "SER", "edit distance", "exact match"]
    assert scores["WER"]["value"] == pytest.approx(200 / 3)
    assert scores["SER"]["value"] == pytest.approx(200 / 12)
    said = shell("evaluate", learned, folder / "several.tsv", "--beam", 1)
    assert "WER 66.67   nrefs:1|case:mixed|unit:symbol|separator:' '|lines:3" in said.out
    assert "Errors by source length" in said.out
    assert "Most frequent confusions" in said.out


def test_errors_of_symbols_are_plotted(learned: Path, shell, tmp_path: Path) -> None:
    assert shell("evaluate", learned, "--plot", tmp_path / "a.png").code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_on_transduction_runs(folder: Path, shell, tmp_path: Path, monkeypatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "transduction.md").read_text(encoding="utf-8")
    written, *changes = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for change in changes:  # sections that change the first configuration
        values = tomllib.loads(written)
        for name, section in tomllib.loads(change).items():
            values[name] = {**values.get(name, {}), **section}
        toml.parse_config(values, "the page", needs_files=False)
    commands, *_ = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    small = re.sub(
        r"(embedding|hidden) = \d+", r"\1 = 8", written.replace("epochs = 60", "epochs = 1")
    )
    (tmp_path / "g2p.toml").write_text(small, encoding="utf-8")
    (tmp_path / "train.tsv.gz").write_bytes((folder / "train.tsv.gz").read_bytes())
    for split in ("valid", "test"):
        (tmp_path / f"{split}.tsv").write_bytes((folder / "valid.tsv").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trainer, "plot_curves", lambda *_: None)
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        stdin = b""
        if words[0] == "echo":
            stdin, words = f"{words[1]}\n".encode(), words[3:]
        assert words[0] == "seq2seq"
        assert shell(*words[1:], stdin=stdin).code == 0
