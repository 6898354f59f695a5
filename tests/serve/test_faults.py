"""What goes wrong around a server: workers die, clients leave, bodies are hostile."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from unittest import mock

import pytest

import seq2seq
from seq2seq.serve.access import Keys, UseLimits
from seq2seq.serve.keeper import Keeper

ASK = {"q": "the red cat runs", "source": "en", "target": "fr"}
LONG = "\n".join(["the red cat runs here", "the old dog eats now"] * 400)


@pytest.fixture(scope="module")
def translator(exports):
    return seq2seq.Translator.load(exports["en-fr"])


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list]:
    found: list = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    return thread, found


def test_a_killed_worker_is_replaced_and_its_lines_are_done_again(exports, serve, translator):
    with serve({"en-fr": exports["en-fr"]}) as server:
        dispatcher = server.service.dispatcher
        (pid,) = dispatcher.worker_pids
        deaths: list[int] = []
        dispatcher.count_death = lambda: deaths.append(pid)
        thread, found = in_background(lambda: server.ask("/translate", {**ASK, "q": LONG}))
        wait_for(lambda: bool(dispatcher.schedule.running))
        os.kill(pid, signal.SIGKILL)
        short = server.ask("/translate", ASK)
        thread.join(60)
        assert found[0][0] == short[0] == 200
        expected = translator.translate(LONG.split("\n"))
        assert found[0][1]["translatedText"].split("\n") == expected
        assert dispatcher.worker_pids != [pid]
        assert deaths == [pid]


def test_a_worker_that_is_just_starting_can_be_stopped(exports, monkeypatch):
    start, errors = multiprocessing.context.SpawnProcess.start, []
    entered, closing = threading.Event(), threading.Event()

    def begin(process):
        entered.set()
        assert closing.wait(60)
        start(process)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", begin)
    monkeypatch.setattr(threading, "excepthook", errors.append)
    models = {"en-fr": [exports["en-fr"]]}
    keeper = Keeper(None, lambda *_: None, models, {"threads": 1})
    keeper.start()
    assert entered.wait(60)
    stopping, _ = in_background(keeper.close)
    wait_for(lambda: keeper.is_closing)
    closing.set()
    stopping.join(60)
    assert not errors
    assert not keeper.process.is_alive()


def test_a_worker_that_cannot_be_replaced_at_once_is_replaced_later(
    exports, serve, tmp_path, caplog
):
    folder = shutil.copytree(exports["en-fr"], tmp_path / "export")
    with serve({"en-fr": folder}) as server:
        (pid,) = server.service.dispatcher.worker_pids
        folder.rename(tmp_path / "away")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: "no new worker process" in caplog.text)
        (tmp_path / "away").rename(folder)
        assert server.ask("/translate", ASK)[0] == 200


def test_a_worker_that_cannot_start_is_reported(exports, monkeypatch):
    def full(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", full)
    errors: list[Exception] = []
    office = mock.Mock()
    models = {"en-fr": [exports["en-fr"]]}
    keeper = Keeper(office, lambda _, error: errors.append(error), models, {"threads": 1})
    keeper.start()
    wait_for(lambda: bool(errors))
    assert str(errors[0]).startswith("a worker process cannot be started (Too many open files)")
    keeper.close()


def test_a_text_that_kills_workers_gets_an_error_and_spares_the_others(exports, serve):
    with serve({"en-fr": exports["en-fr"]}) as server:
        dispatcher = server.service.dispatcher
        thread, found = in_background(lambda: server.ask("/translate", {**ASK, "q": LONG}))
        for _ in range(3):
            wait_for(lambda: bool(dispatcher.schedule.running) and bool(dispatcher.worker_pids))
            for pid in dispatcher.worker_pids:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not dispatcher.worker_pids)
        thread.join(60)
        assert found[0][:2] == (
            500,
            {"error": "the worker died over this text: send a shorter text"},
        )
        assert server.ask("/translate", ASK)[0] == 200


def post(path: str, body: bytes, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n{more}\r\n".encode() + body


def test_the_texts_of_a_client_that_leaves_are_dropped(exports, serve):
    with serve({"en-fr": exports["en-fr"]}) as server:
        dispatcher = server.service.dispatcher
        with server.connect() as connection:
            body = {"text": LONG, "source": "en", "target": "fr", "beam": 16}
            connection.sendall(post("/v1/translate/stream", json.dumps(body).encode()))
            wait_for(lambda: sum(dispatcher.waiting) > 0)
        wait_for(lambda: sum(dispatcher.waiting) == 0 and not dispatcher.schedule.running)
        with server.connect() as connection:
            body = {**ASK, "q": [LONG] * 2, "alternatives": 10}
            connection.sendall(post("/translate", json.dumps(body).encode()))
            wait_for(lambda: sum(dispatcher.waiting) > 0)
        wait_for(lambda: sum(dispatcher.waiting) == 0 and not dispatcher.schedule.running)
        assert server.ask("/translate", ASK)[0] == 200


def test_a_language_model_stops_when_its_reader_leaves(exports, serve):
    with serve({"lm": exports["lm"]}) as server:
        with server.connect() as connection:
            body = json.dumps({"stream": True, "max_length": 400}).encode()
            connection.sendall(post("/v1/generate", body))
            assert b"text/event-stream" in connection.recv(1000)
        wait_for(lambda: not server.service.dispatcher.schedule.running)
        assert server.ask("/v1/generate", {"max_length": 5})[0] == 200


def test_an_answer_that_takes_too_long_is_given_up(exports, serve):
    with serve({"en-fr": exports["en-fr"]}, timeout=0.1) as server:
        status, answer, headers = server.ask("/translate", {**ASK, "q": LONG})
        assert (status, headers["Retry-After"]) == (503, "1")
        assert answer == {"error": "the answer took longer than 0.1 s: send less text"}
        assert sum(server.service.dispatcher.waiting) == 0


def test_a_full_queue_refuses_at_once(exports, serve):
    with serve({"en-fr": exports["en-fr"]}, most_waiting=100) as server:
        dispatcher = server.service.dispatcher
        thread, found = in_background(lambda: server.ask("/translate", {**ASK, "q": LONG}))
        wait_for(lambda: dispatcher.waiting[1] > 100)
        status, answer, headers = server.ask("/translate", ASK)
        assert status == 429
        assert answer["error"].startswith("Slowdown: the server is busy")
        assert int(headers["Retry-After"]) >= 1
        thread.join(60)
        assert found[0][0] == 200


def test_an_error_in_a_batch_reaches_only_its_request(exports, serve):
    """An unknown label fails its own request, even if it shares a batch with others."""
    with serve({"write": exports["write"]}) as server:
        asked = [{"given": given, "max_length": 5} for given in ("A", "Z", "B")] * 3
        work = [in_background(lambda b=body: server.ask("/v1/generate", b)) for body in asked]
        for thread, _ in work:
            thread.join(60)
        assert [found[0][0] for _, found in work] == [200, 400, 200] * 3


def test_a_large_body_is_refused(server):
    status, answer, _ = server.ask("/translate", {**ASK, "q": "x" * 10_000_000})
    assert status == 413
    assert answer["error"].startswith("the request body is larger than 2,400,000 bytes")
    assert server.ask("/translate", ASK)[0] == 200


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/", "X: y\r\n" * 20_000),
        ("/", f"X: {'y' * 70_000}\r\n"),
        ("/", f"X: {'y' * 200_000}"),
        (f"/translate?q={'y' * 70_000}", ""),
    ],
    ids=["many", "long", "without an end", "URL"],
)
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_large_headers_are_refused(server, url, headers, size):
    """Also if they arrive in many packets, and after another request."""
    request = f"POST {url} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode()
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        answer = b""
        try:
            for start in range(0, len(request), size):
                connection.sendall(request[start : start + size])
                time.sleep(0.0005)
        except ConnectionError:
            pass
        with contextlib.suppress(ConnectionError):  # the answer may be lost
            answer = connection.recv(1000)
        assert not answer or answer.startswith(b"HTTP/1.1 431")
        assert not answer or b'{"error":"the URL and the headers are larger than' in answer


def test_headers_of_a_common_size_are_read(server):
    headers = {"Authorization": "Bearer " + "k" * 30_000, "Cookie": "c" * 30_000}
    for _ in range(3):
        assert server.ask("/translate", ASK, headers=headers)[0] == 200


def test_a_text_of_a_million_characters_is_refused(server):
    status, answer, _ = server.ask("/translate", {**ASK, "q": "the cat " * 125_000})
    assert (status, "exceeds text limit (200000)" in answer["error"]) == (400, True)


def test_a_line_of_many_tokens_is_translated_in_parts(server, translator):
    line = "the red cat runs here " * 100
    (expected,) = translator.translate([line.strip()])
    answer = server.ask("/translate", {**ASK, "q": line.strip()})
    assert answer[:2] == (200, {"translatedText": expected})


def test_too_many_lines_are_refused(exports, serve):
    with serve({"en-fr": exports["en-fr"]}, keys=Keys(UseLimits(texts=2))) as server:
        for q, kind in (("a\n" * 11, "text"), ("<p>a</p>" * 11, "html")):
            status, answer, _ = server.ask("/translate", {**ASK, "q": q, "format": kind})
            assert (status, "10" in answer["error"]) == (400, True)


def test_a_slow_sender_is_cut_off_and_others_are_served(exports, serve):
    with serve({"en-fr": exports["en-fr"]}, patience=0.3) as server:
        idle = [server.connect() for _ in range(100)]
        with server.connect() as slow:
            slow.sendall(post("/translate", b"x" * 1000)[:-500])
            assert server.ask("/translate", ASK)[0] == 200
            answer = slow.recv(1000)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"did not arrive within 0.3 s" in answer
        for connection in idle:
            connection.close()


def test_many_at_once_get_the_answers_of_one(server, translator, toy):
    """Promise 2: an answer does not depend on other requests."""
    lines = toy.lines("test.en")
    expected = dict(zip(lines, translator.translate(lines), strict=True))
    wrong: list = []

    def ask(number: int) -> None:
        for line in lines[number::8]:
            size = 1 + number % 3
            _, answer, _ = server.ask("/translate", {**ASK, "q": [line] * size})
            if answer["translatedText"] != [expected[line]] * size:
                wrong.append((line, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


_CODE = "from seq2seq.cli import main; main()"


def test_sigterm_finishes_what_has_arrived(exports):
    """The real command: it starts without PyTorch, answers what it has, and exits with code 0."""
    report = "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules))"
    command = [sys.executable, "-c", f"{report}; {_CODE}", "serve", f"en-fr={exports['en-fr']}"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    address = process.stderr.readline().split()[-1]
    port = int(address.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/health", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert connection.getresponse().status == 200
    connection.close()
    script = (
        "import sys, json, urllib.request as u;"
        "r = u.Request(sys.argv[1] + '/translate', sys.stdin.buffer.read(),"
        " {'Content-Type': 'application/json'});"
        "print(len(json.load(u.urlopen(r))['translatedText'].split('\\n')))"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", script, f"http://127.0.0.1:{port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    client.stdin.write(json.dumps({**ASK, "q": LONG}))
    client.stdin.close()
    client.stdin = None

    def has_work() -> bool:
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return b"seq2seq_requests_in_flight 2.0" in answer.read()

    wait_for(has_work)
    process.send_signal(signal.SIGTERM)
    assert client.communicate(timeout=60)[0] == f"{LONG.count(chr(10)) + 1}\n"
    out, log = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "False\n")
    rows = [json.loads(line) for line in log.splitlines()]
    assert "/translate" in [row.get("path") for row in rows]  # the last line is not lost
    assert "pgrade" not in log
