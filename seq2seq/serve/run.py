"""Run the server: start the workers, listen, and stop without losing a request."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seq2seq.errors import UserError
from seq2seq.serve.app import create_app
from seq2seq.serve.metrics import ServerMetrics
from seq2seq.serve.service import Service

_log = logging.getLogger(__name__)

_IDLE = 30.0  # seconds after which a connection without a request is closed
_BACKLOG = 2048
_LARGEST_HEAD = 64 << 10  # bytes of a URL and its headers
_PUNCTUATION = 4  # bytes of the colon, the space and the line break of a header
_TOO_LARGE = b'{"error":"the URL and the headers are larger than 64 KiB: send texts in the body"}'
_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_TOO_LARGE), _TOO_LARGE)
)


class _Protocol(HttpToolsProtocol):
    """The HTTP protocol, with limits for the time and the size of the headers of a request."""

    _timer: asyncio.TimerHandle | None = None  # runs while the headers arrive
    _parsed = 0  # bytes of the URL and the headers that are complete
    _received = 0  # bytes of the packets that ended before the headers did

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_waiting = self._timer is not None
        super().data_received(data)
        if was_waiting and self._timer is not None and not self.transport.is_closing():
            self._received += len(data)
            if self._received > _LARGEST_HEAD:
                self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        if max(self._parsed, self._received) <= _LARGEST_HEAD:
            super().send_400_response(msg)
            return
        self.transport.write(_REFUSAL)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._parsed = self._received = 0
        self._watch()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _PUNCTUATION)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._cancel()
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._parsed += size
        if self._parsed > _LARGEST_HEAD:
            raise ValueError("the headers are too large")  # the parser calls `send_400_response`

    def _watch(self) -> None:
        self._cancel()
        self._timer = self.loop.call_later(_IDLE, self.transport.close)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """A server that exits with code 0 after SIGTERM, SIGINT and SIGHUP."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup ignores SIGHUP
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_server(
    service: Service,
    metrics: ServerMetrics,
    *,
    host: str,
    port: int,
    started: Callable[[uvicorn.Server, int], None] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP. Requests that have arrived by then are answered.

    service: the models and the worker processes. Start the processes first, with
        `Dispatcher.launch`. This function stops them at the end.
    port: the TCP port; 0 lets the system choose a free one.
    started: called with the server and its port as soon as it listens.

    Raises UserError if a model cannot be opened, or if the address is not available.
    """
    _allow_many_connections()
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(service, metrics, host, port, started))


async def _serve(
    service: Service,
    metrics: ServerMetrics,
    host: str,
    port: int,
    started: Callable[[uvicorn.Server, int], None] | None,
) -> None:
    listening = _listen(host, port)
    config = uvicorn.Config(
        create_app(service, metrics),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=round(service.settings.timeout),
    )
    server = _Server(config)
    loading = None
    try:
        await service.dispatcher.wait_until_ready()
        listening.listen(_BACKLOG)
        address = f"[{host}]" if ":" in host else host
        number = listening.getsockname()[1]
        _log.info("the server is listening on http://%s:%d", address, number)
        if started:
            started(server, number)
        if service.catalogue.pairs:
            loading = asyncio.create_task(asyncio.to_thread(service.detector.load))
        await server.serve([listening])
    finally:
        listening.close()
        if loading:
            await loading
        await asyncio.to_thread(service.dispatcher.close)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address but does not yet accept connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"the server cannot listen on {host}:{port} ({reason}): choose another --host or --port"
        ) from None
    return listening


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
