"""The engine of exported models: ONNX Runtime runs the networks, and NumPy does the rest.

Shapes use these letters: B sources, N hypotheses, S source length, V size of the vocabulary.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seq2seq.errors import UserError
from seq2seq.export.array_log_probabilities import ArrayLogProbabilities
from seq2seq.export.artifact import Export
from seq2seq.export.candidates import CandidateLogProbabilities
from seq2seq.export.exported_model import ExportedModel
from seq2seq.export.search_state import MemberState
from seq2seq.export.trial import try_out
from seq2seq.text.features import tokens_of


class OnnxEngine:
    """Runs one export, or an ensemble of exports, in ONNX Runtime for the search.

    It implements `seq2seq.decoding.engine.Engine`. The exports must have one vocabulary. In an
    ensemble, each step averages the probabilities.

    needs_equal_lengths: whether all sources of a batch must have the same length. Otherwise the
        results of an int8 model could depend on the batch. False for models with a fixed context
        vector, because their decoder steps do not depend on the length of the source.
    """

    def __init__(self, exports: Sequence[Export]) -> None:
        """Open the exports.

        Raises UserError for exports whose vocabularies or shortlists do not match, and as `Session`
        does.
        """
        for number, export in enumerate(exports[1:], start=2):
            if export.codec != exports[0].codec:
                raise UserError(
                    f"{export.folder}: models 1 and {number} of the ensemble have different "
                    "vocabularies: use models that were trained with the same tokenizer"
                )
        self.members = [ExportedModel(export) for export in exports]
        for member in self.members:
            try_out(member)
        self.needs_equal_lengths = any(
            export.precision == "int8" and any(axis is not None for axis in export.memory.values())
            for export in exports
        )
        if len({export.has_shortlist for export in exports}) > 1:
            raise UserError(
                "only some exports of the ensemble have a shortlist: export all models with "
                "--shortlist, or all without it"
            )
        self._size = len(exports[0].codec.target)
        self._has_shortlist, self._whole = exports[0].has_shortlist, False
        if self._has_shortlist:
            self._set_frequent()

    def _set_frequent(self) -> None:
        """Store the frequent tokens of the shortlists. Raises UserError unless they are equal."""
        first, *others = (member.shortlist.frequent for member in self.members)
        if not all(np.array_equal(first, other) for other in others):
            raise UserError(
                "the shortlists of the ensemble have different frequent tokens: export its models "
                "from the same training data, or without --shortlist"
            )
        self._frequent = first.astype(np.int64)
        self._column = np.full(self._size, -1)
        self._column[self._frequent] = np.arange(len(first))

    def over_whole_vocabulary(self) -> OnnxEngine:
        """Return a copy of this engine that ignores the shortlist, to score given targets."""
        engine = copy.copy(self)
        engine._whole = True
        return engine

    def start(self, sources: Sequence[np.ndarray]) -> list[MemberState]:
        """Return the state before the first token (see `Engine.start`).

        An ensemble uses the shortlist of its first model.
        """
        states = [member.start(sources) for member in self.members]
        if not self._has_shortlist:
            return states
        if self._whole:
            others = np.flatnonzero(self._column < 0)
            ids = (others if len(others) else np.array([-1]))[None]
        else:
            ids = self.members[0].shortlist.rare([tokens_of(source) for source in sources])
        return [
            replace(state, candidates=member.choose(ids))
            for member, state in zip(self.members, states, strict=True)
        ]

    def step(
        self, state: list[MemberState], tokens: np.ndarray
    ) -> tuple[ArrayLogProbabilities, list[MemberState]]:
        """Return log-probabilities, averaged over the ensemble, and the next state."""
        results = [
            member.step(part, tokens) for member, part in zip(self.members, state, strict=True)
        ]
        arrays = [values for values, _ in results]
        log_p = arrays[0]
        if len(arrays) > 1:
            for values in arrays[1:]:
                log_p = np.logaddexp(log_p, values)
            log_p = log_p - np.float32(math.log(len(arrays)))
        following = [after for _, after in results]
        if candidates := state[0].candidates:
            rare = candidates.ids
            return CandidateLogProbabilities(log_p, self._frequent, self._column, rare), following
        return ArrayLogProbabilities(log_p), following

    def select(self, state: list[MemberState], rows: np.ndarray) -> list[MemberState]:
        """Return a state with the given rows of `state` (see `Engine.select`)."""
        return [part.select(rows) for part in state]

    def weights(
        self, state: list[MemberState], targets: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """Return the attention weights, averaged over the ensemble (see `Engine.weights`)."""
        if not all(member.attends for member in self.members):
            raise ValueError(
                "a network with a fixed context vector has no attention weights; use "
                "a model with attention"
            )
        longest = max(map(len, targets))
        inputs = np.zeros((longest, len(targets)), np.int64)
        for row, ids in enumerate(targets):
            inputs[: len(ids), row] = ids
        steps = []
        for tokens in inputs:
            results = [
                member.step(part, tokens, attention=True)
                for member, part in zip(self.members, state, strict=True)
            ]
            state = [following for _, following in results]
            mean = np.mean([values for values, _ in results], axis=0)
            steps.append(mean.reshape(len(targets), -1))
        whole = np.stack(steps, axis=1)  # [B, T, S]
        return [row[: len(ids)] for row, ids in zip(whole, targets, strict=True)]
