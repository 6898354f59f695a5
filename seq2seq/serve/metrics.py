"""The server's Prometheus metrics, and one log line for each request."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seq2seq.serve.tickets import WorkBatch

if TYPE_CHECKING:
    from seq2seq.serve.dispatcher import Dispatcher

REQUEST_LOG = __name__  # the logger of the lines about requests
_log = logging.getLogger(REQUEST_LOG)

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_LOG_DELAY = 0.2  # seconds; lines of log that are written together cost less
_SILENT = ("/health", "/ready", "/metrics")  # asked every few seconds


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        named: dict[str, Any] = {"registry": self.registry}
        self.seconds = Histogram(
            "seq2seq_request_seconds",
            "Time from the start of a request to the end of its answer",
            ["path", "status"],
            buckets=_SECONDS,
            **named,
        )
        self.open = Gauge("seq2seq_requests_in_flight", "Requests that are being answered", **named)
        self.waiting = Gauge("seq2seq_waiting_texts", "Texts in the queue", ["lane"], **named)
        self.workers = Gauge("seq2seq_workers", "Worker processes that are ready", **named)
        self.deaths = Counter("seq2seq_worker_deaths", "Worker processes that died", **named)
        self.batch_size = Histogram(
            "seq2seq_batch_texts", "Texts in a batch", ["model"], buckets=_SIZES, **named
        )
        self.batch_seconds = Histogram(
            "seq2seq_batch_seconds", "Time of a batch", ["model"], buckets=_SECONDS, **named
        )
        self.tokens = Counter("seq2seq_tokens", "Subwords that the models read", ["model"], **named)

    def observe_batch(self, batch: WorkBatch, seconds: float, tokens: int) -> None:
        """Add a finished batch to the metrics."""
        model = batch.operation.model
        self.batch_size.labels(model).observe(len(batch.places))
        self.batch_seconds.labels(model).observe(seconds)
        self.tokens.labels(model).inc(tokens)

    def render(self, dispatcher: Dispatcher) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        for lane, waiting in zip(("short", "long"), dispatcher.waiting, strict=True):
            self.waiting.labels(lane).set(waiting)
        self.workers.set(len(dispatcher.worker_pids))
        return generate_latest(self.registry)


class Observer:
    """ASGI middleware that measures and logs every request."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self.app, self.metrics = app, metrics
        self._rows: list[str] = []
        atexit.register(self._write)

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            _log.info("%s", "\n".join(rows))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request of the ASGI protocol."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        scope.setdefault("state", {})

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.open.inc()
        try:
            await self.app(scope, receive, note)
        finally:
            self.metrics.open.dec()
            seconds = time.perf_counter() - started
            # The route's own path, so that strangers cannot fill the memory with names.
            path = getattr(scope.get("route"), "path", "other") or "page"
            self.metrics.seconds.labels(path, str(status)).observe(seconds)
            if path not in _SILENT and _log.isEnabledFor(logging.INFO):
                if not self._rows:
                    asyncio.get_running_loop().call_later(_LOG_DELAY, self._write)
                self._rows.append(_log_line(scope, status, seconds))


def _log_line(scope: Scope, status: int, seconds: float) -> str:
    state: dict[str, Any] = scope["state"]
    row: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(1000 * seconds, 1),
        "client": state.get("client_name") or (scope.get("client") or ("unknown",))[0],
    }
    if "size" in state:
        row["texts"], row["characters"] = state["size"]
    if "texts" in state:
        row["content"] = state["texts"]
    return json.dumps(row, ensure_ascii=False)
