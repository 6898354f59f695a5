"""A server under load, in processes of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Self

_GONE = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def start_command(arguments: list[Any], **pipes: Any) -> subprocess.Popen[bytes]:
    """Start `seq2seq` with these arguments. It may use one thread."""
    return subprocess.Popen(
        [sys.executable, "-m", "seq2seq", *map(str, arguments)],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_heed_hangups,
        **pipes,
    )


def _heed_hangups() -> None:
    """Undo what nohup does, which may have started the trials."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Server:
    """The process of `seq2seq serve` with one worker process. The block kills it at its end."""

    def __init__(self, model: Path, *, log: bool = False) -> None:
        """Start the server. log: leave its log in the pipe, for a test that reads the log."""
        arguments = ["serve", f"en-fr={model}", "--port", 0, "--jobs", 1]
        self.process = start_command(arguments, stdout=subprocess.DEVNULL)
        assert self.process.stderr is not None
        self.err = ""
        while "listening on" not in self.err:
            line = self.process.stderr.readline().decode()
            assert line, self.err
            self.err += line
        self.url = self.err.split()[-1]
        if not log:  # a full pipe would stop the server
            threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    def workers(self) -> list[int]:
        """The worker processes, which any thread of the server may have started."""
        lists = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for children in lists for pid in children.read_text().split()]
        return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def ask(self, text: str | list[str]) -> Any:
        """Return the translation of a text or of each text. Without answer, raise one of _GONE."""
        body = json.dumps({"q": text, "source": "en", "target": "fr"}).encode()
        head = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/translate", body, head), timeout=60
        ) as answer:
            return json.loads(answer.read())["translatedText"]


class Load:
    """Threads that send texts to a server until `stop` is called or the server is gone.

    counts: how many requests ended as "right", "wrong", "lost" (no answer) or an HTTP status.
    """

    def __init__(self, server: Server, expected: dict[str, str], threads: int = 4) -> None:
        self.server, self.expected = server, expected
        self.counts: Counter[str] = Counter()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._ending.is_set():
            for text, wanted in self.expected.items():
                try:
                    self.counts["right" if self.server.ask(text) == wanted else "wrong"] += 1
                except urllib.error.HTTPError as error:
                    self.counts[str(error.code)] += 1
                except _GONE:
                    self.counts["lost"] += 1
                    return
                except ValueError:  # an answer that is cut off
                    self.counts["wrong"] += 1

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "a request got neither an answer nor an error"
