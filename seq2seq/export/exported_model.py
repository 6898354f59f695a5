"""One exported model in ONNX Runtime, which creates search states and extends them by a token.

Shapes use these letters: B sources, N hypotheses, S source length, V vocabulary, n candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq.export.artifact import Export
from seq2seq.export.search_state import Candidates, MemberState
from seq2seq.export.sessions import Session
from seq2seq.export.shortlist import Shortlist
from seq2seq.export.token_tables import TokenTables
from seq2seq.text.features import tokens_of
from seq2seq.text.open_vocabulary import close_ids

_PREFIX = "next."


class ExportedModel:
    """One exported model, ready for a search."""

    def __init__(self, export: Export) -> None:
        self.export, self.eos = export, export.codec.source.eos
        prepare = Session(export.graph("prepare"))
        self._step = Session(export.graph("step"))
        self._after = [_PREFIX + name for name in export.rows]
        self._step.require(
            ["tokens", *export.rows, *export.memory], ["log_probabilities", *self._after]
        )
        self._step_tables = TokenTables(prepare, self._step, export.table_size)
        self._encode: Session | None = None
        if export.memory:
            self._encode = Session(export.graph("encode"))
            self._encode.require(["tokens"], [*export.rows, *export.memory])
            self._encode_tables = TokenTables(prepare, self._encode, export.table_size)
        self._choose: Session | None = None
        if export.has_shortlist:
            self._choose = Session(export.graph("candidates"))
            sizes = len(export.codec.source), len(export.codec.target)
            self.shortlist = Shortlist.load(export.folder, sizes)
        self._masked = "mask" in self._step.inputs
        self.copies = "copied" in self._step.inputs
        self.reads_written = "written" in self._step.inputs
        self.has_features = self._encode is not None and "features" in self._encode.inputs
        # The axes of each array of the state that grow with the length of the source.
        shapes = map(self._step.shape, export.rows)
        self._row_axes = [[i for i, size in enumerate(one) if "S" in str(size)] for one in shapes]

    def start(self, sources: Sequence[np.ndarray]) -> MemberState:
        """Return the state before the first token, with one row for each source."""
        if self._encode is None:
            rows = [
                np.zeros((len(sources), self._step.width(name)), np.float32)
                for name in self.export.rows
            ]
            return MemberState(rows, {})
        lengths = np.array([len(ids) for ids in sources])
        if (lengths == lengths[0]).all():
            return self._encode_alike(sources)
        groups = [np.flatnonzero(lengths == length).tolist() for length in np.unique(lengths)]
        parts = [self._encode_alike([sources[i] for i in group]) for group in groups]
        return self._merge(parts, np.argsort(np.concatenate(groups)), int(lengths.max()) + 1)

    def _encode_alike(self, sources: Sequence[np.ndarray]) -> MemberState:
        assert self._encode is not None
        tokens = np.full((len(sources), len(sources[0]) + 1), self.eos, np.int64)
        tokens[:, :-1] = np.stack([tokens_of(source) for source in sources])
        if self.copies:
            copied = self.export.codec.copy_table.copied(tokens)
            tokens = close_ids(tokens, *self.export.codec.open_source)
        feeds = {"tokens": tokens}
        if "features" in self._encode.inputs:
            feeds["features"] = _stack_features(sources)
        memory_names = list(self.export.memory)
        for ids in feeds.values():
            self._encode_tables.require(ids)
        outputs = self._encode.run(
            {**feeds, **self._encode_tables.arrays}, self.export.rows + memory_names
        )
        count = len(self.export.rows)
        memory = dict(zip(memory_names, outputs[count:], strict=True))
        if self._masked:
            memory["mask"] = np.zeros(tokens.shape, np.float32)
        if self.copies:
            memory["copied"] = copied
        return MemberState(outputs[:count], memory)

    def _merge(self, parts: list[MemberState], order: np.ndarray, size: int) -> MemberState:
        """Merge the states of sources of different lengths into one state.

        order: the position of each source in the merged state.
        size: the length of the longest source.
        """
        rows = []
        for growing, *pieces in zip(self._row_axes, *(part.rows for part in parts), strict=True):
            for axis in growing:
                width = max(piece.shape[axis] for piece in pieces)
                pieces = [_pad(piece, axis, width, -np.inf) for piece in pieces]
            rows.append(np.concatenate(pieces)[order])
        memory = {}
        axes: dict[str, int | None] = dict(self.export.memory)
        if self._masked:
            axes["mask"] = 1
        if self.copies:
            axes["copied"] = 1
        for name, axis in axes.items():
            pieces = [part.memory[name] for part in parts]
            if axis is not None:
                fill = -np.inf if name == "mask" else 0.0
                pieces = [_pad(piece, axis, size, fill) for piece in pieces]
            memory[name] = np.concatenate(pieces)[order]
        return MemberState(rows, memory)

    def step(
        self, state: MemberState, tokens: np.ndarray, *, attention: bool = False
    ) -> tuple[np.ndarray, MemberState]:
        """Extend each hypothesis of the search by one token.

        tokens: the last token of each of the N hypotheses, [N] int64.

        Returns the log-probabilities [N, V] float32 and the next state. With a shortlist, the
        log-probabilities have one column for each candidate. If `attention` is true, the attention
        weights [B, K, S] are returned instead of the log-probabilities.
        """
        codec, closed = self.export.codec, tokens
        if self.copies:
            closed = close_ids(tokens, codec.target_size, codec.target.unk)
        self._step_tables.require(closed)
        feeds: dict[str, Any] = {"tokens": closed, **self._step_tables.arrays}
        if self.reads_written:
            feeds["written"] = tokens
        feeds.update(zip(self.export.rows, state.rows, strict=True))
        for name, part in state.memory.items():
            feeds[name] = part
            if not self._masked and self.export.memory[name] is not None:
                feeds[name] = _at_position(part, state.position)
        if state.candidates:
            feeds.update(state.candidates.parts)
        wanted = "weights" if attention else "log_probabilities"
        values, *rows = self._step.run(feeds, [wanted, *self._after])
        after = MemberState(
            rows, state.memory, state.rows_per_source, state.position + 1, state.candidates
        )
        return values, after

    def choose(self, ids: np.ndarray) -> Candidates:
        """Return rare tokens together with their columns of the output layer.

        ids: the token ids, [B, n] or [1, n] int64 (see `Candidates`).
        """
        assert self._choose is not None
        values = self._choose.run({"ids": ids})
        return Candidates(ids, dict(zip(self._choose.outputs, values, strict=True)))

    @property
    def attends(self) -> bool:
        """Whether the model has attention."""
        return self._masked


def _stack_features(sources: Sequence[np.ndarray]) -> np.ndarray:
    """Return the features of sources of one length, [B, S + 1, K] int64. EOS has no features."""
    most = max(source.shape[1] if source.ndim == 2 else 1 for source in sources)
    features = np.zeros((len(sources), len(sources[0]) + 1, max(1, most - 1)), np.int64)
    for row, source in zip(features, sources, strict=True):
        if source.ndim == 2:
            row[:-1, : source.shape[1] - 1] = source[:, 1:]
    return features


def _pad(array: np.ndarray, axis: int, size: int, fill: float) -> np.ndarray:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, size - array.shape[axis])
    return np.pad(array, widths, constant_values=fill)


def _at_position(share: np.ndarray, position: int) -> np.ndarray:
    """Return the values at one source position, [B, F], or zeros after the end of the source.

    share: the values at all positions, [B, S, F].
    """
    if position < share.shape[1]:
        return np.ascontiguousarray(share[:, position])
    return np.zeros((len(share), share.shape[2]), np.float32)
