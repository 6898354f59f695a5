"""Read requests: bodies of limited size, JSON, forms and query strings."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

Answer = TypeVar("Answer")

_PATIENCE = 0.05  # seconds before a request starts to watch its connection
_SURROGATE = re.compile(rb"\\[uU][dD][89a-fA-F]")
_FIELDS = 1000  # of a form
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_CHARSET = re.compile(r";\s*charset\s*=[^;]*", re.IGNORECASE)
_DISCARDED = 64 << 20  # bytes that are read of a body that is too large


class ApiError(Exception):
    """An error that the server answers with the JSON object `{"error": text}`.

    status: the HTTP status.
    headers: further headers of the answer.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, dict(headers or {})


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Return the body of a request.

    most: the largest number of bytes.
    seconds: the time in which the body must arrive.

    Raises ApiError for a body that is too large or too slow.
    """
    chunks, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most:
                    chunks.append(chunk)
                elif size > _DISCARDED:
                    break
    except TimeoutError:
        text = f"the request body did not arrive within {seconds:g} s"
        raise ApiError(408, text, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise ClientGoneError from None
    if size > most:  # a client that could not send all of its body would not read the answer
        text = f"the request body is larger than {most:,} bytes: send less text"
        raise ApiError(413, text, {"Connection": "close"})
    return b"".join(chunks)


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises ApiError for anything else, and for strings that are not valid Unicode.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"the request body is not UTF-8 (byte {error.start})") from None
    except UnicodeEncodeError:
        raise ApiError(400, "the request body has half of a surrogate pair (\\ud800)") from None
    except (ValueError, RecursionError) as error:
        reason = (
            "the JSON values are nested too deeply" if isinstance(error, RecursionError) else error
        )
        raise ApiError(400, f"the request body is not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "Invalid JSON format: the request body must be a JSON object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"the number {name} is not allowed in JSON")


async def read_fields(request: Request, most: int, seconds: float) -> dict[str, Any]:
    """Return the fields of a request: of its JSON body, or of its form and its query string.

    A field that occurs several times in a form becomes a list. The arguments and errors are those
    of `read_body` and `parse_json`.
    """
    body = await read_body(request, most, seconds)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _JSON or kind.endswith("+json"):
        if re.match(rb"\w+=", body):
            raise ApiError(400, _wrong_type("a form", kind, _FORM))
        return parse_json(body)
    pairs = _parse_pairs(request.scope["query_string"])
    if kind == "multipart/form-data":
        pairs += await _parse_multipart(request.headers, body)
    elif body.lstrip()[:1] in (b"{", b"["):
        raise ApiError(400, _wrong_type("JSON", kind, _JSON))
    elif body and b"=" not in body:
        raise ApiError(400, _wrong_type("no form", kind, _JSON))
    else:
        pairs += _parse_pairs(body)
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            earlier = fields[name]
            fields[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            fields[name] = value
    return fields


def _wrong_type(body: str, kind: str, wanted: str) -> str:
    found = f"the content type is {kind}" if kind else "it has no content type"
    return f"the request body is {body}, but {found}: send the header Content-Type: {wanted}"


def _parse_pairs(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except UnicodeDecodeError:
        raise ApiError(400, "the form is not URL-encoded UTF-8") from None
    except ValueError as error:
        raise ApiError(400, f"the form cannot be read: {error}") from None


async def _parse_multipart(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    async def stream() -> Any:
        yield body

    # The parser reads text as Latin-1 if it does not have the character set of the header.
    kind = Headers({"content-type": _CHARSET.sub("", headers["content-type"])})
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"the form is not UTF-8 (byte {error.start})") from None
    try:
        form = await MultiPartParser(
            kind, stream(), max_files=1, max_fields=_FIELDS, max_part_size=len(body) + 1
        ).parse()
    except (MultiPartException, KeyError) as error:
        raise ApiError(400, f"the form cannot be read: {error}") from None
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


async def answer_unless_gone(request: Request, work: Awaitable[Answer], seconds: float) -> Answer:
    """Return the result of `work`, which answers a request. Cancel it if the client disconnects.

    seconds: the longest time to wait.

    Raises ApiError after this time. Raises ClientGoneError if the client disconnects.
    """
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    watch: asyncio.Future[None] | None = None
    is_gone = False

    def begin_to_watch() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(_wait_until_gone(request))
        watch.add_done_callback(leave)

    def leave(finished: asyncio.Future[None]) -> None:
        nonlocal is_gone
        if not finished.cancelled() and me is not None:
            is_gone = True
            me.cancel()

    timer = loop.call_later(_PATIENCE, begin_to_watch)
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise ApiError(
            503,
            f"the answer took longer than {seconds:g} s: send less text",
            {"Retry-After": str(max(1, round(seconds)))},
        ) from None
    except asyncio.CancelledError:
        if not is_gone or me is None:
            raise
        me.uncancel()
        raise ClientGoneError from None
    finally:
        timer.cancel()
        if watch:
            watch.cancel()


class ClientGoneError(Exception):
    """The client closed the connection before the answer was finished."""


async def _wait_until_gone(request: Request) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
