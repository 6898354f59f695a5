"""The pointer-generator, a decoder that can copy tokens from the source (See et al. 2017)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.decoder import Decoder
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.nn.linear import softmax_dtype


class CopyingDecoder(Decoder):
    """A decoder that mixes the output layer with the attention weights α (See et al. 2017):

        p(y) = g p_vocabulary(y) + (1 - g) Σ_{i: x_i = y} α_i
        g = sigmoid(w · r + b)

    Here, x_i is the source token at position i, and r is the readout. The ids V to V + S - 1 stand
    for tokens that the target vocabulary lacks. The decoder can copy these tokens, but it reads
    them as <unk>. `TranslationNetwork.start` adds the target id of each source token to the
    prepared data, [B, S] int64.
    """

    is_mixture = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gate = nn.Linear(self.output.in_features, 1)

    def read(
        self, state: DecoderState, tokens: Tensor
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Run the decoder over T given tokens, as `Decoder.read` explains."""
        *prepared, copied = state.prepared
        r, weights, after = super().read(replace(state, prepared=tuple(prepared)), tokens)
        return r, weights, replace(after, prepared=(*after.prepared, copied))

    def predict(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Return log-probabilities [N, T, V + S], attention weights and the state after T tokens.

        The probability of an id that stands for no token of the source is 0. `Decoder.predict`
        explains the arguments.
        """
        r, weights, after = self.read(state, tokens)
        assert weights is not None
        return self._mix(r, weights, state), weights, after

    def step(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Read one token per row and predict the next token, as `Decoder.step` explains."""
        log_p, _, after = self.predict(state, tokens.unsqueeze(1))
        return log_p.squeeze(1), after

    def _mix(self, r: Tensor, weights: Tensor, state: DecoderState) -> Tensor:
        logits = self.output(r)
        copied = state.prepared[-1].repeat_interleave(state.rows_per_source, dim=0)  # [N, S]
        copied = copied.unsqueeze(1).expand(weights.shape)
        p = copy_mixture(logits, self.gate(r), copied, weights, copied.shape[2])
        return log_of_positive(p).masked_fill(p == 0, float("-inf"))


def copy_mixture(
    logits: Tensor, gate: Tensor, copied: Tensor, weights: Tensor | float, S: int
) -> Tensor:
    """Return the probabilities g softmax(logits) + (1 - g) Σ_{i: x_i = y} α_i, [..., V + S].

    Args:
        logits: The logits of the vocabulary, [..., V].
        gate: The value whose sigmoid is g, [..., 1].
        copied: The target ids x_i of source tokens, [..., I] int64, from 0 to V + S - 1.
        weights: The weights α_i, [..., I].
        S: The length of the sources.
    """
    wide = softmax_dtype(logits)
    g = torch.sigmoid(gate.to(wide))
    p = F.pad(logits.softmax(dim=-1, dtype=wide) * g, (0, S))
    return p.scatter_add(-1, copied, ((1 - g) * weights).to(wide))


def log_of_positive(p: Tensor) -> Tensor:
    """Return log p, where 0 counts as the smallest normal number, so that gradients are finite."""
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()
