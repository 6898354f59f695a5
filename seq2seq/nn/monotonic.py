"""Hard monotonic attention, trained with the exact marginal likelihood (Wu and Cotterell 2019).

Every target token y_t is written from exactly one position a_t of the source, and these positions
never move back: a_t ≥ a_{t-1}. The positions are not observed, so the probability of a target is a
sum over all monotonic alignments. This is the model of first order:

    p(y_t | y_<t, x) = Σ_i π_t(i) p(y_t | a_t = i, y_<t, x)
    π_t(i) = Σ_{j ≤ i} p(a_t = i | a_{t-1} = j, y_<t, x) p(a_{t-1} = j | y_<t, x)
    p(a_t = i | a_{t-1} = j, y_<t, x) = exp e_ti / Σ_{k ≥ j} exp e_tk

e_ti is the score of additive attention for step t and position i. The last factor of π_t is the
posterior of the position after the token y_{t-1} is known. It is proportional to
π_{t-1}(j) p(y_{t-1} | a_{t-1} = j, y_<t-1, x). The attention weights of step t are π_t.

The recurrent state does not depend on the alignment, so all steps of the recurrence run at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seq2seq.errors import UserError
from seq2seq.nn.attention import AdditiveAttention
from seq2seq.nn.copying import copy_mixture, log_of_positive
from seq2seq.nn.decoder import Decoder
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import linear, softmax_dtype

LARGEST_VOCABULARY = 1000  # tokens
_NUMBERS = 1 << 24  # approximate number of floats of readouts and logits that are in memory at once
# Logarithms of probabilities that are 0. With -inf, gradients would be NaN.
_PADDING, _IMPOSSIBLE = -1e4, -1e9


class MonotonicAttention(AdditiveAttention):
    """The scores of additive attention, from which the alignments of `MonotonicDecoder` follow."""

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(state_size, value_size, query_size, size)
        self.fed_size = 0

    def transitions(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Return log p(a_t = i | a_{t-1} = j), [N, T, S, S]. The last axis is i.

        Args:
            query: The queries, [N, T, Q], where N is a multiple of B.
            keys: The keys, [B, S, A].
            mask: True at tokens, [B, S] bool.
        """
        (rows, steps), (sources, S) = query.shape[:2], mask.shape
        scores = self.scores(query.reshape(sources, rows // sources * steps, -1), keys)
        scores = scores.to(softmax_dtype(scores)).masked_fill(~mask[:, None, None], _PADDING)
        back = torch.ones(S, S, dtype=torch.bool, device=mask.device).tril(-1)  # i < j
        return scores.view(rows, steps, 1, S).masked_fill(back, _IMPOSSIBLE).log_softmax(dim=-1)


class MonotonicDecoder(Decoder):
    """A decoder with hard monotonic attention. The module's docstring gives the equations.

    The readout of position i is r_ti = tanh(W [h_t ; y_{t-1} ; v_i] + b), where v_i is the value of
    this position. The probability p(y_t | a_t = i) is softmax(O r_ti + o). With copying, it is
    g_ti softmax(O r_ti + o) + (1 - g_ti) [y_t = x_i] with g_ti = sigmoid(w · r_ti + b), and the ids
    and the prepared data are those of `CopyingDecoder`.

    Raises UserError for a large vocabulary, because every pair of a source and a target token has
    V logits.
    """

    is_mixture = True
    context: MonotonicAttention

    def __init__(self, *args: Any, copying: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gate = nn.Linear(self.output.in_features, 1) if copying else None
        if (size := self.output.out_features) > LARGEST_VOCABULARY:
            raise UserError(
                f"context.kind = 'monotonic' is too slow for {size:,} target tokens: use at most "
                f"{LARGEST_VOCABULARY:,}, for example with tokenizer.target.kind = 'char', or use "
                "another context.kind"
            )

    def start(self, memory: Memory) -> DecoderState:
        """Return the state before the first token. It holds W v_i, [B, S, E], instead of v_i."""
        keys, values, mask = self.context.prepare(memory)
        of_value = self.readout.weight[:, -self.context.size :]
        prepared = keys, linear(values, of_value, None), mask
        return DecoderState(self._initial_state(memory.summary), prepared)

    def predict(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """Run the decoder over T given tokens. The attention weights are π_t, [N, T, S].

        `Decoder.predict` explains the arguments and the result.
        """
        embedded = self.embedding_dropout(self.embedding(tokens))  # [N, T, E]
        query, recurrent = self.stack(embedded, state=state.recurrent)
        of_input = self.readout.weight[:, : -self.context.size]
        known = torch.cat([self.dropout(query), embedded], dim=-1)
        known = linear(known, of_input, self.readout.bias)  # [N, T, E]
        written = tokens if written is None else written
        parts = []
        for sources, rows in self._pieces(state, known):
            joint = None if state.joint is None else state.joint[rows]
            prepared = [part[sources] for part in state.prepared]
            mixed = self._mix, query[rows], known[rows], written[rows], joint, *prepared
            if torch.is_grad_enabled() and len(query[rows]) < len(query):
                parts.append(checkpoint(*mixed, use_reentrant=False))
            else:
                parts.append(mixed[0](*mixed[1:]))
        log_p, weights, joint = (torch.cat(part) for part in zip(*parts, strict=True))
        return log_p, weights, replace(state, recurrent=recurrent, joint=joint)

    def step(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Read one token per row and predict the next token, as `Decoder.step` explains."""
        known = tokens if written is None else written
        log_p, _, after = self.predict(state, tokens.unsqueeze(1), known.unsqueeze(1))
        return log_p.squeeze(1), after

    def read(
        self, state: DecoderState, tokens: Tensor
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Raise NotImplementedError, because a step has a readout for every position."""
        raise NotImplementedError

    def attend(self, state: DecoderState, tokens: Tensor, written: Tensor | None = None) -> Tensor:
        """Return the attention weights π_t, [N, T, S]."""
        return self.predict(state, tokens, written)[1]

    def _pieces(self, state: DecoderState, known: Tensor) -> Iterator[tuple[slice, slice]]:
        """Yield slices of the sources and of their rows whose readouts and logits fit in memory."""
        sources, S = state.prepared[2].shape
        steps, size = len(known) // sources * known.shape[1], sum(self.output.weight.shape)
        count = min(sources, -(-sources * steps * S * size // _NUMBERS))
        each = state.rows_per_source
        for start, end in pairwise(sources * i // count for i in range(count + 1)):
            yield slice(start, end), slice(start * each, end * each)

    def _mix(
        self,
        query: Tensor,
        known: Tensor,
        written: Tensor,
        joint: Tensor | None,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        copied: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the log-probabilities [N, T, V], the weights π [N, T, S] and the new joint.

        known: The part of the readout that all positions share, before tanh, [N, T, E].
        """
        N, T, E = known.shape
        values = values.repeat_interleave(N // len(values), dim=0).unsqueeze(1)  # [N, 1, S, E]
        r = torch.tanh(known.unsqueeze(2) + values)  # [N, T, S, E]
        emission = self._emission(self.dropout(r.view(N, -1, E)).view(r.shape), copied)
        moves = self.context.transitions(query, keys, mask)  # [N, T, S, S]
        if joint is None:  # before the first step, the alignment is at the first position
            position = torch.full_like(moves[:, 0, 0], _IMPOSSIBLE)
            position[:, 0] = 0
        else:
            position = joint[torch.arange(N, device=joint.device), written[:, 0]].log_softmax(dim=1)
        following = written[:, 1:, None, None].expand(-1, -1, r.shape[2], 1)
        of_token = emission[:, :-1].gather(3, following).squeeze(3)  # [N, T - 1, S]
        prior = []
        for t in range(T):
            prior.append((position.unsqueeze(2) + moves[:, t]).logsumexp(dim=1))  # [N, S]
            if t + 1 < T:
                position = (prior[t] + of_token[:, t]).log_softmax(dim=1)
        log_weights = torch.stack(prior, dim=1)
        both = log_weights.unsqueeze(3) + emission  # [N, T, S, V]
        log_p = both.logsumexp(dim=2)
        if copied is not None:
            log_p = log_p.masked_fill(self._missing(copied, N), float("-inf"))
        return log_p, log_weights.exp(), both[:, -1].transpose(1, 2)

    def _emission(self, r: Tensor, copied: Tensor | None) -> Tensor:
        """Return the log-probability of each token at each position, [N, T, S, V] or V + S.

        r: The readouts, [N, T, S, E].
        """
        logits = self.output(r)
        if self.gate is None or copied is None:
            log_p: Tensor = logits.log_softmax(dim=-1, dtype=softmax_dtype(logits))
            return log_p
        (N, T, S), sources = r.shape[:3], len(copied)
        ids = copied.repeat_interleave(N // sources, dim=0)[:, None, :, None].expand(N, T, S, 1)
        return log_of_positive(copy_mixture(logits, self.gate(r), ids, 1.0, S))

    def _missing(self, copied: Tensor, rows: int) -> Tensor:
        """Return which ids from V to V + S - 1 stand for no token, [N, 1, V + S] bool."""
        V, S = self.output.out_features, copied.shape[1]
        missing = torch.ones(len(copied), V + S, dtype=torch.bool, device=copied.device)
        missing[:, :V] = False
        missing.scatter_(1, copied, False)
        return missing.repeat_interleave(rows // len(copied), dim=0).unsqueeze(1)
