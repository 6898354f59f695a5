"""Read the JSON bodies of requests under /v1, and send answers as server-sent events."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import StreamingResponse

from seq2seq.errors import did_you_mean
from seq2seq.serve.access import Client
from seq2seq.serve.requests import ApiError, parse_json, read_body
from seq2seq.serve.schemas import StreamEvent
from seq2seq.serve.service import Service

Body = TypeVar("Body", bound=BaseModel)

_SHOWN = 5  # mistakes that an error names
# Pydantic's messages for these mistakes name classes and types of Python.
_MISTAKES = {
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large or too small",
    "int_type": "must be a whole number",
    "list_type": "must be an array",
    "model_type": "must be an object",
    "string_pattern_mismatch": "must contain more than white space",
    "string_type": "must be a text",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must not be empty",
}


async def read_request(service: Service, request: Request, kind: type[Body]) -> tuple[Body, Client]:
    """Return the JSON body of a request as an object of class `kind`, and the client.

    Raises ApiError, which names the mistakes in the body.
    """
    client = service.admit(request)
    body = await read_body(request, client.limits.body, service.settings.patience)
    media = request.headers.get("content-type", "").partition(";")[0].strip()
    if media and media.lower() != "application/json":
        raise ApiError(415, f"the content type is {media}: send application/json")
    values = parse_json(body)
    try:
        return kind.model_validate(values), client
    except ValidationError as error:
        mistakes = [_explain(mistake, kind) for mistake in error.errors()[:_SHOWN]]
        raise ApiError(400, "; ".join(mistakes)) from None


def _explain(mistake: Any, kind: type[BaseModel]) -> str:
    place, problem = ".".join(map(str, mistake["loc"])), mistake["type"]
    if problem == "extra_forbidden":
        known = kind.model_fields if len(mistake["loc"]) == 1 else ()
        return f"unknown key {place!r}{did_you_mean(place, known)}"
    if problem == "missing":
        return f"the key {place!r} is missing"
    if problem in _MISTAKES:
        return f"{place}: {_MISTAKES[problem].format(**mistake.get('ctx', {}))}"
    text = mistake["msg"].removeprefix("Value error, ")
    return f"{place}: {re.sub('^(Input|String) should', 'must', text)}"


def event_text(name: StreamEvent, value: object) -> str:
    """Return the text of a server-sent event. value: the data of the event, sent as JSON."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


async def event_response(events: AsyncIterator[str]) -> StreamingResponse:
    """Return an HTTP response that sends server-sent events.

    The response begins after the first event, so an earlier error still gets its HTTP status.
    """
    first = await anext(events, "")

    async def parts() -> AsyncIterator[str]:
        yield first
        async for event in events:
            yield event

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(parts(), media_type="text/event-stream", headers=headers)
