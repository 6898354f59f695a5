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
import contextlib
import json
import os
import random
import resource
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process_memory import tree_memory

_EVERY = 10.0  # seconds between two measurements of the memory


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    texts: int = 0
    words: int = 0
    wrong: int = 0
    failed: int = 0


class Connection:
    """An HTTP connection that stays open.

    given: the options of the command line. `api` is the interface: "libre", "v1" or "eole" (the
        interface of Eole's server). `tokens` is the number of tokens that each translation must
        have, for "v1" and "eole". With 0, the model decides.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.host, _, port = given.address.rpartition(":")
        self.port, self.api = int(port), given.api
        self.path = {"libre": "/translate", "v1": "/v1/translate", "eole": "/infer"}[self.api]
        length = {"min_length": given.tokens, "max_length": given.tokens} if given.tokens else {}
        if self.api == "eole":
            self.fields: dict[str, Any] = {"model": "standard", **length}
        else:
            self.fields = {"source": given.source, "target": given.target, **length}

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    async def translate(self, texts: list[str]) -> tuple[int, list[str]]:
        name = {"libre": "q", "v1": "texts", "eole": "inputs"}[self.api]
        body = json.dumps({name: texts, **self.fields}).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        header = await self.reader.readuntil(b"\r\n\r\n")
        size = int(header.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        answer = json.loads(await self.reader.readexactly(size))
        status = int(header.split(b" ", 2)[1])
        return status, self._texts(answer) if status == 200 else []

    def _texts(self, answer: dict[str, Any]) -> list[str]:
        if self.api == "v1":
            return [one["text"] for one in answer["translations"]]
        if self.api == "eole":
            return [best for best, *_ in answer["predictions"]]
        found: list[str] = answer["translatedText"]
        return found


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
        tally.words += sum(len(text.split()) for text in found)
        tally.failed += status != 200
        if connection.api != "eole":
            tally.wrong += status == 200 and found != [expected for _, expected in chosen]
        await asyncio.sleep(pause)


@dataclass
class Watch:
    """The memory and the CPU time of a server and its worker processes. pid: its process id."""

    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started, self.cpu = time.monotonic(), self._read_cpu()

    def _family(self) -> dict[int, list[str]]:
        """Return the fields of /proc/PID/stat after the program name, for each server process."""
        rows = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # the process has ended
                rows[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
        family = [self.pid]
        for one in family:
            family += [pid for pid, row in rows.items() if int(row[1]) == one]
        return {pid: rows[pid] for pid in family if pid in rows}

    def _read_cpu(self) -> float:
        ticks = sum(int(row[11]) + int(row[12]) for row in self._family().values())
        return ticks / os.sysconf("SC_CLK_TCK")

    def _read_memory(self) -> float:
        """Return the memory of all processes in MiB that no file backs.

        The proportional set size (PSS) of libraries changes when other programs start or end.
        """
        return tree_memory(self.pid, "Pss_Anon")

    async def run(self) -> None:
        """Measure the memory every ten seconds until the task is cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            size = await asyncio.to_thread(self._read_memory)
            self.samples.append((time.monotonic() - self.started, size))

    def report(self) -> dict[str, object]:
        """Return the CPU time, the memory, and its change since the first minute."""
        row: dict[str, object] = {"server_cpu_seconds": round(self._read_cpu() - self.cpu, 1)}
        if self.samples:
            sizes = [round(size, 1) for _, size in self.samples]
            minute = [size for second, size in self.samples if 55 <= second <= 95]
            early, last = statistics.mean(minute or sizes[:1]), statistics.mean(sizes[-4:])
            row["memory_change_percent"] = round(100 * (last / early - 1), 2)
            row["memory_mib"] = sizes
        return row


def report(name: str, tally: Tally, seconds: float, **more: object) -> None:
    ranked = sorted(tally.seconds)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    row = {
        "mode": name,
        "seconds": round(seconds, 1),
        "requests": len(ranked),
        "requests_per_second": round(len(ranked) / seconds, 1),
        "texts_per_second": round(tally.texts / seconds, 1),
        "words_per_text": round(tally.words / max(1, tally.texts), 1),
        "failed": tally.failed,
        "wrong": tally.wrong,
        "median_ms": round(1000 * statistics.median(ranked), 1),
        "p99_ms": round(1000 * ranked[int(0.99 * (len(ranked) - 1))], 1),
        "max_ms": round(1000 * ranked[-1], 1),
        "client_cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        **more,
    }
    print(json.dumps(row), flush=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["load", "latency", "mixed"])
    parser.add_argument("address")
    parser.add_argument("sentences", type=Path)
    parser.add_argument("expected", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--texts", type=int, default=1, help="sentences in a request")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--lines",
        type=int,
        default=2000,
        help="number of lines of the long text in the mode `mixed`",
    )
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="fr")
    parser.add_argument(
        "--server",
        type=int,
        help="process id of the server: the mode `load` then measures its memory and CPU time",
    )
    parser.add_argument("--api", choices=["libre", "v1", "eole"], default="libre")
    parser.add_argument(
        "--tokens",
        type=int,
        default=0,
        help="exact number of tokens of each translation; 0: the model decides",
    )
    return parser.parse_args()


async def load(given: argparse.Namespace, pairs: list[tuple[str, str]]) -> None:
    tally, started = Tally(), time.monotonic()
    watch = Watch(given.server) if given.server else None
    task = asyncio.create_task(watch.run()) if watch else None
    until = started + given.seconds
    await asyncio.gather(
        *(
            client(Connection(given), pairs, tally, until=until, size=given.texts, seed=seed)
            for seed in range(given.clients)
        )
    )
    seconds = time.monotonic() - started
    if task:
        task.cancel()
    more = watch.report() if watch else {}
    report("load", tally, seconds, clients=given.clients, size=given.texts, **more)


async def main() -> None:
    given = read_arguments()
    files = (given.sentences, given.expected)
    sides = [path.read_text(encoding="utf-8").split("\n")[:-1] for path in files]
    pairs = list(zip(*sides, strict=True))
    if given.mode == "load":
        await load(given, pairs)
        return
    tally, started = Tally(), time.monotonic()
    until = started + given.seconds
    short = client(Connection(given), pairs, tally, until=until, size=1, seed=1, pause=0.02)
    if given.mode == "latency":
        await short
        report("latency", tally, time.monotonic() - started)
        return
    long, background = Connection(given), Tally()
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
