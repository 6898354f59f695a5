"""The interface under /v1: its answers equal those of the Python interface."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec

import numpy as np
import pytest

import seq2seq
from seq2seq.decoding.options import BeamOptions, SamplingOptions
from seq2seq.errors import OutOfMemoryError
from seq2seq.serve.client import ServerClient, ServerError
from seq2seq.serve.failures import explain, name_keys

# Options of the command line, settings of a configuration, and types of Python and pydantic.
_NOT_FOR_CLIENTS = r"--\w|[a-z]+\.[a-z]+_|Input|instance|dictionary|\[_"
TEXTS = ["the red cat runs", "", "the old dog eats now", "the\nbig man", "\u200b", "ü the cat"]


@pytest.fixture
def client(server):
    with ServerClient(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def translator(exports):
    return seq2seq.Translator.load(exports["en-fr"])


def test_translations_scores_and_notes(client, translator):
    answer = client.translate(TEXTS, model="en-fr", n_best=3, beam=4)
    search = BeamOptions(beam=4, n_best=3)
    expected = list(translator.stream(TEXTS, search))
    assert (answer.models, answer.source, answer.target) == (["en-fr"], "en", "fr")
    assert answer.pivot is None
    for found, result in zip(answer.translations, expected, strict=True):
        assert [(one.text, one.score) for one in found.hypotheses] == [
            (one.text, one.score) for one in result.translations
        ]
        assert (found.text, found.score) == (result.best.text, result.best.score)
        assert [note.kind for note in found.notes] == [note.kind for note in result.notes]
        assert not any(note.text.startswith("line") for note in found.notes)


def test_a_translation_can_have_a_given_length(client, translator):
    for least, most in ((7, 7), (12, 7), (9, 9)):
        found = client.translate([TEXTS[0]], model="en-fr", min_length=least, max_length=most)
        search = BeamOptions(min_length=min(least, most), max_length=most)
        assert found.translations[0].text == translator.translate([TEXTS[0]], search)[0]
    (both,) = client.translate([TEXTS[0]], model="en-fr", min_length=9, max_length=3).translations
    assert "min_length exceeds max_length, so max_length applies" in [n.text for n in both.notes]


def test_sampling_options_without_sampling_are_named(client):
    def notes(**options):
        (found,) = client.translate([TEXTS[0]], model="en-fr", **options).translations
        return [note.text for note in found.notes if note.kind == "sampling"]

    assert notes(temperature=0.5, seed=3) == [
        "temperature, seed had no effect: set sampling to true"
    ]
    assert notes(temperature=0.5, sampling=True) == notes(temperature=1.0) == []


def test_alignments(client, translator):
    (found,) = client.translate([TEXTS[0]], target="fr", source="en", alignments=True).translations
    windows = translator.translate_windows([[TEXTS[0]]], BeamOptions(), align=True)
    alignment = next(windows).best.alignment
    assert found.alignment is not None
    assert found.alignment.source_tokens == alignment.source.pieces
    assert found.alignment.target_words == list(alignment.target.words)
    assert np.array(found.alignment.weights) == pytest.approx(alignment.weights, abs=1e-3)


def test_a_missing_alignment_is_explained(client):
    found = client.translate([TEXTS[0]], source="en", target="de", alignments=True)
    assert (found.models, found.pivot) == (["en-fr", "fr-de"], "fr")
    assert found.translations[0].alignment is None
    assert "alignment" in [note.kind for note in found.translations[0].notes]


def test_samples_are_seeded(client, translator):
    fields = {"sampling": True, "seed": 7, "n_best": 2, "temperature": 0.7}
    found = client.translate(TEXTS[:1], **fields).translations[0]
    search = SamplingOptions(seed=7, n_best=2, temperature=0.7)
    (result,) = translator.stream(TEXTS[:1], search)
    assert [one.text for one in found.hypotheses] == [one.text for one in result.translations]


def test_a_stream_has_an_event_for_each_line(client, translator):
    lines = [*TEXTS[:3], *["the red cat runs"] * 40]
    found = list(client.stream("\n".join(lines) + "\n", target="fr", source="auto"))
    assert [one.line for one in found] == list(range(1, len(lines) + 1))
    assert [one.text for one in found] == translator.translate(lines)


def test_the_client_passes_on_what_the_server_finds_wrong(client):
    with pytest.raises(ServerError, match="texts: must be an array"):
        client.translate("the red cat runs")
    with pytest.raises(ServerError, match="unknown key 'bem'; did you mean 'beam'"):
        client.translate(["the red cat runs"], bem=3)


def test_scores(client, translator):
    pairs = [("the red cat runs", "le chat rouge court"), ("", ""), ("the cat", "le chien")]
    expected = translator.score(*map(list, zip(*pairs, strict=True)), 0.5)
    found = client.score(pairs, source="en", target="fr", length_penalty=0.5).scores
    assert [(one.log_probability, one.score) for one in found] == [
        (one.log_probability, one.score) for one in expected
    ]


def test_too_little_memory_is_no_mistake_of_the_client():
    status, text = explain(OutOfMemoryError("line 1: use a smaller batch size (--batch-size)"))
    assert (status, text.startswith("the server has too little memory")) == (503, True)


def test_tags(client, exports):
    texts = ["the red  cat", "", "a dog"]
    found = client.tag(texts, probabilities=True).texts
    tagger = seq2seq.Tagger.load(exports["tag"])
    assert [[tag.label for tag in one.tags] for one in found] == tagger.tag(texts)
    assert found[0].words == ["the", "red", "cat"]
    assert sum((found[0].tags[0].probabilities or {}).values()) == pytest.approx(1, abs=1e-4)


def test_classes(client, exports):
    texts = ["the red cat", "", "a dog"]
    found = client.classify(texts).texts
    expected = seq2seq.Classifier.load(exports["classify"]).classify(texts)
    assert [one.label.label if one.label else "" for one in found] == expected


def test_texts_for_a_label_and_for_a_vector(client, exports):
    for name, given in (("write", "B"), ("colour", [0.1, -1, 2.5])):
        expected = seq2seq.Generator.load(exports[name]).generate(
            given, 2, max_length=9, temperature=0.5, seed=3
        )
        found = client.generate(
            model=name, given=given, number=2, max_length=9, temperature=0.5, seed=3
        )
        assert [one.text for one in found.texts] == expected


def test_a_language_model_writes_at_once_or_piece_by_piece(client, exports):
    speaker = seq2seq.LanguageModel.load(exports["lm"])
    expected = speaker.generate("the cat", max_length=12, seed=2)
    fields = {"prompt": "the cat", "max_length": 12, "seed": 2}
    assert client.generate(**fields).texts[0].text == expected
    pieces = list(client.generate_pieces(**fields))
    assert "".join(pieces) == expected
    assert len(pieces) > 3


def test_perplexity(client, exports):
    text = "the cat\na dog\n"
    expected = seq2seq.LanguageModel.load(exports["lm"]).perplexity(text)
    found = client.perplexity(text)
    assert (found.perplexity, found.tokens) == (expected.value, expected.tokens)


def test_features_follow_the_text_after_a_tab(server, client, exports):
    model = seq2seq.Translator.load(exports["inflect"])
    texts = ["the cat\tN;PL", "the cat\tN", "the cat", "the cat\tN;NEW"]
    expected = list(model.stream(texts))
    found = client.translate(texts, model="inflect", alignments=True).translations
    for one, result in zip(found, expected, strict=True):
        assert (one.text, one.score) == (result.best.text, result.best.score)
        assert [note.kind for note in one.notes] == [note.kind for note in result.notes]
    assert found[0].score != found[1].score
    assert "features" in [note.kind for note in found[3].notes]
    assert found[0].alignment is not None
    owners = found[0].alignment.source_words
    assert (owners[0], max(one for one in owners if one is not None)) == (None, 1)
    streamed = client.stream("\n".join(texts), model="inflect")
    assert [one.text for one in streamed] == [result.best.text for result in expected]


def test_the_models_are_listed(client):
    answer = client.models()
    found = {model.name: model for model in answer.models}
    assert found["en-fr"].attention
    assert found["tag"].labels == ["A", "B", "C"]
    assert found["lm"].paths == ["/v1/perplexity", "/v1/generate"]
    assert {name: model.features for name, model in found.items() if model.features} == {
        "inflect": "line",
        "words": "word",
    }
    splits = {name for name, model in found.items() if model.splits_sentences}
    installed = find_spec("sentencex") is not None
    assert splits == ({"en-fr", "fr-de", "inflect"} if installed else set())
    assert [(one.source, one.target, one.pivot) for one in answer.pairs] == [
        ("en", "fr", None),
        ("en", "de", "fr"),
        ("fr", "de", None),
    ]


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/v1/translate", {}, "the key 'texts' is missing"),
        ("/v1/translate", {"texts": ["a"], "beem": 3}, "unknown key 'beem'; did you mean 'beam'?"),
        ("/v1/translate", {"texts": ["a"], "beam": "3"}, "beam: must be a whole number"),
        ("/v1/translate", {"texts": ["a"], "beam": True}, "beam: must be a whole number"),
        ("/v1/translate", {"texts": ["a"], "beam": 1.5}, "beam: must be a whole number"),
        ("/v1/translate", {"texts": ["a"], "beam": 1e30}, "beam: is too large or too small"),
        ("/v1/translate", {"texts": ["a"], "beam": 17}, "beam: must be less than or equal to 16"),
        ("/v1/translate", {"texts": ["a"], "forbid": "b"}, "forbid: must be an array"),
        ("/v1/translate", {"texts": ["a"], "forbid": [" "]}, "forbid.0: must contain more than"),
        ("/v1/translate", {"texts": ["a"], "forbid": ["b"] * 21}, "must have at most 20 entries"),
        (
            "/v1/translate",
            {"texts": ["a"], "source": "auto", "target": "en"},
            "no model translates into en",
        ),
        (
            "/v1/translate",
            {"texts": ["le chat est noir et dort"], "source": "auto", "target": "fr"},
            "source and target are the same language, fr",
        ),
        ("/v1/translate", {"texts": "a"}, "texts: must be an array"),
        (
            "/v1/translate",
            {"texts": ["a"], "model": "words", "protect": True},
            "protect does not work with a model that reads the features of each word",
        ),
        (
            "/v1/translate/stream",
            {"text": "a", "model": "words", "split_sentences": True},
            "cannot split texts into sentences for the model words: leave out split_sentences",
        ),
        (
            "/v1/translate",
            {"texts": ["a"], "model": "tag"},
            "'tag' is not a translation model; known: en-fr, fr-de, inflect, words",
        ),
        (
            "/v1/translate",
            {"texts": ["a"], "model": "en-fr", "target": "de"},
            "the model en-fr does not have the language de",
        ),
        ("/v1/tag", {"texts": ["a"], "model": "lm"}, "choose one of tag"),
        ("/v1/generate", {"given": "Z"}, "'Z'"),
        ("/v1/generate", {"model": "lm", "given": "A"}, "does not take the key 'given'"),
        ("/v1/generate", {"given": ""}, "the key 'given' is missing or empty"),
        ("/v1/generate", {"given": [True]}, "given: must be a label (a text) or a vector"),
        ("/v1/score", {"pairs": [], "target": "fr"}, "pairs: must not be empty"),
        ("/v1/score", {"pairs": ["a"]}, "pairs.0: must be an object"),
        ("/v1/score", {"pairs": [{"source": "a"}]}, "the key 'pairs.0.target' is missing"),
    ],
)
def test_a_wrong_request_is_explained(server, path, body, text):
    status, answer, _ = server.ask(path, body)
    assert status == 400
    assert text in answer["error"]
    assert not re.search(_NOT_FOR_CLIENTS, answer["error"])


def test_notes_name_the_keys_of_a_request(client):
    long = client.translate(["the cat " * 99], model="en-fr", max_length=2).translations[0]
    cut = next(note.text for note in long.notes if note.kind == "cut")
    assert cut.endswith("allow longer translations with max_length")
    assert {"split", "cut"} <= {note.kind for note in long.notes}
    assert not any(re.search(_NOT_FOR_CLIENTS, note.text) for note in long.notes)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("leave out --forbid, --no-repeat-ngram", "leave out forbid, no_repeat_ngram"),
        ("9 subwords (data.max_tokens = 8), so", "9 subwords, so"),
        ("a transducer (context.kind): leave", "a transducer: leave"),
        ("a--b - c -- d (e.g. f)", "a--b - c -- d (e.g. f)"),
    ],
)
def test_options_and_settings_of_the_command_line_become_keys(message, expected):
    assert name_keys(message) == expected


def test_the_client_raises_the_error_of_the_server(client):
    with pytest.raises(ServerError, match="400: the model en-fr does not have"):
        client.translate(["a"], model="en-fr", target="de")
    assert client.translate(["the cat"]).translations  # the connection still works


def test_only_json_is_accepted(server):
    status, answer, _ = server.ask("/v1/tag", b"x", headers={"Content-Type": "text/plain"})
    assert (status, answer) == (
        415,
        {"error": "the content type is text/plain: send application/json"},
    )


def test_the_specification_lists_the_statuses_of_each_path(server):
    _, spec, _ = server.ask("/spec")
    found = {
        path: " ".join(operation["responses"])
        for path, methods in spec["paths"].items()
        for operation in methods.values()
    }
    own = {found.pop(path) for path in list(found) if path.startswith("/v1") and path[-1] != "s"}
    assert own == {"200 400 408 413 415 429 500 503"}
    assert found == {
        **dict.fromkeys(["/v1/models", "/languages", "/frontend/settings", "/health"], "200"),
        **dict.fromkeys(["/suggest", "/translate_file"], "403"),
        "/ready": "200 503",
        "/translate": "200 400 408 413 429 500 503",
        "/detect": "200 400 408 413 500",
    }


def test_the_specification_names_what_the_server_has(server):
    _, spec, _ = server.ask("/spec")
    assert spec["openapi"] == "3.1.0"
    schemas = spec["components"]["schemas"]
    assert schemas["TagRequest"]["properties"]["model"]["enum"] == ["tag", None]
    assert json.dumps(spec).count("LabelRequest") >= 1
    used = {path for path in spec["paths"] if path.startswith("/v1")}
    assert used == {
        "/v1/models",
        "/v1/translate",
        "/v1/translate/stream",
        "/v1/score",
        "/v1/tag",
        "/v1/classify",
        "/v1/generate",
        "/v1/perplexity",
    }
