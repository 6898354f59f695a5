"""API keys, and limits on the size and the rate of a client's requests."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from seq2seq.config.toml_file import read_toml
from seq2seq.errors import UserError, did_you_mean

KEYS_VARIABLE = "SEQ2SEQ_API_KEYS"
_REMEMBERED = 10_000  # clients whose rate is known
_BYTES = 12  # of one character in a request body: \\ud83d\\ude00 or %F0%9F%98%80
_LINES = 5  # of a text, on average
_SMALLEST_BODY, _LARGEST_BODY = 1 << 20, 64 << 20


@dataclass(frozen=True)
class UseLimits:
    """The limits on the requests of one client. 0 means no limit.

    characters: the largest number of characters in a request.
    texts: the largest number of texts in a request.
    requests: the number of requests per minute.
    """

    characters: int = 200_000
    texts: int = 2000
    requests: int = 0

    @property
    def lines(self) -> int:
        """The largest number of lines in all texts of a request. 0 means no limit."""
        return _LINES * self.texts

    @property
    def body(self) -> int:
        """The largest number of bytes in a request body."""
        if not self.characters:
            return _LARGEST_BODY
        return min(_LARGEST_BODY, max(_SMALLEST_BODY, _BYTES * self.characters))


@dataclass(frozen=True)
class Client:
    """The client that sent a request. name: the name of its API key, or its network address."""

    name: str
    limits: UseLimits


@dataclass(frozen=True)
class Keys:
    """The API keys of a server. Keys are stored as SHA-256 hashes.

    limits: the limits of requests without a key, or with a key that sets none.
    """

    limits: UseLimits = field(default_factory=UseLimits)
    clients: Mapping[bytes, Client] = field(default_factory=dict)

    @property
    def are_required(self) -> bool:
        """Whether requests need an API key."""
        return bool(self.clients)

    def find(self, key: str) -> Client | None:
        """Return the client that owns an API key, or None if the key is unknown."""
        return self.clients.get(_digest(key))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def load_keys(path: Path | None, limits: UseLimits) -> Keys:
    """Read API keys from a TOML file and from the environment variable SEQ2SEQ_API_KEYS.

    path: a file with a table for each client: `key`, and optionally `characters`, `texts` and
        `requests`, which replace the fields of `limits`. None means no file.

    The environment variable holds keys that are separated by commas. Raises UserError for a file
    that cannot be read and for wrong entries.
    """
    clients: dict[bytes, Client] = {}
    for number, key in enumerate(os.environ.get(KEYS_VARIABLE, "").split(","), start=1):
        if key.strip():
            clients[_digest(key.strip())] = Client(f"key {number}", limits)
    if path is not None:
        for name, entry in read_toml(path).items():
            key, own = _check_entry(f"{path}: {name}", entry, limits)
            if _digest(key) in clients:
                raise UserError(
                    f"{path}: {name}: another client has the same API key; choose another key"
                )
            clients[_digest(key)] = Client(name, own)
        if not clients:
            raise UserError(
                f'{path}: the file has no API keys; write [name] and key = "..." for each client'
            )
    return Keys(limits, clients)


def _check_entry(place: str, entry: Any, limits: UseLimits) -> tuple[str, UseLimits]:
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or not entry["key"]:
        raise UserError(
            f'{place}: this client has no API key; write a table with a line key = "..."'
        )
    known = [field.name for field in fields(UseLimits)]
    own = {name: value for name, value in entry.items() if name != "key"}
    for name, value in own.items():
        if name not in known:
            raise UserError(
                f"{place}: the table of this client has the unknown setting {name!r}"
                f"{did_you_mean(name, known)}"
            )
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UserError(f"{place}: {name} must be a whole number of at least 0, not {value!r}")
    return entry["key"], replace(limits, **own)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class RateLimiter:
    """Limits the rate of each client's requests, with the token bucket algorithm."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_time(self, client: Client) -> int:
        """Count a request. Return 0, or the seconds until the client may send another one."""
        most = client.limits.requests
        if not most:
            return 0
        now = time.monotonic()
        tokens, before = self._buckets.pop(client.name, (float(most), now))
        tokens = min(float(most), tokens + (now - before) * most / 60)
        allowed = tokens >= 1
        self._buckets[client.name] = tokens - allowed, now
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - tokens) * 60 / most))
