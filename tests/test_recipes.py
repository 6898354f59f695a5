"""Recipes: scripts that say what they want, and data that is what it is said to be."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

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
