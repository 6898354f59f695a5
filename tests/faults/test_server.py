"""A server that is attacked or left alone still answers others."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_limits import WHOLE, record
from hostile_requests import HOSTILE, as_json

import seq2seq

pytest.importorskip("starlette")

TEXT = "the red cat runs"
_SPARE = 500  # file descriptors for everything but the idle connections


@dataclass
class Server:
    port: int
    process: subprocess.Popen[str]
    expected: str

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def ask(self, path: str, body: Any = None) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def serves(self) -> bool:
        """Whether a short request gets the right answer."""
        status, text = self.ask("/translate", {"q": TEXT, "source": "en", "target": "fr"})
        return (status, json.loads(text)) == (200, {"translatedText": self.expected})

    def send(self, request: bytes, *, is_whole: bool) -> tuple[int, str]:
        """Send bytes as they are. Return status and body; 0 if the connection ends without them.

        is_whole: whether the connection stays open, because a client that closes it has left.
        """
        with self.connect() as connection, contextlib.suppress(OSError, http.client.HTTPException):
            with contextlib.suppress(ConnectionError):  # the server may answer before the end
                connection.sendall(request)
                if not is_whole:
                    connection.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.read().decode()
        return 0, ""


@contextlib.contextmanager
def running(export: Path, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "seq2seq", "serve", f"en-fr={export}", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--jobs", "1", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        port = int(process.stderr.readline().rpartition(":")[2])
        log: list[str] = []
        thread = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
        thread.start()
        yield Server(port, process, seq2seq.load(export).translate([TEXT])[0])
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
    thread.join(60)
    for line in log:  # whatever the clients sent
        assert isinstance(json.loads(line), dict)


@pytest.fixture(scope="module")
def server(subjects: dict[str, Path]) -> Iterator[Server]:
    with running(subjects["export"]) as found:
        yield found


@pytest.fixture(scope="module")
def survivals() -> Iterator[list[bool]]:
    found: list[bool] = []
    yield found
    record("hostile requests of the list", len(found), sum(found))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_gets_an_error_and_others_are_served(server, survivals, name):
    make, allowed = HOSTILE[name]
    status, text = server.send(make(), is_whole=0 not in allowed)
    explained = status in (0, 200) or text.startswith(("Invalid HTTP", '{"error":"'))
    survived = status in allowed and explained and server.serves()
    survivals.append(survived)
    assert survived, (status, text[:500])


def test_idle_and_slow_connections_leave_room_for_others(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000 if WHOLE else 2_000, hard - _SPARE)
    if count < 1000:
        pytest.skip(f"the system allows only {hard} open files (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    starts = [b"", b"POST /translate HTTP/1.1\r\nHost:", as_json("the cat")[:-5]]
    idle = []
    try:
        for number in range(count):
            idle.append(server.connect())
            idle[-1].sendall(starts[number % len(starts)])
        assert all(server.serves() for _ in range(20))
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    record("idle and slow connections at once", count, len(idle))
    assert server.serves()


def test_clients_that_leave_take_their_texts_along(server):
    count = 1000 if WHOLE else 100
    for number in range(count):
        with server.connect() as connection:
            connection.sendall(as_json([TEXT] * (1 + number % 50)))
    assert server.serves()
    deadline = time.monotonic() + 120
    while "seq2seq_requests_in_flight 1.0" not in server.ask("/metrics")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    record("clients that leave before the answer", count, count)


@pytest.mark.skipif(not WHOLE, reason="make faults translates a million characters")
def test_a_million_characters_do_not_hold_up_others(subjects):
    with running(subjects["export"], "--max-characters", "0", "--timeout", "90") as server:
        body = {"q": "the cat " * 125_000, "source": "en", "target": "fr"}
        found: list[tuple[int, str]] = []
        thread = threading.Thread(target=lambda: found.append(server.ask("/translate", body)))
        thread.start()
        served = []
        while thread.is_alive():
            served.append(server.serves())
            time.sleep(0.1)
        record("short requests beside a million characters", len(served), sum(served))
        assert all(served)
        status, text = found[0]
        assert status == 200 or (status, "send less text" in text) == (503, True)
