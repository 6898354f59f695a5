"""The JSON schemas of LibreTranslate's interface, for the OpenAPI description of the server."""

from __future__ import annotations

from typing import Any

from seq2seq.serve.catalogue import AUTO, Catalogue
from seq2seq.serve.service import MOST_ALTERNATIVES


def _strings() -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}}


_TEXT = {"type": "string", "minLength": 1}
_KEY = {"type": ["string", "null"], "description": "API key, if the server needs one."}
_DETECTION = {
    "type": "object",
    "properties": {
        "confidence": {"type": "number", "minimum": 0, "maximum": 100},
        "language": {"type": "string"},
    },
    "required": ["confidence", "language"],
}
_LANGUAGE = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "name": {"type": "string"}},
    "required": ["code", "name"],
}
LIBRE_SCHEMAS: dict[str, dict[str, Any]] = {
    "StatusAnswer": {
        "type": "object",
        "properties": {"status": {"type": "string"}},
        "required": ["status"],
    },
    "LibreTranslation": {
        "type": "object",
        "properties": {
            "translatedText": {"anyOf": [{"type": "string"}, _strings()]},
            "detectedLanguage": {"anyOf": [_DETECTION, {"type": "array", "items": _DETECTION}]},
            "alternatives": {"type": "array", "items": {"anyOf": [{"type": "string"}, _strings()]}},
            "pivot": {
                "type": "string",
                "description": "The language between two models that translated one after the "
                "other.",
            },
        },
        "required": ["translatedText"],
    },
    "LibreDetectRequest": {
        "type": "object",
        "properties": {"q": _TEXT, "api_key": _KEY},
        "required": ["q"],
    },
    "LibreDetections": {"type": "array", "items": _DETECTION},
    "LibreLanguages": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {**_LANGUAGE["properties"], "targets": _strings()},  # type: ignore[dict-item]
            "required": ["code", "name", "targets"],
        },
    },
    "LibreSettings": {
        "type": "object",
        "properties": {
            "charLimit": {"type": "integer"},
            "frontendTimeout": {"type": "integer"},
            "apiKeys": {"type": "boolean"},
            "keyRequired": {"type": "boolean"},
            "suggestions": {"type": "boolean"},
            "filesTranslation": {"type": "boolean"},
            "supportedFilesFormat": _strings(),
            "language": {
                "type": "object",
                "properties": {"source": _LANGUAGE, "target": _LANGUAGE},
            },
        },
    },
}


def libre_translate_schema(catalogue: Catalogue, *, is_form: bool) -> dict[str, Any]:
    """Return the JSON schema of a request to `/translate`, with the server's pairs of languages.

    is_form: whether the schema is for a form instead of JSON. In a form, an array with one text
        looks like a single text.
    """
    items = _TEXT if is_form else {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "q": {
                "anyOf": [_TEXT, {"type": "array", "items": items, "minItems": 1}],
                "description": "A text, or an array of texts.",
            },
            "source": {"type": "string", "description": 'A language code, or "auto".'},
            "target": {"type": "string", "description": "A language code."},
            "format": {
                "enum": ["text", "html", ""] if is_form else ["text", "html", "", None],
                "default": "text",
            },
            "alternatives": {
                "type": "integer" if is_form else ["integer", "null"],
                "maximum": MOST_ALTERNATIVES,
                "default": 0,
            },
            "api_key": {**_KEY, "type": "string"} if is_form else _KEY,
        },
        "required": ["q", "source", "target"],
        "anyOf": pair_schemas(catalogue),
    }


def pair_schemas(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return a JSON schema for each target language, with the languages it is translated from."""
    found = []
    for target in catalogue.reached:
        sources = [code for code in catalogue.sources if catalogue.route(code, target)]
        pair = {"source": {"enum": [AUTO, *sources]}, "target": {"const": target}}
        found.append({"properties": pair, "required": ["source", "target"]})
    return found
