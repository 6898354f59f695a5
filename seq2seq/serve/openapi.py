"""The OpenAPI 3.1 description of the server's HTTP interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from seq2seq import __version__
from seq2seq.serve import schemas, task_schemas
from seq2seq.serve.api_limits import limit_schemas
from seq2seq.serve.libre_schemas import LIBRE_SCHEMAS, libre_translate_schema
from seq2seq.serve.service import Service

_JSON, _FORM, _EVENTS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "text/event-stream",
)
_EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["event", "data"],
}
_TITLE = "Translate texts, and use the other models of this server."
# The path, its summary, the class of its request and the class of its answer.
_OWN: tuple[tuple[str, str, type[BaseModel], type[BaseModel]], ...] = (
    (
        "/v1/translate",
        "Translate texts, with scores, alignments and notes",
        schemas.TranslateRequest,
        schemas.TranslateAnswer,
    ),
    (
        "/v1/score",
        "Score given translations",
        task_schemas.ScoreRequest,
        task_schemas.ScoreAnswer,
    ),
    ("/v1/tag", "Tag the words of texts", task_schemas.LabelRequest, task_schemas.TagAnswer),
    ("/v1/classify", "Classify texts", task_schemas.LabelRequest, task_schemas.ClassifyAnswer),
    (
        "/v1/generate",
        "Generate texts",
        task_schemas.GenerateRequest,
        task_schemas.GenerateAnswer,
    ),
    (
        "/v1/perplexity",
        "Measure the perplexity of a text",
        task_schemas.PerplexityRequest,
        task_schemas.PerplexityAnswer,
    ),
)
_ERRORS = {
    "400": "The request is wrong, or a request to /translate or /detect has no API key.",
    "403": "The API key is wrong, or a request to a path under /v1 has no API key.",
    "408": "The request did not arrive in time.",
    "413": "The request is too large.",
    "415": "The content type is not application/json.",
    "429": "Too many requests. The header Retry-After says when to try again.",
    "500": "The server failed.",
    "503": "The answer took too long, or needs too much memory.",
}


def describe_api(service: Service) -> dict[str, Any]:
    """Return the OpenAPI description of a server, with its models and languages."""
    classes = {kind for _, _, *kinds in _OWN for kind in kinds}
    classes |= {
        schemas.ErrorAnswer,
        schemas.LineAnswer,
        schemas.StreamRequest,
        task_schemas.ModelsAnswer,
    }
    modes: list[Any] = [
        (kind, "validation" if kind.__name__.endswith("Request") else "serialization")
        for kind in sorted(classes, key=lambda kind: kind.__name__)
    ]
    _, found = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    components = {**found["$defs"], **LIBRE_SCHEMAS}
    for name, is_form in (("LibreTranslateRequest", False), ("LibreTranslateForm", True)):
        components[name] = libre_translate_schema(service.catalogue, is_form=is_form)
    served = limit_schemas(components, service)
    paths = _libre_paths(service)
    paths["/v1/models"] = {"get": _operation("List the models", "ModelsAnswer", tag="v1")}
    for path, summary, request, answer in _OWN:
        if path in served:
            name = served[path] or request.__name__
            operation = _operation(
                summary, answer.__name__, {_JSON: name}, _statuses(service, path), tag="v1"
            )
            paths[path] = {"post": operation}
    if "/v1/translate" in paths:
        paths["/v1/translate/stream"] = {
            "post": _operation(
                "Translate a text line by line: an event `line` for each line, then `done`",
                "",
                {_JSON: "StreamRequest"},
                _statuses(service, "/v1/translate/stream"),
                tag="v1",
                media=_EVENTS,
            )
        }
    if "/v1/generate" in paths:
        content = paths["/v1/generate"]["post"]["responses"]["200"]["content"]
        content[_EVENTS] = {"schema": _EVENT}
    spec: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "seq2seq", "version": __version__, "description": _TITLE},
        "paths": paths,
        "components": {"schemas": components},
    }
    if service.keys.are_required:
        spec["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for methods in paths.values():
            for method, operation in methods.items():
                if method == "post":
                    operation["security"] = [{"key": []}]
    return spec


def _libre_paths(service: Service) -> dict[str, Any]:
    forms = {_JSON: "LibreTranslateRequest", _FORM: "LibreTranslateForm"}
    detect = {_JSON: "LibreDetectRequest", _FORM: "LibreDetectRequest"}
    paths = {
        "/languages": {
            method: _operation("List the languages", "LibreLanguages") for method in ("get", "post")
        },
        "/frontend/settings": {
            "get": _operation("Get the settings of a user interface", "LibreSettings")
        },
        "/suggest": {"post": _refusal("Suggest a translation (disabled)")},
        "/translate_file": {"post": _refusal("Translate a file (disabled)")},
        "/health": {"get": _operation("Ask whether the server runs", "StatusAnswer", tag="state")},
        "/ready": {"get": _operation("Ask whether a worker is ready", "StatusAnswer", tag="state")},
    }
    paths["/ready"]["get"]["responses"]["503"] = _error("No worker is ready.")
    if service.catalogue.pairs:
        for path, summary, answer, bodies in (
            ("/translate", "Translate", "LibreTranslation", forms),
            ("/detect", "Detect a language", "LibreDetections", detect),
        ):
            operation = _operation(summary, answer, bodies, _statuses(service, path))
            paths[path] = {"post": operation}
    return paths


def _statuses(service: Service, path: str) -> list[str]:
    """Return the statuses of errors that a request with a body can get at a path."""
    keys, never = service.keys, set()
    if not keys.are_required:
        never.add("403")
    if not path.startswith("/v1"):
        never.add("415")
    if path == "/detect":  # needs no worker process
        never.add("503")
        clients = [keys.limits, *(client.limits for client in keys.clients.values())]
        if not any(limits.requests for limits in clients):
            never.add("429")
    return [code for code in _ERRORS if code not in never]


def _operation(
    summary: str,
    answer: str,
    bodies: dict[str, str] | None = None,
    statuses: Sequence[str] = (),
    *,
    tag: str = "LibreTranslate",
    media: str = _JSON,
) -> dict[str, Any]:
    """Return the OpenAPI description of a path.

    answer: the name of the schema of the answer; "" for a stream of events.
    bodies: the name of the schema of the request body for each content type.
    statuses: the statuses of errors.
    """
    schema = _reference(answer) if answer else _EVENT
    operation: dict[str, Any] = {
        "summary": summary,
        "tags": [tag],
        "responses": {"200": {"description": summary, "content": {media: {"schema": schema}}}},
    }
    for code in statuses:
        operation["responses"][code] = _error(_ERRORS[code])
    if bodies:
        content = {kind: {"schema": _reference(name)} for kind, name in bodies.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _refusal(summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": ["LibreTranslate"],
        "responses": {"403": _error("This server refuses it.")},
    }


def _error(text: str) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": _reference("ErrorAnswer")}}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
