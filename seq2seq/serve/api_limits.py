"""Restrict the JSON schemas of requests to the models and languages of a server."""

from __future__ import annotations

import copy
from typing import Any

from seq2seq.serve.catalogue import Catalogue
from seq2seq.serve.libre_schemas import pair_schemas
from seq2seq.serve.service import Service

_NOTHING = {"type": "null"}


def limit_schemas(components: dict[str, Any], service: Service) -> dict[str, str]:
    """Restrict the JSON schemas of requests to the models and languages of a server.

    components: the schemas by name. This function changes them.

    Returns a dictionary from each path that the server can answer to the name of a new schema of
    its requests. The name is "" if the path keeps its schema.
    """
    catalogue, labels = service.catalogue, service.dispatcher.labels
    served: dict[str, str] = {}
    translating = catalogue.of_kind(source=["text"], target=["text"])
    if translating:
        served |= {"/v1/translate": "", "/v1/score": ""}
        for name in ("TranslateRequest", "StreamRequest", "ScoreRequest"):
            components[name]["anyOf"] = _routes(catalogue, translating, name)
    for path, kind in (("/v1/tag", "word labels"), ("/v1/classify", "label")):
        if names := catalogue.of_kind(source=["text", "words"], target=[kind]):
            served[path] = f"{path.rpartition('/')[2].capitalize()}Request"
            components[served[path]] = copy.deepcopy(components["LabelRequest"])
            _set_models(components[served[path]], names)
    speaking = catalogue.of_kind(source=["none"], target=["text"])
    if speaking:
        served["/v1/perplexity"] = ""
        _set_models(components["PerplexityRequest"], speaking)
    writing = catalogue.of_kind(source=["condition"], target=["text"])
    if speaking or writing:
        served["/v1/generate"] = ""
        given = {name: _given(service, name, labels.get(name, [])) for name in writing}
        components["GenerateRequest"]["anyOf"] = _generators(speaking, writing, given)
    return served


def _set_models(schema: dict[str, Any], names: list[str]) -> None:
    description = schema["properties"]["model"].get("description", "")
    schema["properties"]["model"] = {"enum": [*names, None], "description": description}


def _routes(catalogue: Catalogue, names: list[str], request: str) -> list[dict[str, Any]]:
    none = {"source": _NOTHING, "target": _NOTHING}
    routes: list[dict[str, Any]] = [
        {"properties": {"model": {"enum": names}, **none}, "required": ["model"]},
        {"properties": {"model": _NOTHING, **none}},
    ]
    if request == "ScoreRequest":
        for source, target in catalogue.pairs:
            pair = {"source": {"const": source}, "target": {"const": target}}
            routes.append({"properties": pair, "required": ["source", "target"]})
    else:
        routes += pair_schemas(catalogue)
    for route in routes[2:]:
        route["properties"]["model"] = _NOTHING
    return routes


def _given(service: Service, name: str, labels: list[str]) -> dict[str, Any]:
    if labels:
        return {"enum": labels}
    size = service.catalogue.models[name].config.encoder.vector_size
    return {
        "type": "array",
        "items": {"type": "number", "minimum": -2000, "maximum": 2000},
        "minItems": size,
        "maxItems": size,
    }


def _generators(
    speaking: list[str], writing: list[str], given: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    kinds: list[dict[str, Any]] = []
    if speaking:
        model = {"enum": [*speaking, None]}
        kinds.append({"properties": {"model": model, "given": _NOTHING}})
    for name in writing:
        model = {"enum": [name, None]} if name == writing[0] else {"enum": [name]}
        fields = {"model": model, "given": given[name], "prompt": _NOTHING}
        required = ["given"] if name == writing[0] else ["given", "model"]
        kinds.append({"properties": {**fields, "stream": {"const": False}}, "required": required})
    return kinds
