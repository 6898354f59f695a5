"""Recipes: scripts that say what they want, and data that is what it is said to be."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from seq2seq.decoding.translator import Translator

RECIPES = Path(__file__).parent.parent / "recipes"
SCRIPTS = sorted(RECIPES.glob("*/*.sh"))
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where seq2seq is


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_unknown_variant_is_one_line(script: Path) -> None:
    ran = subprocess.run(
        [script, "no-such-variant"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": PATH, "SEQ2SEQ_DATA": "/nowhere"},
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: usage: recipes/")
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""


def test_a_stage_is_done_once_and_again_where_its_files_or_its_run_are_others(
    tmp_path: Path,
) -> None:
    here = tmp_path / "recipes/some"
    here.mkdir(parents=True)
    shutil.copy(RECIPES / "stages.sh", here.parent)
    (here / "base.toml").touch()
    (here / "run.sh").write_text(
        'source "$(dirname "$0")/../stages.sh"\nbegin "$1" "${2:-}"\ncorpus words\n'
        'made() { mkdir -p "$RUN"; date +%N >> "$RUN/made"; }\n'
        'stage made "${CORPUS[@]}" -- made\nwc -l < "$RUN/made"\n'
    )
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a").write_text("a")
    (tmp_path / "words").symlink_to(tmp_path / "elsewhere")

    def times(*seed: str) -> int:
        command = ["bash", str(here / "run.sh"), "base", *seed]
        environment = {**os.environ, "PATH": PATH, "SEQ2SEQ_DATA": str(tmp_path)}
        return int(subprocess.check_output(command, env=environment, stderr=subprocess.DEVNULL))

    assert [times(), times(), times("1")] == [1, 1, 1]  # the seed of the configurations
    assert times("2") == 1
    (tmp_path / "elsewhere/a").write_text("b")
    assert [times(), times()] == [2, 2]
    shutil.rmtree(tmp_path / "runs/some/base")
    assert [times(), times()] == [1, 1]


@pytest.mark.parametrize(("recipe", "variant"), [("names", "classify"), ("tang-couplets", "base")])
@pytest.mark.parametrize("where", ["", "/nowhere"])
def test_a_corpus_that_is_not_there_is_one_line(tmp_path, recipe, variant, where) -> None:
    copy = tmp_path / "recipes"
    shutil.copytree(RECIPES / recipe, copy / recipe)
    shutil.copy(RECIPES / "stages.sh", copy)
    ran = subprocess.run(
        [copy / recipe / "run.sh", variant],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": PATH, "SEQ2SEQ_DATA": where},
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "SEQ2SEQ_DATA" in ran.stderr


def test_joined_lines_hold_every_sentence_once_a_pass(tmp_path: Path) -> None:
    draw = random.Random(1)
    source = tmp_path / "multi30k"
    source.mkdir()
    sentences: dict[str, list[str]] = {}
    for split, count in (("train", 300), ("val", 40), ("test_2016_flickr", 50)):
        # Sentence i of either side is made of its own word alone, so that it can be told again.
        lines = [" ".join([f"{split}{i}"] * draw.randint(1, 30)) for i in range(count)]
        sentences[split] = lines
        (source / f"{split}.en").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (source / f"{split}.de").write_text("\n".join(lines).upper() + "\n", encoding="utf-8")
    prepare = [sys.executable, RECIPES / "multi30k-long" / "prepare.py", source]
    subprocess.run([*prepare, tmp_path / "out"], check=True, capture_output=True)
    for split, passes in (("train", 2), ("val", 1), ("test_2016_flickr", 6)):
        english, german = (
            (tmp_path / "out" / f"{split}.{side}").read_text("utf-8").split("\n")[:-1]
            for side in ("en", "de")
        )
        assert [line.upper() for line in english] == german
        assert all(0 < len(line.split()) <= 80 for line in english)
        words = Counter(word for line in sentences[split] for word in line.split())
        found = Counter(word for line in english for word in line.split())
        assert found == Counter({word: passes * count for word, count in words.items()})
        assert max(len(line.split()) for line in english) > 60
    again = tmp_path / "again"
    subprocess.run([*prepare, again], check=True, capture_output=True)
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def prepared(recipe: str, source: Path, output: Path) -> dict[str, list[list[str]]]:
    """The rows of each split that a recipe makes, without the header."""
    prepare = [sys.executable, RECIPES / recipe / "prepare.py", source, output]
    subprocess.run(prepare, check=True, capture_output=True)
    return {
        split: [
            line.split("\t")
            for line in (output / f"{split}.tsv").read_text("utf-8").split("\n")[1:-1]
        ]
        for split in ("train", "valid", "test")
    }


def test_no_surname_is_both_learned_and_asked_for(tmp_path: Path) -> None:
    lists = {"English": [f"name{i}" for i in range(60)], "Scottish": ["name3", "name7", "Mac X"]}
    lists["Irish"] = ["O'A", "O'A", " O'B ", "", "name9", "O'C", "O'D"]
    for name, lines in lists.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("no list")
    found = prepared("names", tmp_path, tmp_path / "out")
    rows = [tuple(row) for split in found.values() for row in split]
    assert sorted(rows) == sorted(
        {(label, line.strip()) for label, lines in lists.items() for line in lines if line.strip()}
    )
    names = [{name for _, name in split} for split in found.values()]
    assert sum(map(len, names)) == len(set.union(*names))
    assert all({label for label, _ in split} == set(lists) for split in found.values())


def test_every_colour_is_on_one_side(tmp_path: Path) -> None:
    rows = [[f"#{i:06x}", f'a "quoted", name {i}'] for i in range(50)]
    quoted = "".join(f'"{name.replace(chr(34), 2 * chr(34))}",{code},\n' for code, name in rows)
    (tmp_path / "colors.csv").write_text("name,hex,good name\n" + quoted, encoding="utf-8")
    found = prepared("colors", tmp_path / "colors.csv", tmp_path / "out")
    assert sorted(row for split in found.values() for row in split) == rows
    assert [len(found[split]) for split in ("train", "valid", "test")] == [40, 5, 5]


def test_questions_and_reviews_keep_their_labels(tmp_path: Path) -> None:
    (tmp_path / "TREC.train.all").write_text("".join(f"{i % 6} what {i} ?\n" for i in range(60)))
    (tmp_path / "TREC.test.all").write_text("2 who\n")
    found = prepared("trec", tmp_path, tmp_path / "trec")
    kinds = ["DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"]
    rows = found["train"] + found["valid"]
    assert sorted(rows) == sorted([kinds[i % 6], f"what {i} ?"] for i in range(60))
    assert (len(found["valid"]), found["test"]) == (6, [["ABBR", "who"]])
    for split in ("train", "dev", "test"):
        (tmp_path / f"stsa.binary.{split}").write_text(f"0 bad {split}\n1 good\n")
    found = prepared("sst2", tmp_path, tmp_path / "sst2")
    assert found["valid"] == [["negative", "bad dev"], ["positive", "good"]]


def test_no_sentence_of_tatoeba_is_both_learned_and_asked_for(tmp_path: Path) -> None:
    draw = random.Random(1)
    pairs = [f"Sentence {i}!\tSatz {draw.randrange(9000)}." for i in range(6000)]
    pairs += [f"sentence  {i}\tEin Satz, {i}." for i in range(0, 6000, 2)] + ["?!\t!?"]
    (tmp_path / "deu.txt").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    prepare = [sys.executable, RECIPES / "tatoeba" / "prepare.py", tmp_path, tmp_path / "out"]
    subprocess.run(prepare, check=True, capture_output=True)
    sides: dict[str, dict[str, list[str]]] = {
        split: {
            side: (tmp_path / "out" / f"{split}.{side}").read_text("utf-8").split("\n")[:-1]
            for side in ("en", "de")
        }
        for split in ("train", "valid", "test")
    }
    plain = {
        split: {
            side: {"".join(c for c in line.casefold() if c.isalnum()) or line for line in lines}
            for side, lines in files.items()
        }
        for split, files in sides.items()
    }
    for split in ("valid", "test"):
        assert len(sides[split]["en"]) == len(sides[split]["de"]) == 2000
        assert len(plain[split]["en"]) == 2000
        assert not plain[split]["en"] & plain["train"]["en"]
        assert not plain[split]["de"] & plain["train"]["de"]
    assert not plain["valid"]["en"] & plain["test"]["en"]
    written = {f"{e}\t{g}" for f in sides.values() for e, g in zip(f["en"], f["de"], strict=True)}
    assert written <= set(pairs)
    assert len(sides["train"]["en"]) > 2000


def test_teachers_translate_each_line_beside_its_reference(trained: Path, toy, tmp_path) -> None:
    model = trained / "model"
    out = tmp_path / "out"
    prepare = [sys.executable, RECIPES / "multi30k-distilled" / "prepare.py"]
    subprocess.run(
        [*prepare, toy.path, out, model, model],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    sources, targets = toy.lines("train.en"), toy.lines("train.fr")
    count = len(sources)
    assert (out / "train.en").read_text("utf-8").split("\n")[:-1] == sources + sources
    found = (out / "train.fr").read_text("utf-8").split("\n")[:-1]
    assert found[:count] == targets
    assert found[count:] == Translator.load(model, model, device="cpu").translate(sources)
    assert sum(map(str.__eq__, found[count:], targets)) > 0.9 * count  # it has learned them
