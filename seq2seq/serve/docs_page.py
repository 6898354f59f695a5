"""The documentation of the interfaces as a page of HTML."""

from __future__ import annotations

from typing import Any


def render_docs(spec: dict[str, Any]) -> str:
    """Return an HTML page that describes an OpenAPI specification."""
    return f"<title>{spec['info']['title']}</title>"
