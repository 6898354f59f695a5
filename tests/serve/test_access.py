"""API keys, limits, and addresses that other machines can reach."""

from __future__ import annotations

import pytest

from seq2seq.errors import UserError
from seq2seq.serve.access import Client, Keys, RateLimiter, UseLimits, is_loopback, load_keys

ASK = {"q": "the cat", "source": "en", "target": "fr"}


def keys_file(tmp_path, text: str):
    path = tmp_path / "keys.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_keys_come_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQ2SEQ_API_KEYS", "one, two")
    path = keys_file(tmp_path, '[weblate]\nkey = "three"\nrequests = 5\n')
    keys = load_keys(path, UseLimits(characters=10))
    assert keys.are_required
    found = keys.find("three")
    assert found == Client("weblate", UseLimits(characters=10, requests=5))
    assert keys.find("two") == Client("key 2", UseLimits(characters=10))
    assert keys.find("four") is None
    assert "three" not in repr(keys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file has no API keys"),
        ("[a]\n", "a: this client has no API key; write a table"),
        ("key = 1\n", "key: this client has no API key"),
        ('[a]\nkey = "x"\nrequest = 1\n', "unknown setting 'request'; did you mean 'requests'?"),
        ('[a]\nkey = "x"\ntexts = -1\n', "texts must be a whole number of at least 0, not -1"),
        ('[a]\nkey = "x"\n[b]\nkey = "x"\n', "b: another client has the same API key"),
        ("[a", "cannot be read as TOML"),
        ("a = " + "[" * 5000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path, text, message):
    with pytest.raises(UserError, match=r"keys\.toml") as caught:
        load_keys(keys_file(tmp_path, text), UseLimits())
    assert message in str(caught.value)


def test_requests_per_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    limiter, client = RateLimiter(), Client("a", UseLimits(requests=2))
    assert [limiter.wait_time(client) for _ in range(3)] == [0, 0, 30]
    assert limiter.wait_time(Client("b", UseLimits(requests=2))) == 0
    now[0] = 30.0
    assert [limiter.wait_time(client) for _ in range(2)] == [0, 30]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_other_addresses(host):
    assert not is_loopback(host)


def test_the_server_asks_for_keys_and_keeps_limits(exports, serve, tmp_path):
    limits = UseLimits(characters=40, texts=2)
    path = keys_file(tmp_path, '[a]\nkey = "k"\n[b]\nkey = "slow"\nrequests = 1\n')
    with serve({"en-fr": exports["en-fr"]}, keys=load_keys(path, limits)) as server:
        text = "Please contact the server operator to get an API key"
        assert server.ask("/translate", ASK)[:2] == (400, {"error": text})
        assert server.ask("/detect", {"q": "the cat"})[:2] == (400, {"error": text})
        assert server.ask("/translate", {"api_key": ""})[:2] == (400, {"error": text})
        assert server.ask("/v1/translate", {"texts": ["a"]})[:2] == (403, {"error": text})
        wrong = server.ask("/translate", {**ASK, "api_key": "no"})
        assert wrong[:2] == (403, {"error": "Invalid API key"})
        assert server.ask("/translate", {**ASK, "api_key": "k"})[0] == 200
        bearer = {"Authorization": "Bearer k"}
        assert server.ask("/v1/translate", {"texts": ["the cat"]}, headers=bearer)[0] == 200
        assert server.ask("/translate", {**ASK, "api_key": "slow"})[0] == 200
        status, answer, headers = server.ask("/translate", {**ASK, "api_key": "slow"})
        assert (status, answer) == (429, {"error": "Slowdown: 1 per 1 minute"})
        assert 0 < int(headers["Retry-After"]) <= 60
        for q, size in ((["a"] * 3, "3 texts"), ("a" * 41, "41 characters")):
            status, answer, _ = server.ask("/translate", {**ASK, "q": q, "api_key": "k"})
            assert (status, size in answer["error"]) == (400, True)
        assert server.ask("/languages")[0] == 200
        assert server.ask("/frontend/settings")[1]["keyRequired"]
        _, spec, _ = server.ask("/spec")
        assert spec["paths"]["/translate"]["post"]["security"] == [{"key": []}]
        for path, statuses in (("/detect", {"403", "429"}), ("/v1/translate", {"403"})):
            assert statuses <= set(spec["paths"][path]["post"]["responses"])


def test_an_open_address_needs_a_key_or_consent(shell, exports, monkeypatch):
    monkeypatch.delenv("SEQ2SEQ_API_KEYS", raising=False)
    said = shell("serve", f"en-fr={exports['en-fr']}", "--host", "0.0.0.0", "--port", "0")
    assert said.code == 2
    assert said.err.startswith("error: other machines can reach 0.0.0.0: give API keys")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is neither a model folder nor an export"),
        (["a={m}", "--timeout", "nan"], "--timeout nan: give a number of seconds"),
        (["a={m}", "--timeout", "inf"], "inf is not in the range"),
        (["=x"], "the name of the model is empty"),
        (["a={m}", "a={m}"], "two models have the name 'a'"),
        (["a={m}", "--port", "99999"], "99999 is not in the range"),
        (["a={m}", "--host", "999.1.1.1", "--no-key"], "cannot listen on 999.1.1.1"),
        (["a={m}", "--keys", "missing.toml"], "missing.toml"),
        (["a={m}", "--device", "cuda", "--port", "0"], "is an export, which runs on the CPU"),
    ],
)
def test_a_wrong_command_is_explained(shell, exports, arguments, message):
    given = [argument.format(m=exports["en-fr"]) for argument in arguments]
    said = shell("serve", *given)
    assert said.code == 2
    assert message in said.err


def test_keys_without_clients_are_not_required():
    assert not Keys().are_required
