"""Serve the static files of the web page at `/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

PAGE_FOLDER = Path(__file__).parent / "page"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_routes() -> list[BaseRoute]:
    """Return a route for each file of the web page. The headers forbid content from elsewhere."""
    files = StaticFiles(directory=PAGE_FOLDER)

    def answer(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            response = await files.get_response(name, request.scope)
            response.headers.update(_HEADERS)
            return response

        return handler

    names = sorted(path.name for path in PAGE_FOLDER.iterdir())
    return [Route("/", answer("index.html")), *(Route(f"/{name}", answer(name)) for name in names)]
