"""The log of the server: one JSON object per line."""

from __future__ import annotations

import json
import logging
import time

from seq2seq.serve.metrics import REQUEST_LOG


class _JsonFormatter(logging.Formatter):
    """Turns each message into a JSON object. Messages about requests are JSON objects already."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == REQUEST_LOG:
            return message
        row = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": message.strip(),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False)


def _is_no_upgrade(record: logging.LogRecord) -> bool:
    """Return False for the advice of uvicorn when a client asks for WebSockets or HTTP/2."""
    message = record.getMessage()
    return "upgrade request" not in message and "WebSocket" not in message


def log_as_json() -> None:
    """Write every message of this process, also those of other packages, as a JSON object."""
    logging.captureWarnings(True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_no_upgrade)
    # The answer to the client already says what is wrong with a form.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_JsonFormatter())
