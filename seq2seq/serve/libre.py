"""HTTP handlers that are compatible with LibreTranslate's interface."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seq2seq.serve.access import Client
from seq2seq.serve.catalogue import AUTO, ServedModel
from seq2seq.serve.language_names import language_name
from seq2seq.serve.layout import TextLayout
from seq2seq.serve.markup import Markup
from seq2seq.serve.requests import ApiError, read_fields
from seq2seq.serve.service import MOST_ALTERNATIVES, Service
from seq2seq.text.languages import uses_spaces

_SURE = 40  # characters; the language of a shorter text is that of all texts of the request
_FORMATS = ("text", "html")


class LibreTranslate:
    """The HTTP handlers for the paths of LibreTranslate's interface."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def translate(self, request: Request) -> Response:
        """Translate one text or several texts (`POST /translate`)."""
        service = self.service
        fields, client = await self._read(request)
        texts, many = _read_texts(fields)
        source, target = (_read_name(fields, name) for name in ("source", "target"))
        count = _read_alternatives(fields.get("alternatives"))
        kind = fields.get("format")
        if kind in ("", None):
            kind = "text"
        if not isinstance(kind, str):
            raise ApiError(400, "Invalid request: format must be text or html")
        if kind not in _FORMATS:
            raise ApiError(400, f"{kind} format is not supported")
        service.require_size(request, client, texts)
        detected = None
        if source == AUTO:
            detected = await self._detect_all(texts, target)
        codes = [one["language"] for one in detected] if detected else [source] * len(texts)
        routes = {code: service.require_route(code, target) for code in codes}
        work = self._translate_all(texts, codes, routes, kind, count, client.limits.lines)
        found = await service.answer(request, work)
        answer: dict[str, Any] = {"translatedText": [best for best, *_ in found]}
        if detected:
            answer["detectedLanguage"] = detected
        if count:
            answer["alternatives"] = [others for _, *others in found]
        if not many:
            answer = {name: values[0] for name, values in answer.items()}
        if pivots := {code: route[0].languages for code, route in routes.items() if route[1:]}:
            answer["pivot"] = ", ".join(dict.fromkeys(pair[1] for pair in pivots.values() if pair))
        return JSONResponse(answer)

    async def detect(self, request: Request) -> Response:
        """Detect the language of a text (`POST /detect`)."""
        service = self.service
        fields, client = await self._read(request)
        texts, _ = _read_texts(fields)
        service.require_size(request, client, texts)
        codes = [str(entry["code"]) for entry in service.catalogue.list_languages()]
        if not codes:
            raise ApiError(400, "this server has no model that translates between languages")
        return JSONResponse(await service.detect(" ".join(texts), codes))

    async def languages(self, request: Request) -> Response:
        """List the languages and their targets (`GET /languages`)."""
        return JSONResponse(self.service.catalogue.list_languages())

    async def frontend_settings(self, request: Request) -> Response:
        """Return the settings that LibreTranslate's web page needs (`GET /frontend/settings`)."""
        limits, catalogue = self.service.keys.limits, self.service.catalogue
        first = next(iter(catalogue.pairs), ("", ""))
        source, target = ({"code": code, "name": language_name(code)} for code in first)
        return JSONResponse(
            {
                "charLimit": limits.characters or -1,
                "frontendTimeout": 500,
                "apiKeys": self.service.keys.are_required,
                "keyRequired": self.service.keys.are_required,
                "suggestions": False,
                "filesTranslation": False,
                "supportedFilesFormat": [],
                "language": {"source": source, "target": target},
            }
        )

    async def suggest(self, request: Request) -> Response:
        """Answer that this server accepts no suggested translations (`POST /suggest`)."""
        raise ApiError(403, "Suggestions are disabled on this server.")

    async def translate_file(self, request: Request) -> Response:
        """Answer that this server does not translate files (`POST /translate_file`)."""
        raise ApiError(403, "Files translation are disabled on this server.")

    async def _read(self, request: Request) -> tuple[dict[str, Any], Client]:
        service = self.service
        fields = await read_fields(request, service.keys.limits.body, service.settings.patience)
        # LibreTranslate returns the status 400 if a key is missing, and 403 if a key is wrong.
        return fields, service.admit(request, fields.get("api_key"), without_key=400)

    async def _detect_all(self, texts: Sequence[str], target: str) -> list[dict[str, Any]]:
        codes = self.service.possible_sources(target)
        whole = (await self.service.detect(" ".join(texts), codes))[0]
        return [
            (await self.service.detect(text, codes))[0] if len(text) > _SURE else whole
            for text in texts
        ]

    async def _translate_all(
        self,
        texts: Sequence[str],
        codes: Sequence[str],
        routes: Mapping[str, Sequence[ServedModel]],
        kind: str,
        alternatives: int,
        most: int,
    ) -> list[list[str]]:
        """Translate texts. Return a list of different translations of each text, best first.

        codes: the source language of each text.
        routes: the models for each source language.
        most: the largest number of lines that the texts of one language may have.
        """
        found: list[list[str]] = [[text] for text in texts]
        groups = {code: [i for i, one in enumerate(codes) if one == code] for code in routes}
        work = [
            self._translate_group([texts[i] for i in groups[code]], route, kind, alternatives, most)
            for code, route in routes.items()
            if route
        ]
        done = await _gather(work)
        for code, translated in zip([code for code in routes if routes[code]], done, strict=True):
            for i, ranked in zip(groups[code], translated, strict=True):
                found[i] = ranked
        return found

    async def _translate_group(
        self,
        texts: Sequence[str],
        route: Sequence[ServedModel],
        kind: str,
        alternatives: int,
        most: int,
    ) -> list[list[str]]:
        is_markup = kind == "html"
        layouts: Sequence[Markup | TextLayout]
        if is_markup:
            layouts = await asyncio.to_thread(_parse_markup, texts, route, most)
        else:
            layouts = [TextLayout.parse(text) for text in texts]
        lines = [line for layout in layouts for line in layout.lines]
        if most and len(lines) > most:
            raise ApiError(
                400, f"Invalid request: request ({len(lines)} lines) exceeds limit ({most})"
            )
        n_best = 1 if is_markup else alternatives + 1
        search = self.service.search(n_best)
        align = is_markup and len(route) == 1
        results = iter(await self.service.translate(route, lines, search, align=align))
        found = []
        for layout in layouts:
            own = [next(results) for _ in layout.lines]
            most = max((len(result.translations) for result in own), default=1)
            found.append(list(dict.fromkeys(layout.compose(own, rank) for rank in range(most))))
        return found


