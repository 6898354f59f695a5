"""The page without a server: `seq2seq export --web`.

The tokenizer's test needs Node.js. The others need onnxruntime-web in the folder $SEQ2SEQ_NODE (see
tests/export/test_node.py), and the page's test also what test_page.py needs.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.decoding.options import search_options
from seq2seq.errors import UserError
from seq2seq.serve import web_export
from seq2seq.serve.web_export import find_runtime, write_web_folder
from seq2seq.text.tokenizer import train_tokenizer

_NODE, _RUNTIME = shutil.which("node"), os.environ.get("SEQ2SEQ_NODE", "")
_SCRIPTS = Path(web_export.__file__).parent / "web"
_ALPHABET = "abcABC  ..'éÉßẞİıſΣσςǆǅﬁ①²½\u00a0\u3000\u200b\t각中カﾊﾟ́à01⇧⇪⇑⇓⇴☃😀م▁\u0300\ufeffÅ\ud800"
_ENCODE = """
import { readFileSync } from "node:fs";
const { Normalizer, Vocabulary } = await import(process.argv[2] + "/vocabulary.js");
const { Tokenizer } = await import(process.argv[2] + "/tokenizer.js");
const read = (name) => new Uint8Array(readFileSync(name));
const nfkc = Normalizer.ofModel(read("nfkc"));
const tokenizer = new Tokenizer(new Vocabulary(read("model")), JSON.parse(process.argv[3]), nfkc);
const encoded = JSON.parse(readFileSync("lines", "utf8")).map((line) => tokenizer.encode(line));
console.log(JSON.stringify(encoded.map((ids) => [ids, tokenizer.decode(ids)])));
"""
_TRANSLATE = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const ort = createRequire(process.cwd() + "/")("onnxruntime-web");
ort.env.wasm.numThreads = 1;
const { Model } = await import(process.argv[2] + "/model.js");
const read = async (name) => new Uint8Array(readFileSync(`${process.argv[2]}/model/${name}`));
const model = await Model.open(ort, read);
const results = [];
for (const line of JSON.parse(readFileSync(0, "utf8"))) results.push(await model.translate(line));
console.log(JSON.stringify(results));
"""
needs_runtime = pytest.mark.skipif(
    not (_NODE and _RUNTIME), reason="set SEQ2SEQ_NODE to a folder with onnxruntime-web"
)


def run_node(script: str, folder: Path, *arguments: str, text: str = "") -> Any:
    path = folder / "script.mjs"
    path.write_text(script, encoding="utf-8")
    command = [str(_NODE), "--no-warnings", str(path), *arguments]
    where = _RUNTIME if "onnxruntime" in script else folder
    said = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=where, check=False
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


@pytest.mark.skipif(not _NODE, reason="Node.js is not installed")
@pytest.mark.parametrize(
    ("kind", "case", "normalization", "others"),
    [
        ("bpe", "marked", "nmt_nfkc", {}),
        ("unigram", "marked", "identity", {"byte_fallback": False}),
        ("bpe", "plain", "nmt_nfkc", {"lowercase": True, "byte_fallback": False}),
        ("unigram", "plain", "nfd", {}),
        ("bpe", "plain", "whitespace", {}),
        ("unigram", "plain", "nmt_nfkc", {}),
    ],
)
def test_the_tokenizers_agree(kind, case, normalization, others, toy, tmp_path) -> None:
    draw = random.Random(1)
    vocabulary = 330 if others.get("byte_fallback", True) else 55
    words = ["The", "THE", "McDonald", "USA", "I", "o'clock", "Élan", "É", "ﬁsh", "2nd"]
    words += toy.lines("train.en")
    texts = ["".join(draw.choices(_ALPHABET, k=draw.randrange(30))) for _ in range(400)]
    texts += [" ".join(draw.choices(words, k=8)) for _ in range(200)]
    config = TokenizerConfig(kind=kind, vocabulary=vocabulary, case=case, **others)
    learned = [*words, *map(str.upper, words)] * 2
    tokenizer = train_tokenizer(learned, config, normalization=normalization)
    tokenizer = tokenizer.with_rules(normalization, lowercase=config.lowercase)
    (tmp_path / "model").write_bytes(tokenizer.model)
    (tmp_path / "nfkc").write_bytes(web_export._nfkc_model())
    (tmp_path / "lines").write_text(json.dumps(texts), encoding="utf-8")
    rules = json.dumps(web_export._rules(tokenizer))
    found = run_node(_ENCODE, tmp_path, str(_SCRIPTS), rules)
    expected = tokenizer.encode(texts)
    assert [ids for ids, _ in found] == expected
    for (_, text), ids, decoded in zip(found, expected, tokenizer.decode(expected), strict=True):
        assert tokenizer.unk in ids or text == decoded


