"""Serve the static files of the web page at `/`."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

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


class PageFiles(StaticFiles):
    """Static files whose Content-Security-Policy forbids content from other servers."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE_FOLDER, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a static file with the web page's security headers."""
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response
