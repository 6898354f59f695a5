"""Clients of LibreTranslate, as their packages are, or as their public sources say.

The npm client needs Node.js and `npm install --prefix FOLDER libretranslate`, with
SEQ2SEQ_NODE=FOLDER.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from seq2seq.serve.access import UseLimits, load_keys

TEXTS = ["the red cat runs", "the old dog eats"]
_NODE = shutil.which("node")
_FOLDER = Path(os.environ.get("SEQ2SEQ_NODE") or "nowhere").absolute()
_FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def expected(exports) -> list[str]:
    return seq2seq.Translator.load(exports["en-fr"]).translate(TEXTS)


def test_libretranslatepy(server, expected):
    library = pytest.importorskip("libretranslatepy")
    api = library.LibreTranslateAPI(server.url)
    assert api.translate(TEXTS[0], "en", "fr") == expected[0]
    assert api.detect("Bonjour, je voudrais du pain")[0]["language"] == "fr"
    assert api.languages()[0]["code"] == "en"


def test_deep_translator(server, expected):
    library = pytest.importorskip("deep_translator")
    client = library.LibreTranslator(
        source="en", target="fr", api_key="any", custom_url=f"{server.url}/"
    )
    assert client.translate_batch(TEXTS) == expected


def test_translate(server, expected):
    library = pytest.importorskip("translate")
    client = library.Translator(
        to_lang="fr", from_lang="en", provider="libre", base_url=server.url, secret_access_key=None
    )
    assert client.translate(TEXTS[0]) == expected[0]


@pytest.mark.skipif(
    not (_NODE and (_FOLDER / "node_modules" / "libretranslate").is_dir()),
    reason="set SEQ2SEQ_NODE to a folder with the npm package libretranslate",
)
@pytest.mark.parametrize("source", ["en", ""], ids=["en", "auto"])
def test_npm_libretranslate(server, expected, source):
    asked = {"query": TEXTS[0], "source": source, "target": "fr", "apiurl": server.url}
    script = f"""
        const {{ translate }} = require("libretranslate");
        translate({json.dumps(asked)}).then((text) => process.stdout.write(text));
    """
    found = subprocess.run(
        [str(_NODE), "-e", script], cwd=_FOLDER, capture_output=True, text=True, timeout=60
    )
    assert (found.stderr, found.stdout) == ("", expected[0])


def test_weblate(server, expected):
    """WeblateOrg/weblate, weblate/machinery/libretranslate.py: an array, with an empty key."""
    _, languages, _ = server.ask("/languages")
    assert [one["code"] for one in languages][:2] == ["en", "fr"]
    body = {"api_key": "", "q": TEXTS, "source": "en", "target": "fr"}
    assert server.ask("/translate", body)[1] == {"translatedText": expected}


def test_weblate_before_it_sent_arrays(server, expected):
    """The same file until 2023: a form for each text."""
    for text, wanted in zip(TEXTS, expected, strict=True):
        fields = {"api_key": "", "q": text, "source": "en", "target": "fr"}
        form = urllib.parse.urlencode(fields).encode()
        answer = server.ask("/translate", form, headers={"Content-Type": _FORM})
        assert answer[1] == {"translatedText": wanted}


@pytest.mark.parametrize("source", ["en", "auto"])
def test_mastodon(server, expected, source):
    """mastodon/mastodon, app/lib/translation_service/libre_translate.rb: HTML, a null key.

    It reads `targets` of each language, and `detectedLanguage` of each text.
    """
    headers = {"Content-Type": "application/json"}
    _, languages, _ = server.ask("/languages", headers=headers)
    assert all(isinstance(one["targets"], list) for one in languages)
    posts = [f'<p>{text} <a href="https://example.org/@cat">@cat</a></p>' for text in TEXTS]
    body = {"q": posts, "source": source, "target": "fr", "format": "html", "api_key": None}
    status, answer, _ = server.ask("/translate", body, headers=headers)
    assert (status, len(answer["translatedText"])) == (200, len(posts))
    for found, wanted in zip(answer["translatedText"], expected, strict=True):
        assert found.startswith("<p>")
        assert found.count('<a href="https://example.org/@cat">') == found.count("</a>") == 1
        assert wanted.split()[0] in found
    if source == "auto":
        assert [one["language"] for one in answer["detectedLanguage"]] == ["en", "en"]


@pytest.mark.parametrize("key", ["", "a key"])
def test_the_extension_linguist(server, exports, serve, expected, monkeypatch, key):
    """translate-tools/core, src/translators/unstable/LibreTranslateTranslator/index.ts.

    Linguist sends all texts of a page at once, each as a form, from its own origin.
    """
    monkeypatch.setenv("SEQ2SEQ_API_KEYS", key)
    headers = {
        "Content-Type": _FORM,
        "Accept": "*/*",
        "Accept-Language": "en-US,en;q=0.5",
        "Origin": "moz-extension://6d1c6c0e-7b0a-4c53-9d0e-3f5d0c0c3a7e",
        "Sec-Fetch-Dest": "empty",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Site": "same-origin",
    }

    def ask(running: Any) -> None:
        for text, wanted in zip(TEXTS, expected, strict=True):
            fields = {"q": text, "source": "en", "target": "fr", "format": "text"}
            form = urllib.parse.urlencode(fields | ({"api_key": key} if key else {})).encode()
            status, answer, got = running.ask("/translate", form, headers=headers)
            assert (status, answer) == (200, {"translatedText": wanted})
            assert got["Access-Control-Allow-Origin"] == "*"

    if not key:
        ask(server)
        return
    with serve({"en-fr": exports["en-fr"]}, keys=load_keys(None, UseLimits())) as running:
        ask(running)
