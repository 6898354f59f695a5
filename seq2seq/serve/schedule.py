"""Decide which worker process of the server gets which texts, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator

from seq2seq.serve.keeper import Keeper
from seq2seq.serve.tickets import Lane, WorkBatch

Place = tuple[Keeper, int]
"""A lane of a worker: the keeper of the worker and the number of the lane."""

_SHORT_BATCH, _LONG_BATCH = (64, 8_000), (256, 32_000)  # items and characters
_MEMORY = 0.9  # weight of the past in the measured speed
# The clients of a batch that is finished are about to send again. A worker that waits for them
# translates them together, which is much faster than one by one.
_MANY, _WAIT = 8, 0.2  # texts from which this counts, and the share of a batch's time to wait
_FEWEST = 16  # texts that are not shared among workers


class Schedule:
    """The queues of short and of long requests, and the current batch of each worker.

    speed: the measured number of items that a worker finishes per second.
    """

    def __init__(self) -> None:
        self.lanes = [Lane(*_SHORT_BATCH), Lane(*_LONG_BATCH)]
        self.running: dict[Place, WorkBatch] = {}
        self.idle: set[Place] = set()
        self.speed = 100.0
        self._pace = 0.0  # seconds of a batch in the short lane
        self._held: dict[Place, tuple[int, float]] = {}

    def assign(self, lane: int) -> Iterator[tuple[Place, WorkBatch]]:
        """Yield a batch for each idle worker while items wait.

        lane: 0 for the queue of short requests, 1 for that of long ones.
        """
        idle = [place for place in self.idle if place[1] == lane and not self._is_held(place)]
        while idle:
            batch = self.lanes[lane].take(max(_FEWEST, self._share(lane)))
            if batch is None:
                return
            place = idle.pop()
            self.idle.discard(place)
            self._held.pop(place, None)
            self.running[place] = batch
            yield place, batch

    def finish(self, place: Place) -> WorkBatch:
        """Return the batch that a worker has finished. The worker becomes idle."""
        batch = self.running.pop(place)
        seconds = time.monotonic() - batch.started
        speed = len(batch.places) / max(seconds, 1e-3)
        self.speed = _MEMORY * self.speed + (1 - _MEMORY) * speed
        if place[1] == 0:
            self._pace = (self._pace + seconds) / 2
            wanted = self._share(0, len(batch.places))
            if wanted >= _MANY:
                self._held[place] = wanted, _WAIT * self._pace
        self.idle.add(place)
        return batch

    def hold(self, place: Place) -> float:
        """Return how many seconds an idle worker waits to collect more texts, or 0."""
        return self._held[place][1] if place in self._held else 0.0

    def release(self, place: Place) -> None:
        """Let an idle worker start a batch without waiting for more texts."""
        self._held.pop(place, None)

    def remove(self, place: Place) -> WorkBatch | None:
        """Remove a worker that died. Return the batch that it worked on, or None."""
        self.idle.discard(place)
        self._held.pop(place, None)
        return self.running.pop(place, None)

    def _is_held(self, place: Place) -> bool:
        wanted, _ = self._held.get(place, (0, 0.0))
        return self.lanes[place[1]].waiting < wanted

    def _share(self, lane: int, finished: int = 0) -> int:
        """Return the number of texts per worker, if all workers shared them evenly.

        lane: 0 for texts of short requests, 1 for those of long ones.
        finished: the number of texts in a batch that just ended. Their clients may send more.
        """
        running = [batch for (_, other), batch in self.running.items() if other == lane]
        workers = len(running) + sum(other == lane for _, other in self.idle)
        total = self.lanes[lane].waiting + sum(len(batch.places) for batch in running) + finished
        return -(-total // max(1, workers + bool(finished)))
