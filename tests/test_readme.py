"""The pages that people read first: their links exist, their snippets run, their translations come
out of the quickstart's model."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

import seq2seq
from seq2seq.config.toml import parse_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "recipes").glob("*/README.md")),
]
MODEL = "runs/quickstart/base/model"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PAIR = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def snippets(language: str) -> list[str]:
    """The fenced blocks of the README in a language."""
    return [body for name, body in _FENCE.findall(README) if name == language]


def links(page: str) -> list[str]:
    """The targets of the links and pictures of a page, without those to other sites."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page))
    return [target for target in _LINK.findall(prose) if "://" not in target]


def anchors(page: str) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def pairs() -> list[tuple[str, str]]:
    """The sentences and translations of the README's first table, without its header."""
    rows = _PAIR.findall(README.split("\n## ")[0])
    return rows[1:]


def commands(snippet: str) -> Iterator[list[str]]:
    """The words of each command line, without comments and without what `make` does."""
    for line in snippet.replace("\\\n", " ").split("\n"):
        words = shlex.split(line, comments=True)
        if words and "make" not in words:
            yield words


def test_the_readme_is_short():
    assert README.count("\n") <= 130


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_exist(path):
    page = path.read_text(encoding="utf-8")
    head = next(line for line in page.split("\n") if line and not line.startswith("<!--"))
    assert head.startswith("# ")
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: no such heading"


def test_the_two_commands_of_make_are_named():
    lines = "".join(snippets("sh")).split("\n")
    targets = {word for line in lines for word in line.split()[1:2] if line.startswith("make ")}
    assert {"quickstart", "test"} <= targets


@pytest.fixture
def workplace(toy, tmp_path, monkeypatch) -> Path:
    """The working directory, with the files that the README names: the toy corpus as train, valid,
    test and input, and my.toml as it stands there, with the toy's sizes."""
    for split in ("train", "valid", "test"):
        shutil.copy(toy.folder / f"{split}.en", tmp_path / f"{split}.xx")
        shutil.copy(toy.folder / f"{split}.fr", tmp_path / f"{split}.yy")
    shutil.copy(toy.folder / "test.en", tmp_path / "input.xx")
    small = tomllib.loads(toy.path.read_text(encoding="utf-8"))
    small["data"] = tomllib.loads(snippets("toml")[0])["data"]
    small["training"]["epochs"] = 1
    (tmp_path / "my.toml").write_text(tomli_w.dumps(small), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shell_snippets_run(workplace, toy, trained, shell, no_picture):
    ran = set()
    for words in (words for snippet in snippets("sh") for words in commands(snippet)):
        stdin = b""
        if "|" in words:
            bar = words.index("|")
            echo, words = words[:bar], words[bar + 1 :]
            assert (echo[0], len(echo)) == ("echo", 2), f"the test cannot run {echo}"
            stdin = f"{echo[1]}\n".encode()
        assert words[0] == "seq2seq", f"the test cannot run {words}"
        said = shell(*(word.replace(MODEL, f"{trained}/model") for word in words[1:]), stdin=stdin)
        assert said.code == 0, (words, said.err)
        if stdin:
            assert said.out.count("\n") == 1
        ran.add(words[1])
    assert {"train", "translate", "evaluate"} <= ran
    translations = (workplace / "output.yy").read_text(encoding="utf-8")
    assert translations.count("\n") == len(toy.lines("test.en"))


def test_python_snippets_run(trained, capsys):
    assert snippets("python")
    for snippet in snippets("python"):
        exec(compile(snippet.replace(MODEL, f"{trained}/model"), "README.md", "exec"), {})
    assert capsys.readouterr().out.count("\n") == 1


def test_configurations_are_accepted():
    assert snippets("toml")
    for snippet in snippets("toml"):
        parse_config(tomllib.loads(snippet), "README.md")


def test_the_translations_are_of_test_sentences():
    tested = (ROOT / "data/phrasebook/test.en").read_text(encoding="utf-8").split("\n")
    assert len(pairs()) == 3
    assert all(source in tested for source, _ in pairs())


@pytest.mark.skipif(not (ROOT / MODEL).is_dir(), reason="no quickstart model: `make quickstart`")
def test_the_quickstart_translates_as_the_readme_shows():
    sources, translations = zip(*pairs(), strict=True)
    translator = seq2seq.load(ROOT / MODEL, device="cpu")
    assert tuple(translator.translate(sources)) == translations
