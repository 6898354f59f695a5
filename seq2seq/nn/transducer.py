"""A transducer, a decoder that reads the source with a pointer (Aharoni and Goldberg 2017).

The pointer starts at the first source token and moves only forward. Each step of the decoder is an
action, which writes a token, moves the pointer to the next source token, or does both.
`seq2seq.text.actions` lists the ids of the actions, and finds the actions that write a given
target. The context vector is computed from the encoder state at the pointer. In training, the
actions are known, and so are the positions of the pointer. All steps can therefore run at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.context import Context, PreparedContext
from seq2seq.nn.copying import copy_mixture, log_of_positive
from seq2seq.nn.decoder import Decoder
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import Linear, softmax_dtype


class PointerContext(Context):
    """The context of a `TransducerDecoder`: c = W v + b, where v is the value at the pointer.

    The attention weights are 1 at the pointer and 0 elsewhere.
    """

    query_independent = True

    def __init__(self, value_size: int, size: int) -> None:
        super().__init__(size)
        self.value = Linear(value_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the projected values, [B, S, C], and the position of each source's EOS, [B, 1]."""
        return self.value(memory.values), memory.mask.sum(dim=1, keepdim=True) - 1

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor]:
        """Return the context vectors [N, T, C] and the attention weights [N, T, S].

        prepared: The projected values [B, S, C] and the pointers [N, T] int64.
        """
        values, pointers = prepared
        B, S, C = values.shape
        places = pointers.reshape(B, -1, 1).expand(-1, -1, C)
        c = values.gather(1, places).view(*pointers.shape, C)
        return c, F.one_hot(pointers, S).to(softmax_dtype(values))


class TransducerDecoder(Decoder):
    """A decoder that predicts actions. The module's docstring explains the actions.

    With copying, the probability of an action y is g p_vocabulary(y) + (1 - g) [y = x]. Here, x is
    the action that copies the source token at the pointer. `CopyingDecoder` explains the prepared
    data.

    V is the number of actions that do not copy, which is twice the number of target tokens.

    Args:
        ends: The ids of BOS and EOS.
        copying: Whether the decoder can copy the source token at the pointer.
    """

    is_mixture = True
    context: PointerContext

    def __init__(
        self, *args: Any, ends: tuple[int, int], copying: bool = False, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.gate = nn.Linear(self.output.in_features, 1) if copying else None
        self.bos, self.eos = ends

    def read(
        self, state: DecoderState, tokens: Tensor, pointers: Tensor | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """Run the decoder over T given actions, as `Decoder.read` explains.

        pointers: The position of the pointer after each action, [N, T] int64. If None, `tokens`
            give the positions.
        """
        pointers = self._pointers(state, tokens) if pointers is None else pointers
        inputs = replace(state, prepared=(state.prepared[0], pointers))
        r, weights, after = super().read(inputs, tokens)
        assert weights is not None
        return r, weights, replace(after, prepared=state.prepared, pointer=pointers[:, -1])

    def predict(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """Return log-probabilities [N, T, V], attention weights and the state after T actions.

        With copying, the log-probabilities are [N, T, V + S]. The log-probability of an impossible
        action is -inf. `Decoder.predict` explains the arguments.
        """
        pointers = self._pointers(state, tokens if written is None else written)
        r, weights, after = self.read(state, tokens, pointers)
        end, *copied = (
            part.repeat_interleave(state.rows_per_source, dim=0) for part in state.prepared[1:]
        )
        place = pointers.unsqueeze(2)  # [N, T, 1]
        ids = torch.arange(self.output.out_features, device=tokens.device)
        ended, stays = place == end.unsqueeze(2), ids >= len(ids) // 2
        impossible = torch.where(ended, stays | (ids == self.bos), ids == self.eos)  # [N, T, V]
        logits = self.output(r).masked_fill(impossible, float("-inf"))
        if self.gate is None:
            log_p: Tensor = logits.log_softmax(dim=-1, dtype=softmax_dtype(logits))
            return log_p, weights, after
        here = copied[0].unsqueeze(1).expand(weights.shape).gather(2, place)  # [N, T, 1]
        p = copy_mixture(logits, self.gate(r), here, 1.0, copied[0].shape[1])
        return log_of_positive(p).masked_fill(p == 0, float("-inf")), weights, after

    def step(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Read one action per row and predict the next action, as `Decoder.step` explains."""
        written = tokens if written is None else written
        log_p, _, after = self.predict(state, tokens.unsqueeze(1), written.unsqueeze(1))
        return log_p.squeeze(1), after

    def attend(self, state: DecoderState, tokens: Tensor, written: Tensor | None = None) -> Tensor:
        """Return the attention weights, which are 1 at the pointer and 0 elsewhere, [N, T, S]."""
        pointers = self._pointers(state, tokens if written is None else written)
        return self.read(state, tokens, pointers)[1]

    def _pointers(self, state: DecoderState, written: Tensor) -> Tensor:
        """Return the position of the pointer after each of T actions, [N, T] int64."""
        V = self.output.out_features
        end = state.prepared[1].repeat_interleave(state.rows_per_source, dim=0)  # [N, 1]
        before = -1 if state.pointer is None else state.pointer.unsqueeze(1)
        moves = (written < V // 2) | (written >= V)
        return torch.minimum(before + moves.cumsum(dim=1), end)
