"""The ASGI application: paths, errors and CORS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from seq2seq.errors import UserError
from seq2seq.serve.docs_page import render_docs
from seq2seq.serve.failures import LostWorkersError, OverloadedError, explain
from seq2seq.serve.libre import LibreTranslate
from seq2seq.serve.metrics import Observer, ServerMetrics
from seq2seq.serve.openapi import describe_api
from seq2seq.serve.own_tasks import OwnTasks
from seq2seq.serve.own_translate import OwnTranslation
from seq2seq.serve.page import page_routes
from seq2seq.serve.requests import ApiError, ClientGoneError
from seq2seq.serve.service import Service

_log = logging.getLogger(__name__)

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CLIENT_LEFT = 499  # what nginx logs for it


def create_app(service: Service, metrics: ServerMetrics) -> Starlette:
    """Return the ASGI application. The workers of the service must run before its first request."""

    app = Starlette(
        routes=_routes(service, metrics),
        exception_handlers={
            ApiError: _answer_api_error,
            HTTPException: _answer_http_error,
            ClientGoneError: _answer_nobody,
            **dict.fromkeys((UserError, OverloadedError, LostWorkersError), _answer_failure),
            Exception: _answer_error,
        },
        middleware=[
            Middleware(Observer, metrics=metrics),
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["Authorization", "Retry-After"],
                max_age=1728000,
            ),
        ],
    )
    app.router.redirect_slashes = False  # the address would come from the header Host
    return app


def _routes(service: Service, metrics: ServerMetrics) -> list[BaseRoute]:
    libre, texts, tasks = LibreTranslate(service), OwnTranslation(service), OwnTasks(service)
    spec: dict[str, Any] = {}

    def specification() -> dict[str, Any]:
        if not spec:
            spec.update(describe_api(service))
        return spec

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        if not service.dispatcher.is_ready:
            raise ApiError(503, "no worker is ready", {"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.render(service.dispatcher), media_type=_METRICS_TYPE)

    async def show_spec(_: Request) -> Response:
        return JSONResponse(specification())

    async def docs(_: Request) -> Response:
        return HTMLResponse(render_docs(specification()))

    handlers: list[tuple[str, str, Callable[..., Any]]] = [
        ("POST", "/translate", libre.translate),
        ("POST", "/detect", libre.detect),
        ("GET POST", "/languages", libre.languages),  # libretranslatepy sends POST
        ("GET", "/frontend/settings", libre.frontend_settings),
        ("POST", "/suggest", libre.suggest),
        ("POST", "/translate_file", libre.translate_file),
        ("GET", "/health", health),
        ("GET", "/ready", ready),
        ("GET", "/metrics", show_metrics),
        ("GET", "/spec", show_spec),
        ("GET", "/docs", docs),
        ("GET", "/v1/models", tasks.models),
        ("POST", "/v1/translate", texts.translate),
        ("POST", "/v1/translate/stream", texts.stream),
        ("POST", "/v1/score", texts.score),
        ("POST", "/v1/tag", tasks.tag),
        ("POST", "/v1/classify", tasks.classify),
        ("POST", "/v1/generate", tasks.generate),
        ("POST", "/v1/perplexity", tasks.perplexity),
    ]
    routes: list[BaseRoute] = [
        Route(path, handler, methods=method.split()) for method, path, handler in handlers
    ]
    return routes + page_routes()


async def _answer_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse({"error": str(error)}, error.status, error.headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {404: f"{request.url.path}: no such path", 405: f"{request.method} is not allowed here"}
    text = texts.get(error.status_code, error.detail)
    return JSONResponse({"error": text}, error.status_code, error.headers)


async def _answer_nobody(_: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_LEFT)


async def _answer_error(_: Request, error: Exception) -> Response:
    """Answer after a defect. Starlette then raises the error again, and uvicorn logs it."""
    status, text = explain(error)
    return JSONResponse({"error": text}, status)


async def _answer_failure(_: Request, error: Exception) -> Response:
    status, text = explain(error)
    headers = {}
    if status >= 500:
        _log.error("the server failed to answer a request: %s", error)
    if retry := getattr(error, "retry_after", None):
        headers["Retry-After"] = str(retry)
    return JSONResponse({"error": text}, status, headers)
