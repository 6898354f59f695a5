"""Actions of a transducer, found by aligning source and target tokens with EM.

A transducer reads the source with a pointer, which starts at the first token. An action writes a
target token, or moves the pointer to the next source token, or does both. Let V be the number of
target tokens, including the special tokens. The ids of the actions are:

- i: write token i and move on. At the end of the source (at its EOS), the pointer stays there.
- V + i: write token i without moving. This is impossible at the end of the source.
- BOS: move on without writing. This is impossible at the end of the source.
- EOS: end the target. This is possible only at the end of the source.
- 2V + j: copy the source token at position j, which the target vocabulary lacks, and move on (see
  `seq2seq.text.open_vocabulary`).

Many series of actions write the same target. `ActionModel` chooses the most likely one. In this
model, each action either writes or moves. Its probability depends only on the source token at the
pointer, and on whether an earlier action has already written something there. EM learns these
probabilities from pairs of source and target (like Ristad and Yianilos 1998, but conditional on the
source).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seq2seq.checked_files import read_json_text
from seq2seq.errors import UserError
from seq2seq.text.features import tokens_of
from seq2seq.text.lattice import IdPair, Lattice, chunk_pairs
from seq2seq.text.open_vocabulary import close_ids
from seq2seq.text.tokenizer import Tokenizer

IdRow = np.ndarray | list[int]

_ITERATIONS = 30  # largest number of iterations of EM
_PRECISION = 1e-3  # relative gain of the log-likelihood at which EM stops
_MOVES = np.array([0.3, 3.0])  # initial odds of a move, before and after a token is written
_SAME = 20.0  # initial factor of the odds that a source token is written as itself
_FLOOR = 1e-7  # probability of actions that do not occur in the training pairs
MOST_ACTIONS = 1 << 22  # largest product of the sizes of both vocabularies


def forbidden_ids(target: Tokenizer, *, transducer: bool) -> list[int]:
    """Return the ids that a search never chooses.

    These are <pad>, <unk> and BOS. For a transducer, BOS is permitted, because it is the id of a
    move, but the action V + i is forbidden for each special token i.
    """
    never = [target.pad, target.unk]
    if not transducer:
        return [*never, target.bos]
    return never + [len(target) + i for i in (*never, target.bos, target.eos)]


def action_ids(source: Tokenizer, target: Tokenizer) -> dict[str, Any]:
    """Return the fields `unk`, `eos` and `move` of an `ActionModel` for two tokenizers."""
    return {
        "unk": (source.unk, target.unk),
        "eos": (source.eos, target.eos),
        "move": target.bos,
    }


@dataclass(frozen=True)
class ActionModel:
    """The probability of each action at each source token.

    table: p(action | source token), [source tokens and features, target tokens, 2]. The last axis
        is 0 for the first action at a token, and 1 for any later action.
    unk: the ids of <unk> in the source and in the target.
    eos: the ids of EOS in the source and in the target.
    move: the id of the action that only moves. It is the id of BOS in the target.
    """

    table: np.ndarray
    unk: tuple[int, int]
    eos: tuple[int, int]
    move: int

    @classmethod
    def start(cls, same: np.ndarray, size: int, features: int, **ids: Any) -> ActionModel:
        """Return the model before the first iteration of EM.

        same: for each source token, the id of the target token with the same text, [source tokens].
            An id of at least `size` means that no target token has this text.
        size: the number of target tokens.
        features: the number of features, whose ids follow those of the source tokens. At a feature,
            the only action is the move.
        ids: the fields `unk`, `eos` and `move` of the model.
        """
        table = np.ones((len(same) + features, size, 2))
        known = np.flatnonzero(same < size)
        table[known, same[known]] *= _SAME
        table[len(same) :] = 0
        table[:, ids["move"]] = size * _MOVES
        return cls(table / table.sum(axis=1, keepdims=True), **ids)

    def fit(self, pairs: Sequence[IdPair]) -> ActionModel:
        """Learn the model with EM from pairs of source and target ids without EOS. Return it."""
        model, before = self, -np.inf
        for _ in range(_ITERATIONS):
            model, likelihood = model.improve(pairs)
            if likelihood - before < _PRECISION * abs(likelihood):
                break
            before = likelihood
        return model

    def improve(self, pairs: Sequence[IdPair]) -> tuple[ActionModel, float]:
        """Return the model after one iteration of EM, and the log-likelihood before it."""
        counts, total = np.zeros_like(self.table), 0.0
        for rows in chunk_pairs(pairs):
            total += self._lattice([pairs[row] for row in rows]).add_counts(counts)
        mass = counts.sum(axis=1, keepdims=True)
        table = np.where(mass > 0, counts / np.where(mass > 0, mass, 1), self.table)
        return replace(self, table=table), total

    def write(self, sources: Sequence[IdRow], targets: Sequence[list[int]]) -> list[list[int]]:
        """Return, for each target, the most likely series of actions that writes it, without EOS.

        sources, targets: encoded sources and targets (see `seq2seq.text.open_vocabulary`), without
            EOS.
        """
        both = [self.pair(*pair) for pair in zip(sources, targets, strict=True)]
        found: list[list[int]] = [[]] * len(both)
        for rows in chunk_pairs(both):
            lattice = self._lattice([both[row] for row in rows], _FLOOR)
            for row, path in zip(rows, lattice.best(), strict=True):
                found[row] = self._fold(path, tokens_of(np.asarray(sources[row])), targets[row])
        return found

    def _lattice(self, pairs: Sequence[IdPair], floor: float = 0.0) -> Lattice:
        with np.errstate(divide="ignore"):
            table = np.log(np.maximum(self.table, floor))
        return Lattice(table, pairs, self.eos, self.move)

    def written(self, actions: Sequence[int]) -> list[int]:
        """Return the target ids that a series of actions writes."""
        V = self.table.shape[1]
        return [i if i < V else i - V for i in actions if i != self.move]

    def _fold(self, path: list[int], source: np.ndarray, target: list[int]) -> list[int]:
        """Return the actions of the transducer, given a series of writes and moves.

        path: the token ids that are written, and `move` for each move.
        source, target: the encoded pair. It may contain ids of tokens that a vocabulary lacks.
        """
        V, tokens, actions = self.table.shape[1], iter(target), []
        runs: list[list[int]] = [[]]
        for i in path:
            if i == self.move:
                runs.append([])
            else:
                runs[-1].append(next(tokens))
        for place, run in enumerate(runs):
            ended = place == len(source)
            for number, i in enumerate(run):
                last = number == len(run) - 1
                if i >= V:  # only the token at the pointer can be copied
                    here = last and not ended and source[i - V] == source[place]
                    i = i + V if here else self.unk[1]
                actions.append(i if last or ended or i >= V else i + V)
            if not run and not ended:
                actions.append(self.move)
        return actions

    def pair(self, source: IdRow, target: IdRow) -> IdPair:
        """Return the ids of a pair, with <unk> for tokens that a vocabulary lacks."""
        ids = tokens_of(np.asarray(source, np.int64)), np.asarray(target, np.int64)
        one, other = map(close_ids, ids, self.table.shape[:2], self.unk)
        return one, other

    def to_bytes(self) -> bytes:
        """Return the content of a JSON file that stores the model."""
        rows = [
            {str(i): values[i].tolist() for i in np.flatnonzero(values.max(axis=1) > _FLOOR)}
            for values in self.table
        ]
        ids = {"unk": self.unk, "eos": self.eos, "move": self.move}
        return (json.dumps({**ids, "sizes": self.table.shape[:2], "table": rows}) + "\n").encode()

    @classmethod
    def from_bytes(
        cls, content: bytes, where: str, sizes: tuple[int, int], **ids: Any
    ) -> ActionModel:
        """Read the result of `to_bytes`.

        sizes: the number of source tokens and features, and the number of target tokens.
        ids: the fields `unk`, `eos` and `move` of the model.

        Raises UserError, naming `where`, if the file is damaged or has other sizes or ids.
        """
        try:
            values = read_json_text(content)
            expected = json.loads(json.dumps({**ids, "sizes": sizes}))
            alike = {name: values[name] for name in expected} == expected
            if not alike or sizes[0] * sizes[1] > MOST_ACTIONS:
                raise ValueError
            table = np.zeros((*sizes, 2))
            for row, entries in zip(table, values["table"], strict=True):
                for column, p in entries.items():
                    row[int(column)] = p
            if not ((table >= 0) & (table < np.inf)).all():
                raise ValueError
            return cls(table, **ids)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
            raise UserError(f"{where}: the file is damaged; copy the model folder again") from None
