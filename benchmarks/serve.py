"""Load a running server with many clients, and compare every answer with `seq2seq translate`.

    python benchmarks/serve.py load 127.0.0.1:5000 SENTENCES EXPECTED --clients 64 --seconds 60
    python benchmarks/serve.py latency 127.0.0.1:5000 SENTENCES EXPECTED
    python benchmarks/serve.py mixed 127.0.0.1:5000 SENTENCES EXPECTED

SENTENCES has one source sentence a line, and EXPECTED has their translations. The clients keep
their connections open, as a reverse proxy does. Each mode prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    texts: int = 0
    wrong: int = 0
    failed: int = 0


class Connection:
    """An HTTP connection that stays open."""

    def __init__(self, address: str, source: str, target: str) -> None:
        self.host, _, port = address.rpartition(":")
        self.port, self.pair = int(port), {"source": source, "target": target}

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    async def translate(self, texts: list[str]) -> tuple[int, list[str]]:
        body = json.dumps({"q": texts, **self.pair}).encode()
        head = (
            f"POST /translate HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        header = await self.reader.readuntil(b"\r\n\r\n")
        size = int(header.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        answer = json.loads(await self.reader.readexactly(size))
        return int(header.split(b" ", 2)[1]), answer.get("translatedText", [])


async def client(
    connection: Connection,
    pairs: list[tuple[str, str]],
    tally: Tally,
    *,
    until: float,
    size: int,
    seed: int,
    pause: float = 0.0,
) -> None:
    """Send requests of `size` sentences, one after the other."""
    chance = random.Random(seed)
    await connection.open()
    while time.monotonic() < until:
        chosen = [chance.choice(pairs) for _ in range(size)]
        started = time.perf_counter()
        status, found = await connection.translate([source for source, _ in chosen])
        tally.seconds.append(time.perf_counter() - started)
        tally.texts += size
        tally.failed += status != 200
        tally.wrong += status == 200 and found != [expected for _, expected in chosen]
        await asyncio.sleep(pause)


def report(name: str, tally: Tally, seconds: float, **more: object) -> None:
    ranked = sorted(tally.seconds)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    row = {
        "mode": name,
        "requests": len(ranked),
        "requests_per_second": round(len(ranked) / seconds, 1),
        "texts_per_second": round(tally.texts / seconds, 1),
        "failed": tally.failed,
        "wrong": tally.wrong,
        "median_ms": round(1000 * statistics.median(ranked), 1),
        "p99_ms": round(1000 * ranked[int(0.99 * (len(ranked) - 1))], 1),
        "max_ms": round(1000 * ranked[-1], 1),
        "client_cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        **more,
    }
    print(json.dumps(row))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["load", "latency", "mixed"])
    parser.add_argument("address")
    parser.add_argument("sentences", type=Path)
    parser.add_argument("expected", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--texts", type=int, default=1, help="sentences in a request")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--lines", type=int, default=2000, help="of the long text of `mixed`")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="fr")
    given = parser.parse_args()
    files = (given.sentences, given.expected)
    sides = [path.read_text(encoding="utf-8").split("\n")[:-1] for path in files]
    pairs = list(zip(*sides, strict=True))
    tally, until = Tally(), time.monotonic() + given.seconds

    def connect() -> Connection:
        return Connection(given.address, given.source, given.target)

    started = time.monotonic()
    if given.mode == "load":
        await asyncio.gather(
            *(
                client(connect(), pairs, tally, until=until, size=given.texts, seed=seed)
                for seed in range(given.clients)
            )
        )
        report("load", tally, time.monotonic() - started, clients=given.clients, size=given.texts)
        return
    short = client(connect(), pairs, tally, until=until, size=1, seed=1, pause=0.02)
    if given.mode == "latency":
        await short
        report("latency", tally, time.monotonic() - started)
        return
    long, background = connect(), Tally()
    await long.open()
    task = asyncio.create_task(short)
    text = "\n".join(pairs[i % len(pairs)][0] for i in range(given.lines))
    wanted = "\n".join(pairs[i % len(pairs)][1] for i in range(given.lines))
    while time.monotonic() < until:
        begun = time.perf_counter()
        status, found = await long.translate([text])
        background.seconds.append(time.perf_counter() - begun)
        tally.failed += status != 200
        tally.wrong += status == 200 and found != [wanted]
    await task
    report(
        "mixed",
        tally,
        time.monotonic() - started,
        long_texts=len(background.seconds),
        long_text_seconds=round(statistics.mean(background.seconds), 2),
    )


if __name__ == "__main__":
    asyncio.run(main())