def _parse_markup(texts: Sequence[str], route: Sequence[ServedModel], most: int) -> list[Markup]:
    codes = (route[0].config.data.source, route[-1].config.data.target)
    spaced = (uses_spaces(codes[0]), uses_spaces(codes[1]))
    return [Markup(text, most=most, spaced=spaced) for text in texts]


async def _gather(work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Return the results of coroutines. If one of them fails, cancel the others."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _read_texts(fields: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the texts of a request, and whether they came as an array."""
    q = fields.get("q")
    if not q:
        raise ApiError(400, "Invalid request: missing q parameter")
    many = isinstance(q, list)
    texts: list[Any] = q if isinstance(q, list) else [q]
    if not all(isinstance(text, str) for text in texts):
        raise ApiError(400, "Invalid request: q must be a text or an array of texts")
    return texts, many


def _read_name(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise ApiError(400, f"Invalid request: missing {name} parameter")
    if not isinstance(value, str):
        raise ApiError(400, f"Invalid request: {name} must be a language code")
    return value


def _read_alternatives(value: Any) -> int:
    wrong = ApiError(400, "Invalid request: alternatives parameter is not a number")
    if value is None:
        return 0
    if isinstance(value, bool | list | dict) or (isinstance(value, float) and value % 1):
        raise wrong
    try:
        count = int(value)
    except (ValueError, OverflowError):
        raise wrong from None
    if count > MOST_ALTERNATIVES:
        raise ApiError(
            400, f"Invalid request: alternatives parameter must be <= {MOST_ALTERNATIVES}"
        )
    return max(0, count)
