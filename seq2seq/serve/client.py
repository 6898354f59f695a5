"""A typed client for the interface of a server under /v1. It needs pydantic.

>>> from seq2seq.serve.client import ServerClient
>>> with ServerClient("http://127.0.0.1:5000") as client:
...     client.translate(["Our sister left because she was tired."], source="en", target="fr")
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from seq2seq.serve.schemas import LineAnswer, TranslateAnswer
from seq2seq.serve.task_schemas import (
    ClassifyAnswer,
    GenerateAnswer,
    ModelsAnswer,
    PerplexityAnswer,
    ScoreAnswer,
    TagAnswer,
)

Reply = TypeVar("Reply", bound=BaseModel)


class ServerError(Exception):
    """An error that the server sent as its answer.

    status: the HTTP status. text: the message of the server.
    retry_after: the number of seconds to wait before the next try, or None.
    """

    def __init__(self, status: int, text: str, retry_after: int | None) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text, self.retry_after = status, text, retry_after


class ServerClient:
    """A connection to a server, which is opened again if the server has closed it.

    A client is for one thread at a time.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 120.0) -> None:
        """Prepare a connection.

        url: the address of the server, such as http://127.0.0.1:5000.
        key: the API key, if the server needs one.
        timeout: seconds to wait for an answer.
        """
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.netloc, timeout=timeout)
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def models(self) -> ModelsAnswer:
        """Return the models and the pairs of languages of the server."""
        response = self._send("GET", "/v1/models", None)
        return ModelsAnswer.model_validate_json(response.read())

    def translate(self, texts: Sequence[str], **options: Any) -> TranslateAnswer:
        """Translate texts. options: the other fields of `TranslateRequest`, such as `target`."""
        return self._post("/v1/translate", {"texts": texts, **options}, TranslateAnswer)

    def stream(self, text: str, **options: Any) -> Iterator[LineAnswer]:
        """Translate a text, and yield the translation of each line as soon as it is finished.

        options: the other fields of `StreamRequest`.
        """
        for event, value in self._events("/v1/translate/stream", {"text": text, **options}):
            if event == "line":
                yield LineAnswer.model_validate(value)

    def score(self, pairs: Sequence[tuple[str, str]], **options: Any) -> ScoreAnswer:
        """Score pairs of a source and its translation. options: the fields of `ScoreRequest`."""
        both = [{"source": source, "target": target} for source, target in pairs]
        return self._post("/v1/score", {"pairs": both, **options}, ScoreAnswer)

    def tag(self, texts: Sequence[str], **options: Any) -> TagAnswer:
        """Tag the words of texts. options: the other fields of `LabelRequest`."""
        return self._post("/v1/tag", {"texts": texts, **options}, TagAnswer)

    def classify(self, texts: Sequence[str], **options: Any) -> ClassifyAnswer:
        """Classify texts. options: the other fields of `LabelRequest`."""
        return self._post("/v1/classify", {"texts": texts, **options}, ClassifyAnswer)

    def generate(self, **options: Any) -> GenerateAnswer:
        """Generate texts. options: the fields of `GenerateRequest`, except `stream`."""
        return self._post("/v1/generate", options, GenerateAnswer)

    def generate_pieces(self, **options: Any) -> Iterator[str]:
        """Yield a text of a language model piece by piece. options: as for `generate`."""
        for event, value in self._events("/v1/generate", {"stream": True, **options}):
            if event == "piece":
                yield value["text"]

    def perplexity(self, text: str, **options: Any) -> PerplexityAnswer:
        """Measure the perplexity of a text. options: the other fields of `PerplexityRequest`."""
        return self._post("/v1/perplexity", {"text": text, **options}, PerplexityAnswer)

    def _post(self, path: str, body: Mapping[str, Any], kind: type[Reply]) -> Reply:
        return kind.model_validate_json(self._send("POST", path, body).read())

    def _events(
        self, path: str, body: Mapping[str, Any]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        response = self._send("POST", path, body)
        try:
            event = ""
            for line in response:
                name, _, value = line.decode("utf-8").rstrip("\n").partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    content = json.loads(value)
                    if event == "error":
                        raise ServerError(500, content["error"], None)
                    yield event, content
        finally:
            if not response.isclosed():  # the caller has left the loop
                self.close()

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body).encode("utf-8")
        try:
            self._connection.request(method, self._path + path, content, self._headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()  # the server has closed an idle connection
            self._connection.request(method, self._path + path, content, self._headers)
            response = self._connection.getresponse()
        if response.status != 200:
            text = response.read().decode("utf-8", "replace")
            retry = response.getheader("Retry-After")
            with contextlib.suppress(ValueError, KeyError, TypeError):
                text = json.loads(text)["error"]
            raise ServerError(response.status, text, int(retry) if retry else None)
        return response
