"""Stacks of recurrent layers: RNN, LSTM or GRU, one way or both, shallow or deep.

A layer runs as one fused call over all time steps of an unpacked, right-padded batch. Padding
cannot leak: forwards it comes after every real step, and the backward direction reads each
sentence reversed within its own length, so that there too the padding comes last.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seq2seq import runtime
from seq2seq.nn import fused
from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.linear import linear, linear_with_context

CELLS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,
    "rnn-relu": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}

# What one layer carries from step to step, each [B, H]: (h,), or (h, c) for an LSTM.
LayerState = tuple[Tensor, ...]


class RecurrentLayer(nn.Module):
    """One recurrent layer in one direction. Equations: those of torch.nn.RNN, LSTM and GRU.

    weight_dropout: of the weights from state to state, drawn once a call (Merity et al. 2018).
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, weight_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.run = CELLS[cell](input_size, hidden_size, batch_first=True)
        self.weight_dropout = weight_dropout
        self.parts = 2 if cell == "lstm" else 1  # of the state
        weights = {name: parameter.data for name, parameter in self.run.named_parameters()}
        gates = len(weights["bias_hh_l0"]) // hidden_size
        for block in weights["weight_hh_l0"].chunk(gates):
            nn.init.orthogonal_(block)  # Saxe et al. 2014: norms are kept over time
        for block in weights["weight_ih_l0"].chunk(gates):
            nn.init.xavier_uniform_(block)
        nn.init.zeros_(weights["bias_ih_l0"])
        nn.init.zeros_(weights["bias_hh_l0"])
        if cell == "lstm":  # Jozefowicz et al. 2015: a forget gate that is open at first
            nn.init.ones_(weights["bias_ih_l0"][hidden_size : 2 * hidden_size])

    def forward(
        self, x: Tensor, state: LayerState | None, context: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """x [B, T, I], state parts [B, H] (zeros if None), context [B, T or 1, C] → outputs
        [B, T, H], last state. The layer's input is x, or [x ; context], of `input_size`."""
        T = x.shape[1]
        if torch.is_grad_enabled() and x.device.type == "cpu" and T > 1 and self.parts == 1:
            return self._fused(x, state, context)
        inputs = x
        if context is not None:
            inputs = torch.cat([x, context.to(x.dtype).expand(-1, T, -1)], dim=-1)
        initial = None
        if state is not None:
            parts = tuple(
                part.unsqueeze(0).to(inputs.dtype).contiguous() for part in state
            )  # [1, B, H]
            initial = parts if self.parts == 2 else parts[0]
        dropped = self.training and self.weight_dropout > 0
        # Under autocast cuDNN's layers are computed in fp16, whatever autocast was asked for.
        lowered = inputs.device.type == "cuda" and torch.is_autocast_enabled("cuda")
        run = self._functional if dropped or lowered else self.run
        outputs, last = run(inputs, initial)
        return outputs, tuple(part[0] for part in (last if self.parts == 2 else (last,)))

    def _fused(
        self, x: Tensor, state: LayerState | None, context: Tensor | None
    ) -> tuple[Tensor, LayerState]:
        """The same, faster to learn through where there is no cuDNN."""
        (weight_ih, _, bias_ih, bias_hh), H = self.run.all_weights[0], self.run.hidden_size
        weight_hh = self._weight_hh()
        dtype = runtime.matmul_dtype(weight_hh)
        (before,) = state or (x.new_zeros(len(x), H),)
        of_input: Tensor = bias_hh
        of_n = bias_hh[:0]
        if self.run.mode == "GRU":  # the bias within n's bracket cannot be given with the input's
            of_input, of_n = F.pad(bias_hh[: 2 * H], (0, H)), bias_hh[2 * H :]
        x, bias = x.transpose(0, 1), bias_ih + of_input
        if context is None:
            gates = linear(x, weight_ih, bias)  # [T, B, G]
        else:
            gates = linear_with_context(x, context.transpose(0, 1), weight_ih, bias)
        outputs = fused.fused_recurrence(
            self.run.mode, gates, before.to(dtype), weight_hh.to(dtype), of_n.to(dtype)
        )
        return outputs.transpose(0, 1), (outputs[-1],)

    def _weight_hh(self) -> Tensor:
        weight = self.run.get_parameter("weight_hh_l0")
        return F.dropout(weight, self.weight_dropout, self.training)

    def _functional(self, inputs: Tensor, initial: Any) -> tuple[Tensor, Any]:
        """What torch's module computes, with other weights than its own."""
        if initial is None:
            zeros = inputs.new_zeros(1, len(inputs), self.run.hidden_size)
            initial = (zeros, zeros) if self.parts == 2 else zeros
        weight_ih, _, bias_ih, bias_hh = self.run.all_weights[0]
        weights = [weight_ih, self._weight_hh(), bias_ih, bias_hh]
        compute = getattr(torch, self.run.mode.lower())  # torch.lstm, gru, rnn_tanh, rnn_relu
        on_cuda = inputs.device.type == "cuda"
        if on_cuda:
            dtype = runtime.matmul_dtype(weight_ih)
            # In one piece of memory, in cuDNN's order: else it copies each of them at every call.
            whole = torch.cat([weight.flatten() for weight in weights]).to(dtype)
            pieces = torch.split(whole, [weight.numel() for weight in weights])
            weights = [piece.view_as(w) for piece, w in zip(pieces, weights, strict=True)]
            inputs = inputs.to(dtype)
            if self.parts == 2:
                initial = tuple(part.to(dtype) for part in initial)
            else:
                initial = initial.to(dtype)
        with torch.autocast("cuda", enabled=False) if on_cuda else nullcontext():
            outputs, *last = compute(inputs, initial, weights, True, 1, 0.0, True, False, True)
        return outputs, tuple(last) if self.parts == 2 else last[0]


def reverse_sequences(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row of x [B, T, F] within its own length; padding stays where it is."""
    B, T, _ = x.shape
    steps = torch.arange(T, device=x.device)  # [T]
    mirrored = lengths.unsqueeze(1) - 1 - steps  # [B, T], negative over padding
    index = torch.where(mirrored >= 0, mirrored, steps)
    first = torch.arange(0, B * T, T, device=x.device).unsqueeze(1)  # of each row
    reversed_: Tensor = _Involution.apply(  # type: ignore[no-untyped-call]
        x.flatten(0, 1), (first + index).flatten()
    )
    return reversed_.view_as(x)


class _Involution(Function):
    """Rows [N, F] in an order that is its own inverse: the gradient is put in order just so, where
    autograd, which cannot know that, would add up rows one by one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return x.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return gradient.index_select(0, order), None


class RecurrentStack(nn.Module):
    """L layers, residual from the second on (He et al. 2016; Wu et al. 2016); with `layer_norm`,
    what leaves each of them is normalised (Ba et al. 2016).

    Each layer may be fed a context beside its input, [x_t ; c_t], at every step; the first one
    only with `first_fed`. A residual goes around the layer for x alone.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        layers: int,
        *,
        bidirectional: bool = False,
        context_size: int = 0,
        first_fed: bool = True,
        dropout: float = 0.0,
        variational: bool = False,
        weight_dropout: float = 0.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = hidden_size * (2 if bidirectional else 1)
        sizes = [input_size + (context_size if first_fed else 0)]
        sizes += [self.output_size + context_size] * (layers - 1)
        self.forwards = nn.ModuleList(
            RecurrentLayer(cell, size, hidden_size, weight_dropout) for size in sizes
        )
        self.backwards = nn.ModuleList(
            RecurrentLayer(cell, size, hidden_size, weight_dropout)
            for size in sizes
            if bidirectional
        )
        self.norms = nn.ModuleList(nn.LayerNorm(self.output_size) for _ in sizes if layer_norm)
        self.dropout = SequenceDropout(dropout, variational)

    def layer(
        self,
        number: int,
        x: Tensor,
        *,
        mask: Tensor | None,
        lengths: Tensor | None = None,
        state: LayerState | None = None,
        context: Tensor | None = None,
    ) -> tuple[Tensor, LayerState]:
        """Run layer `number`, from 0, over all steps; shapes as in `forward`.

        mask: the dropout of x, from `masks`.
        """
        if mask is not None:
            x = x * mask.to(x.dtype)  # under autocast, layers give another dtype than they take
        outputs, last = self.forwards[number](x, state, context)
        if len(self.backwards):
            if lengths is None:
                lengths = torch.full((len(x),), x.shape[1], device=x.device)
            back, _ = self.backwards[number](reverse_sequences(x, lengths), None)
            outputs = torch.cat([outputs, reverse_sequences(back, lengths)], dim=-1)  # [B, T, 2H]
        if number:
            outputs = outputs + x
        return self.norms[number](outputs) if len(self.norms) else outputs, last

    def masks(self, x: Tensor) -> list[Tensor | None]:
        """The dropout of what enters each layer, [B, T, D] or None; what enters the first is
        its giver's. x [B, T, I]."""
        above = range(1, len(self.forwards))
        return [None, *(self.dropout.mask(x, self.output_size) for _ in above)]

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | None = None,
        state: list[LayerState] | None = None,
        context: Tensor | None = None,
        masks: list[Tensor | None] | None = None,
    ) -> tuple[Tensor, list[LayerState]]:
        """Run all layers over all steps.

        x [B, T, I]; lengths [B] int64, which the way back needs, T each if None; state: the parts
        of each layer [B, H], zeros if None; context [B, T, C] where the stack, which goes one way
        then, was built with one, or [B, 1, C] for all steps;
        masks: drawn anew if None.
        Gives outputs [B, T, D] (not yet dropped out) and the last state of each forward layer,
        which over padding is that of the padding: ask for it in stepping only.
        """
        last: list[LayerState] = []
        for number, mask in enumerate(self.masks(x) if masks is None else masks):
            before = None if state is None else state[number]
            x, after = self.layer(
                number, x, mask=mask, lengths=lengths, state=before, context=context
            )
            last.append(after)
        return x, last
