"""Text is UTF-8 at both ends of every command, whatever the terminal and the locale say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
QUICK = ("--device", "cpu", "--threads", "1")
LOCALES = {
    "latin-1 streams": {"PYTHONIOENCODING": "latin-1"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
LOCAL = pytest.mark.parametrize("where", LOCALES)


def run(where: str, *arguments: object, stdin: str = "") -> tuple[int, str, str]:
    environment = {**os.environ, **LOCALES[where], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "seq2seq", *map(str, arguments)],
        input=stdin.encode(),
        capture_output=True,
        env=environment,
    )
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@LOCAL
def test_a_prompt_is_read_and_printed(where, speaking):
    code, out, err = run(
        where, "generate", speaking / "model", "--prompt", "Жук 你", "--length", 2, *QUICK
    )
    assert (code, "Traceback" in err) == (0, False), err
    assert out.startswith("Жук 你")


@LOCAL
def test_names_and_messages_are_not_garbled(where, tmp_path):
    (tmp_path / "é.toml").write_text("[data]\nsource = 'ß'\ntarget = 'Ж'\nzebra = 'ü'\n", "utf-8")
    code, out, err = run(where, "train", tmp_path / "é.toml")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert f"{tmp_path}/é.toml: unknown key data.zebra" in err
    code, out, err = run(where, "train", tmp_path / "Ж.toml")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{tmp_path}/Ж.toml: this file does not exist" in err


@LOCAL
def test_text_passes_through_the_pipe(where, tmp_path):
    (tmp_path / "text").write_text("ж у к\nü ß\n", encoding="utf-8")
    model = tmp_path / "модель"
    assert (
        run(where, "tokenizer", "train", tmp_path / "text", "-o", model, "--kind", "char")[0] == 0
    )
    code, out, err = run(where, "tokenizer", "encode", model, stdin="жук\n")
    assert (code, out) == (0, "▁ ж у к\n"), err
    code, out, err = run(where, "tokenizer", "decode", model, stdin="▁ ж у к\n")
    assert (code, out) == (0, "жук\n"), err
