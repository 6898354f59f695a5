"""HTTP requests with which somebody may attack a server."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any


def post(body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    head = f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def as_json(q: Any, **fields: Any) -> bytes:
    return post(json.dumps({"q": q, "source": "en", "target": "fr", **fields}).encode())


def form(q: bytes) -> bytes:
    return post(b"source=en&target=fr&q=" + q, "application/x-www-form-urlencoded")


def multipart(body: bytes) -> bytes:
    return post(body, "multipart/form-data; boundary=x")


def field(value: str) -> bytes:
    """A request with a field of /v1/translate whose JSON value is as given."""
    body = f'{{"texts": ["a"], "beam": {value}}}'.encode()
    return post(body).replace(b"/translate", b"/v1/translate", 1)


_CHUNKED = (
    b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_TAGS = "<b>" * 20_000
# What is sent, and the statuses that may answer it. 0: the connection is closed without an answer.
HOSTILE: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "invalid UTF-8 in JSON": (lambda: post(b'{"q": "\xff\xfe"}'), {400}),
    "invalid UTF-8 in a form": (lambda: form(b"%ff%fe"), {400}),
    "raw bytes in a form": (lambda: form(b"\xff\xfe"), {400}),
    "invalid UTF-8 in a path": (lambda: b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "invalid UTF-8 in a query": (
        lambda: b"POST /translate?q=%ff&source=en&target=fr HTTP/1.1\r\nHost: x\r\n\r\n",
        {400, 411},
    ),
    "half of a surrogate pair": (lambda: post(b'{"q": "\\ud800"}'), {400}),
    "UTF-16": (lambda: post('{"q": "a"}'.encode("utf-16")), {400}),
    "no JSON": (lambda: post(b"hello"), {400}),
    "an empty body": (lambda: post(b""), {400}),
    "deep JSON": (lambda: post(b"[" * 500_000), {400}),
    "deep JSON objects": (lambda: post(b'{"q":' * 200_000), {400}),
    "a number of 100,000 digits": (lambda: field("9" * 100_000), {400}),
    "infinity": (lambda: field("1e999"), {400}),
    "NaN": (lambda: field("NaN"), {400}),
    "NUL": (lambda: as_json("the\0cat"), {200}),
    "10 MB": (lambda: as_json("x" * 10_000_000), {413}),
    "10 MB in chunks": (
        lambda: (
            _CHUNKED
            + b"2710\r\n"
            + b"x" * 10_000
            + b"\r\n"
            + (b"2710\r\n" + b"x" * 10_000 + b"\r\n") * 1000
            + b"0\r\n\r\n"
        ),
        {413},
    ),
    "a chunk without end": (lambda: _CHUNKED + b"ffffffffffffffff\r\nx", {0, 400}),
    "a chunk of a wrong size": (lambda: _CHUNKED + b"zz\r\nx\r\n0\r\n\r\n", {0, 400}),
    "a length and chunks": (
        lambda: _CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
        {0, 400},
    ),
    "two lengths": (lambda: post(b"{}", more="Content-Length: 5\r\n"), {400}),
    "a negative length": (lambda: post(b"").replace(b"Length: 0", b"Length: -1"), {400}),
    "a body that is cut off": (lambda: as_json("the cat")[:-5], {0, 400}),
    "a million characters": (lambda: as_json("the cat " * 125_000), {400}),
    "100,000 texts": (lambda: as_json(["a"] * 100_000), {400}),
    "100,000 lines": (lambda: as_json("a\n" * 99_000), {400}),
    "100,000 fields": (lambda: form(b"a&x=1" * 30_000), {400}),
    "a long header": (lambda: post(b"{}", more=f"X: {'x' * 2_000_000}\r\n"), {0, 431}),
    "100,000 headers": (lambda: post(b"{}", more="X: y\r\n" * 100_000), {0, 431}),
    "a long path": (lambda: b"GET /" + b"x" * 2_000_000 + b" HTTP/1.1\r\n\r\n", {0, 431}),
    "no HTTP": (lambda: random.Random(1).randbytes(10_000), {0, 400}),
    "TLS": (lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), {0, 400}),
    "compressed JSON": (lambda: post(bytes(1000), more="Content-Encoding: gzip\r\n"), {400}),
    "a form without end": (lambda: multipart(b"--x\r\nContent-Disposition: form-data"), {400}),
    "a form of parts": (
        lambda: multipart(b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\na\r\n' * 5000),
        {400},
    ),
    "HTML: open tags": (lambda: as_json(_TAGS, format="html"), {200}),
    "HTML: closed tags": (lambda: as_json("</b>" * 20_000, format="html"), {200}),
    "HTML: tags around words": (lambda: as_json("<b>a " * 3000, format="html"), {200}),
    "HTML: quotes": (lambda: as_json('<a "' * 1_000, format="html"), {200}),
    "HTML: comments": (lambda: as_json("<!--" * 20_000, format="html"), {200}),
    "HTML: entities": (lambda: as_json("&amp;&#x10ffff;&#0;" * 300, format="html"), {200}),
    "HTML: 20,000 paragraphs": (lambda: as_json("<p>a</p>" * 20_000, format="html"), {400}),
}
