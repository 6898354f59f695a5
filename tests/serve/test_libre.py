"""LibreTranslate's interface: what its clients send, and what they expect."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

import pytest

import seq2seq

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def translator(exports):
    return seq2seq.Translator.load(exports["en-fr"])


def encode(**fields: object) -> bytes:
    return urllib.parse.urlencode(fields, doseq=True).encode()


def multipart(fields: dict[str, str]) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return f"{''.join(parts)}--x--\r\n".encode()


def test_a_text_comes_as_json_as_a_form_and_in_the_query(server, translator):
    (expected,) = translator.translate(["the red cat runs"])
    fields = {"q": "the red cat runs", "source": "en", "target": "fr"}
    answers = [
        server.ask("/translate", fields),
        server.ask("/translate", encode(**fields), headers=FORM),
        server.ask("/translate?" + encode(**fields).decode(), b""),
        server.ask(
            "/translate",
            multipart(fields),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ),
    ]
    assert [answer[:2] for answer in answers] == [(200, {"translatedText": expected})] * 4


def test_an_array_gives_arrays(server, translator):
    texts = ["the red cat runs", "", "the old dog eats now"]
    fields = {"q": texts, "source": "auto", "target": "fr", "alternatives": 2}
    status, answer, _ = server.ask("/translate", fields)
    ranked = list(translator.stream(texts, seq2seq.BeamOptions(n_best=3)))
    assert status == 200
    assert answer["translatedText"] == [result.best.text for result in ranked]
    assert answer["alternatives"] == [
        [one.text for one in result.translations[1:]] for result in ranked
    ]
    assert [one["language"] for one in answer["detectedLanguage"]] == ["en"] * 3
    assert 0 <= answer["detectedLanguage"][0]["confidence"] <= 100
    status, answer, _ = server.ask("/translate", {**fields, "q": texts[0]})
    assert answer["translatedText"] == ranked[0].best.text
    assert answer["detectedLanguage"]["language"] == "en"
    assert answer["alternatives"] == [one.text for one in ranked[0].translations[1:]]


def test_lines_and_white_space_stay(server, translator):
    text = "  the red cat runs\r\n\r\n\tthe old dog eats\n"
    first, second = translator.translate(["the red cat runs", "the old dog eats"])
    _, answer, _ = server.ask("/translate", {"q": text, "source": "en", "target": "fr"})
    assert answer == {"translatedText": f"  {first}\r\n\r\n\t{second}\n"}


def test_tags_stay_in_place(server):
    text = '<p>the red <b class="x">cat</b> runs &amp; <i>sleeps</i></p><script>a < b</script>'
    fields = {"q": text, "source": "en", "target": "fr", "format": "html"}
    status, answer, _ = server.ask("/translate", fields)
    found = answer["translatedText"]
    assert status == 200
    assert found.startswith("<p>")
    assert found.endswith("</p><script>a < b</script>")
    assert '<b class="x">chat</b>' in found
    assert found.index("</b>") < found.index("<i>") < found.index("</i>")


def test_a_pair_without_a_model_goes_through_a_third_language(server):
    fields = {"q": "the red cat runs", "source": "en", "target": "de"}
    status, answer, _ = server.ask("/translate", fields)
    assert (status, answer["pivot"]) == (200, "fr")
    _, first, _ = server.ask("/translate", {**fields, "target": "fr"})
    again = {"q": first["translatedText"], "source": "fr", "target": "de"}
    assert server.ask("/translate", again)[1] == {"translatedText": answer["translatedText"]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"q": ""}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"q": [1]}, "Invalid request: q must be a text or an array of texts"),
        ({"source": None}, "Invalid request: missing source parameter"),
        ({"target": ""}, "Invalid request: missing target parameter"),
        ({"source": "xx"}, "xx is not supported"),
        ({"target": "xx"}, "xx is not supported"),
        ({"source": "auto", "target": "xx"}, "xx is not supported"),
        ({"source": "auto", "target": "en"}, "no model translates into en"),
        ({"source": "de", "target": "en"}, "en is not available as a target language from de"),
        ({"format": "pdf"}, "pdf format is not supported"),
        ({"alternatives": "many"}, "Invalid request: alternatives parameter is not a number"),
        ({"alternatives": 1.5}, "Invalid request: alternatives parameter is not a number"),
        ({"alternatives": 10**400}, "Invalid request: alternatives parameter must be <= 10"),
        ({"alternatives": 99}, "Invalid request: alternatives parameter must be <= 10"),
        (
            {"q": "<b>a</b> " * 10_001, "format": "html"},
            "Invalid request: the HTML text has more than 10000 sentences; shorten the text",
        ),
    ],
)
def test_a_wrong_request_is_answered_as_libretranslate_does(server, change, text):
    fields = {"q": "the cat", "source": "en", "target": "fr", **change}
    assert server.ask("/translate", fields)[:2] == (400, {"error": text})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[1]", "Invalid JSON format: the request body must be a JSON object"),
        (b'{"q": "\xff"}', "the request body is not UTF-8 (byte 7)"),
        (b'{"q": "\\ud800"}', "the request body has half of a surrogate pair (\\ud800)"),
        (
            b'{"q": NaN}',
            "the request body is not valid JSON: the number NaN is not allowed in JSON",
        ),
        (
            b"[" * 100_000,
            "the request body is not valid JSON: the JSON values are nested too deeply",
        ),
    ],
)
def test_a_broken_body_is_explained(server, body, text):
    headers = {"Content-Type": "application/json"}
    assert server.ask("/translate", body, headers=headers)[:2] == (400, {"error": text})


def test_a_broken_form_is_explained(server):
    for body in (b"q=%ff&source=en&target=fr", b"q=\xff&source=en&target=fr"):
        status, answer, _ = server.ask("/translate", body, headers=FORM)
        assert (status, "form" in answer["error"]) == (400, True)


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=latin-1", "; charset=x"])
def test_a_multipart_form_is_utf_8(server, translator, charset):
    """As in every other body, whatever the header says."""
    headers = {"Content-Type": f"multipart/form-data; boundary=x{charset}"}
    broken = multipart({"q": "the cat", "source": "en", "target": "fr"}).replace(b"cat", b"c\xff")
    status, answer, _ = server.ask("/translate", broken, headers=headers)
    assert (status, answer) == (400, {"error": f"the form is not UTF-8 (byte {broken.find(255)})"})
    text = "the cät runs"
    whole = multipart({"q": text, "source": "en", "target": "fr"})
    status, answer, _ = server.ask("/translate", whole, headers=headers)
    assert (status, answer) == (200, {"translatedText": translator.translate([text])[0]})


@pytest.mark.parametrize(
    ("kind", "body", "found", "wanted"),
    [
        (FORM["Content-Type"], b' {"q": "a=b"}', "JSON, but the content type is", "json"),
        ("text/plain", b"[1]", "JSON, but the content type is text/plain", "json"),
        ("", b'{"q": "a"}', "JSON, but it has no content type", "json"),
        ("text/xml", b"<q/>", "no form, but the content type is text/xml", "json"),
        ("application/json", b"q=a&source=en&target=fr", "a form, but", "x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("path", ["/translate", "/detect"])
def test_an_error_names_a_wrong_content_type(server, path, kind, body, found, wanted):
    status, answer, _ = server.ask(path, body, headers={"Content-Type": kind})
    assert status == 400
    assert answer["error"].startswith(f"the request body is {found}")
    assert answer["error"].endswith(f": send the header Content-Type: application/{wanted}")


def test_fewer_alternatives_than_none_are_none(server):
    for value in ("-1", "-288230376151711745"):  # float64 rounds the second number
        fields = {"q": "the cat", "source": "en", "target": "fr", "alternatives": value}
        status, answer, _ = server.ask("/translate", encode(**fields), headers=FORM)
        assert (status, list(answer)) == (200, ["translatedText"])


def test_languages_and_settings(server):
    _, languages, _ = server.ask("/languages")
    assert {one["code"]: one["targets"] for one in languages} == {
        "en": ["fr", "de"],
        "fr": ["de"],
        "de": [],
    }
    assert languages[0]["name"] == "English"
    _, settings, _ = server.ask("/frontend/settings")
    assert settings["charLimit"] == 200_000
    assert settings["language"]["source"] == {"code": "en", "name": "English"}
    assert not settings["keyRequired"]


def test_detection(server):
    _, found, _ = server.ask("/detect", encode(q="Bonjour, je voudrais du pain"), headers=FORM)
    assert next(one["language"] for one in found) == "fr"
    assert sum(one["confidence"] for one in found) == pytest.approx(100, abs=0.5)


def test_disabled_paths_and_unknown_ones(server):
    assert server.ask("/suggest", {"q": "a", "s": "b"})[:2] == (
        403,
        {"error": "Suggestions are disabled on this server."},
    )
    assert server.ask("/translate_file", b"x")[0] == 403
    assert server.ask("/nowhere")[:2] == (404, {"error": "/nowhere: no such path"})
    status, answer, headers = server.ask("/translate")
    assert (status, answer) == (405, {"error": "GET is not allowed here"})
    assert headers["Allow"] == "POST"
    for path in ("/translate/", "/v1/translate/", "/languages/", "/docs/"):
        for body in (None, {"q": "a"}):
            status, answer, headers = server.ask(path, body, headers={"Host": "evil.example"})
            assert (status, answer) == (404, {"error": f"{path}: no such path"})
            assert "Location" not in headers


def test_pages_of_other_origins_may_ask(server):
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    status, _, headers = server.ask("/translate", method="OPTIONS", headers=asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    _, _, headers = server.ask("/languages", headers={"Origin": "https://example.org"})
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_health_metrics_and_documentation(server):
    assert server.ask("/health")[:2] == (200, {"status": "ok"})
    assert server.ask("/ready")[:2] == (200, {"status": "ready"})
    server.ask("/translate", {"q": "the cat", "source": "en", "target": "fr"})
    _, text, _ = server.ask("/metrics")
    assert 'seq2seq_request_seconds_count{path="/translate",status="200"}' in text
    assert 'seq2seq_batch_texts_count{model="en-fr"}' in text
    assert "seq2seq_workers 1.0" in text
    assert "/v1/translate" in server.ask("/docs")[1]
    assert "http" not in server.ask("/docs")[1].replace("http-equiv", "")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_workers_with_exports_do_not_load_pytorch(server):
    for pid in server.service.dispatcher.worker_pids:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        assert "onnxruntime" in maps
        assert "libtorch" not in maps
