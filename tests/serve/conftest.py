"""A running server with a model of every task, and what speaks to it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("starlette")

from seq2seq.config import toml
from seq2seq.export.writer import export_model
from seq2seq.models import folder
from seq2seq.models.folder import load_model
from seq2seq.serve.access import Keys, UseLimits
from seq2seq.serve.catalogue import Catalogue, describe_model
from seq2seq.serve.dispatcher import Dispatcher
from seq2seq.serve.metrics import ServerMetrics
from seq2seq.serve.run import run_server
from seq2seq.serve.service import ServerSettings, Service
from seq2seq.text.codec import Codec
from seq2seq.text.features import FeatureSet
from seq2seq.text.tokenizer import train_tokenizer

SETTINGS = {"device": "auto", "precision": "fp32", "threads": 1, "batch_size": 64}


@dataclass
class Running:
    """A server in a thread of the tests. Its workers are processes."""

    service: Service
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, Any]:
        """Send a request; return status, content and headers. A body of bytes is sent as it is."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, body, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                content, status, got = response.read(), response.status, response.headers
        except urllib.error.HTTPError as error:
            content, status, got = error.read(), error.code, error.headers
        is_json = got.get("Content-Type", "").startswith("application/json")
        return status, json.loads(content) if is_json else content.decode(), got

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


Serve = Callable[..., contextlib.AbstractContextManager[Running]]


@contextlib.contextmanager
def serving(
    models: dict[str, Path],
    *,
    jobs: int = 1,
    most_waiting: int = 20_000,
    keys: Keys | None = None,
    **settings: Any,
) -> Iterator[Running]:
    catalogue = Catalogue(describe_model(name, [path]) for name, path in models.items())
    metrics = ServerMetrics()
    dispatcher = Dispatcher(
        {name: [path] for name, path in models.items()},
        SETTINGS,
        jobs=jobs,
        most_waiting=most_waiting,
        observe=metrics.observe_batch,
    )
    service = Service(catalogue, dispatcher, keys or Keys(UseLimits()), ServerSettings(**settings))
    dispatcher.launch()
    up, found, failures = threading.Event(), [], []

    def run() -> None:
        def started(server: Any, port: int) -> None:
            found[:] = [server, port]
            up.set()

        try:
            run_server(service, metrics, host="127.0.0.1", port=0, started=started)
        except BaseException as error:
            failures.append(error)
        finally:
            up.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(60)
    if failures:
        raise failures[0]
    server, port = found
    try:
        yield Running(service, port)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture
def serve() -> Serve:
    return serving


def random_model(
    where: Path, task: str, source: str, target: str, *, features: str = "", **sections: object
) -> Path:
    """A model folder with random weights and no labels.

    features: what the features N and PL describe, "line" or "word"; "" for no features.
    """
    torch.manual_seed(1)
    small = {"embedding": 8, "hidden": 8}
    data = {"train": "nowhere", "source": source, "target": target}
    if features:
        data["features"] = "f"
        sections["features"] = {"per": features}
    config = toml.parse_config(
        {
            "task": task,
            "data": data,
            "tokenizer": {"kind": "char", "vocabulary": 60},
            "training": {"epochs": 1},
            "decoder": small,
            **sections,
        },
        "here",
    )
    one = train_tokenizer(["the red cat runs here", "a dog sleeps"], config.tokenizer)
    known = FeatureSet(["N", "PL"], config.features) if features else None
    codec = Codec(one, one, config.task, features=known)
    folder.save_model(where, folder.build_model(config, codec), "card\n")
    return where


@pytest.fixture(scope="session")
def exports(
    attending: Path, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """An export of each task. `en-fr` has learned the toy language; fr-de and the rest nothing."""
    where = tmp_path_factory.mktemp("served")
    encoder = {"encoder": {"embedding": 8, "hidden": 8}, "context": {"size": 8}}
    folders = {
        "en-fr": attending / "model",
        "fr-de": random_model(where / "fr-de.model", "translation", "fr", "de", **encoder),
        "inflect": random_model(
            where / "inflect.model", "translation", "lemma", "form", features="line", **encoder
        ),
        "words": random_model(
            where / "words.model", "translation", "lemma", "form", features="word", **encoder
        ),
        "lm": random_model(where / "lm.model", "language-model", "", "text"),
        **{name: models[name] for name in ("tag", "classify", "write", "colour")},
    }
    for name, path in folders.items():
        export_model(load_model(path), where / name, "int8")
    return {name: where / name for name in folders}


@pytest.fixture(scope="session")
def server(exports: dict[str, Path]) -> Iterator[Running]:
    """A server with all exports, which tests must not harm."""
    with serving(exports) as running:
        yield running
