"""The description of the interfaces in the format OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from seq2seq import __version__
from seq2seq.serve.service import Service


def describe_api(service: Service) -> dict[str, Any]:
    """Return the OpenAPI description of a server."""
    return {"openapi": "3.1.0", "info": {"title": "seq2seq", "version": __version__}, "paths": {}}