@pytest.fixture(scope="module")
def site(exports, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "site"
    write_web_folder(exports["en-fr"], folder, find_runtime(Path(_RUNTIME)), "toy")
    return folder


@needs_runtime
def test_node_translates_as_python_does(site, exports, toy, tmp_path) -> None:
    lines = toy.lines("test.en")[:8]
    found = run_node(_TRANSLATE, tmp_path, str(site), text=json.dumps(lines))
    search = search_options(beam=5, n_best=4)
    results = seq2seq.load(exports["en-fr"]).translate_windows([lines], search, align=True)
    for got, expected in zip(found, results, strict=True):
        assert got["text"] == expected.best.text
        assert got["score"] == pytest.approx(expected.best.score, abs=1e-3)
        alignment = expected.best.alignment
        assert got["alignment"]["source_words"] == list(alignment.source.words)
        assert got["alignment"]["weights"][0] == pytest.approx(alignment.weights[0], abs=1e-3)


@needs_runtime
def test_the_page_translates_without_a_server(site, toy) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("Chromium is not installed")
    with static_server(site) as url, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.fill("#text", "the old dog sleeps here\nthe red cat runs")
        output = page.locator("#output p")
        sync_api.expect(output).to_have_count(2, timeout=60_000)
        assert output.all_inner_texts() == ["le chien vieux dort ici", "le chat rouge court"]
        page.locator("#output .word").nth(1).hover()
        sync_api.expect(page.locator("#look")).to_contain_text("chien looks at dog")
        assert page.locator("#docs").is_hidden()
        browser.close()


@contextlib.contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """Offer a folder over HTTP, and yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_what_a_browser_cannot_run_is_refused(exports, tmp_path) -> None:
    (tmp_path / "runtime").mkdir()
    with pytest.raises(UserError, match="its task is language-model"):
        write_web_folder(exports["lm"], tmp_path / "site", tmp_path / "runtime", "lm")
    with pytest.raises(UserError, match="its tokens are of the kind 'char'"):
        write_web_folder(exports["fr-de"], tmp_path / "site", tmp_path / "runtime", "fr-de")
    with pytest.raises(UserError, match="run npm install onnxruntime-web"):
        find_runtime(tmp_path)
    assert not (tmp_path / "site").exists()


def test_the_command_refuses_a_model_before_it_asks_for_a_package(
    exports, models, shell, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model, reason in (
        (exports["fr-de"], "its tokens are of the kind 'char'"),
        (models["classify"], "its task is classification"),
    ):
        said = shell("export", model, "--web", "-o", tmp_path / "site")
        assert said.code == 2
        assert said.err == (
            f"error: {model}: --web cannot run this model, because {reason}; use a "
            "translation model with bpe or unigram tokens\n"
        )


def test_the_command_says_what_is_missing(exports, shell, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("export", exports["en-fr"], "--web", "-o")
    said = shell(*command, tmp_path / "site")
    assert said.code == 2
    assert "run npm install onnxruntime-web" in said.err
    (tmp_path / "mine").mkdir()
    said = shell(*command, tmp_path / "mine")
    assert said.code == 2
    assert "choose another folder" in said.err
    runtime = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    runtime.mkdir(parents=True)
    for name in web_export._RUNTIME:
        (runtime / name).write_bytes(b"")
    for _ in range(2):  # the second time replaces the folder
        assert shell(*command, tmp_path / "site").code == 0
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "wasm-unsafe-eval" in page
    assert (tmp_path / "site" / "model" / "step.onnx").is_file()
