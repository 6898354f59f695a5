"""The parts that the server's interfaces share: models, limits, translation and detection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from seq2seq.decoding.options import MinimumRiskOptions, PlainSearch, search_options
from seq2seq.decoding.results import LineResult
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.serve.access import Client, Keys, RateLimiter
from seq2seq.serve.catalogue import Catalogue, ServedModel
from seq2seq.serve.detection import LanguageDetector
from seq2seq.serve.dispatcher import Dispatcher
from seq2seq.serve.operations import Operation
from seq2seq.serve.requests import ApiError, answer_unless_gone

MOST_ALTERNATIVES = 10


@dataclass(frozen=True)
class ServerSettings:
    """The settings of a server.

    beam: the beam size of requests that do not set one.
    timeout: seconds in which an answer must be finished.
    patience: seconds in which a request body must arrive.
    log_texts: whether the log contains the texts of requests.
    """

    beam: int = 5
    timeout: float = 120.0
    patience: float = 30.0
    log_texts: bool = False


@dataclass
class Service:
    """The models and the workers of a server, its API keys, and its limits."""

    catalogue: Catalogue
    dispatcher: Dispatcher
    keys: Keys = field(default_factory=Keys)
    settings: ServerSettings = field(default_factory=ServerSettings)
    detector: LanguageDetector = field(default_factory=LanguageDetector)
    limiter: RateLimiter = field(default_factory=RateLimiter)

    def admit(self, request: Request, key: object = None, *, without_key: int = 403) -> Client:
        """Check the API key of a request, and count the request. Return the client.

        key: the API key in the body or the query string, if any. Otherwise, the header
            `Authorization: Bearer KEY` holds the key.
        without_key: the HTTP status of the error if a required key is missing.

        Raises ApiError if a required key is missing or wrong, or after too many requests.
        """
        if not isinstance(key, str | None):
            raise ApiError(400, "Invalid request: api_key must be a text")
        host = request.client.host if request.client else "unknown"
        client = Client(host, self.keys.limits)
        if self.keys.are_required:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            given = key or (token.strip() if scheme.lower() == "bearer" else "")
            if not given:
                text = "Please contact the server operator to get an API key"
                raise ApiError(without_key, text)
            found = self.keys.find(given)
            if found is None:
                raise ApiError(403, "Invalid API key")
            client = found
        if wait := self.limiter.wait_time(client):
            text = f"Slowdown: {client.limits.requests} per 1 minute"
            raise ApiError(429, text, {"Retry-After": str(wait)})
        request.state.client_name = client.name
        return client

    def require_size(self, request: Request, client: Client, texts: Sequence[str]) -> None:
        """Raise ApiError if a request has too many texts or characters."""
        characters = sum(map(len, texts))
        request.state.size = len(texts), characters
        if self.settings.log_texts:
            request.state.texts = list(texts)
        for size, limit, unit in (
            (len(texts), client.limits.texts, "texts"),
            (characters, client.limits.characters, "characters"),
        ):
            if limit and size > limit:
                raise ApiError(
                    400,
                    f"Invalid request: request ({size} {unit}) exceeds text limit ({limit})",
                )

    async def answer(self, request: Request, work: Any) -> Any:
        """Return the result of `work`. Cancel it if the client disconnects or time runs out."""
        return await answer_unless_gone(request, work, self.settings.timeout)

    def search(self, n_best: int = 1) -> PlainSearch:
        """Return the search options of requests that set none."""
        return plain_search(beam=max(self.settings.beam, n_best), n_best=n_best)

    async def translate(
        self,
        models: Sequence[ServedModel],
        lines: Sequence[str],
        search: PlainSearch,
        source: SourceOptions | None = None,
        *,
        align: bool = False,
    ) -> list[LineResult]:
        """Translate lines with a model, or with two models one after the other.

        models: one model, or two. The second one translates the best outputs of the first.
        """
        source = source or SourceOptions()
        for model in models[:-1]:
            step = Operation(model.name, "translate", self.search(), source)
            lines = [result.best.text for result in await self.dispatcher.run(step, lines)]
        last = models[-1]
        operation = Operation(last.name, "translate", search, source, align=align and last.attends)
        results: list[LineResult] = await self.dispatcher.run(operation, lines)
        return results

    def require_route(self, source: str, target: str) -> tuple[ServedModel, ...]:
        """Return the models from one language to another.

        The route is empty if both are the same. Raises ApiError for a language that is not served,
        and if no models connect the two languages.
        """
        codes = []
        for code in (source, target):
            known = self.catalogue.find_language(code)
            if known is None:
                raise ApiError(400, f"{code} is not supported")
            codes.append(known)
        route = self.catalogue.route(codes[0], codes[1])
        if not route and codes[0] != codes[1]:
            raise ApiError(400, f"{codes[1]} is not available as a target language from {codes[0]}")
        return route

    def possible_sources(self, target: str) -> list[str]:
        """Return the languages that a text can have if it is to be translated into `target`.

        They include the target language. Raises ApiError if no model translates into it.
        """
        to = self.catalogue.find_language(target)
        if to is None:
            raise ApiError(400, f"{target} is not supported")
        codes = [code for code in self.catalogue.sources if self.catalogue.route(code, to)]
        if not codes:
            raise ApiError(400, f"no model translates into {target}")
        return list(dict.fromkeys([*codes, to]))

    async def detect(self, text: str, codes: Sequence[str]) -> list[dict[str, Any]]:
        """Detect the language of a text. Return `codes`, the most likely one first.

        Each code has a confidence in percent.
        """
        if len(text) > 200:
            ranked = await asyncio.to_thread(self.detector.rank, text, codes)
        else:
            ranked = self.detector.rank(text, codes)
        return [{"confidence": round(100 * share, 1), "language": code} for code, share in ranked]


def plain_search(**options: Any) -> PlainSearch:
    """Return the search options of a request.

    options: the arguments of `search_options`, except `mbr`.
    """
    search = search_options(**options)
    assert not isinstance(search, MinimumRiskOptions)
    return search
