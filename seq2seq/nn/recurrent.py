"""Stacks of recurrent layers: RNN, LSTM or GRU, in one or both directions.

A layer processes all time steps of a right-padded batch in one fused call. Padding does not
influence the states of real tokens, because each direction reads padding after all real tokens. For
the backward direction, each sentence is reversed within its own length.
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

# The state of one layer between two steps: (h,), or (h, c) for an LSTM. Each tensor is [B, H].
LayerState = tuple[Tensor, ...]


class RecurrentLayer(nn.Module):
    """One recurrent layer in one direction. The equations are those of torch.nn.RNN, LSTM and GRU.

    Args:
        cell: One of the names in `CELLS`.
        input_size: I, the size of the input, including the context vector if there is one.
        hidden_size: H, the number of hidden units.
        weight_dropout: Dropout rate of the weights from state to state. Each call samples one mask,
            which is used at all steps (Merity et al. 2018).
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, weight_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.run = CELLS[cell](input_size, hidden_size, batch_first=True)
        self.weight_dropout = weight_dropout
        self.parts = 2 if cell == "lstm" else 1  # tensors in a LayerState
        weights = {name: parameter.data for name, parameter in self.run.named_parameters()}
        gates = len(weights["bias_hh_l0"]) // hidden_size
        for block in weights["weight_hh_l0"].chunk(gates):
            nn.init.orthogonal_(block)  # keeps the norm of the state over time (Saxe et al. 2014)
        for block in weights["weight_ih_l0"].chunk(gates):
            nn.init.xavier_uniform_(block)
        nn.init.zeros_(weights["bias_ih_l0"])
        nn.init.zeros_(weights["bias_hh_l0"])
        if cell == "lstm":  # open the forget gate at the start (Jozefowicz et al. 2015)
            nn.init.ones_(weights["bias_ih_l0"][hidden_size : 2 * hidden_size])

    def forward(
        self, x: Tensor, state: LayerState | None, context: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """Return the outputs [B, T, H] and the last state.

        Args:
            x: The inputs, [B, T, I], or [B, T, I - C] with a context.
            state: The state before the first step, or None for zeros.
            context: The context vectors, [B, T, C], or [B, 1, C] if they are the same at every
                step. The layer then reads the concatenation [x ; context]. None for no context.
        """
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
        on_cpu = inputs.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if T == 1 and on_cpu and state is not None and self.parts == 2 and not dropped:
            # In a step of a search, this function is faster than the LSTM layer of oneDNN, which
            # compiles a program for every new number of rows.
            h, c = torch.lstm_cell(inputs[:, 0], state, *self.run.all_weights[0])
            return h.unsqueeze(1), (h, c)
        # Under autocast, PyTorch runs the layers of cuDNN in fp16, even if autocast uses bf16.
        lowered = inputs.device.type == "cuda" and torch.is_autocast_enabled("cuda")
        run = self._functional if dropped or lowered else self.run
        outputs, last = run(inputs, initial)
        return outputs, tuple(part[0] for part in (last if self.parts == 2 else (last,)))

    def _fused(
        self, x: Tensor, state: LayerState | None, context: Tensor | None
    ) -> tuple[Tensor, LayerState]:
        """Return the result of `forward`, with a backward pass that is faster on a CPU."""
        (weight_ih, _, bias_ih, bias_hh), H = self.run.all_weights[0], self.run.hidden_size
        weight_hh = self._weight_hh()
        dtype = runtime.matmul_dtype(weight_hh)
        (before,) = state or (x.new_zeros(len(x), H),)
        of_input: Tensor = bias_hh
        of_n = bias_hh[:0]
        # A GRU's r multiplies the hidden bias of n, so it must stay apart from the input's bias.
        if self.run.mode == "GRU":
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
        """Return the weight from state to state, with weight dropout in training mode."""
        weight = self.run.get_parameter("weight_hh_l0")
        return F.dropout(weight, self.weight_dropout, self.training)

    def _functional(self, inputs: Tensor, initial: Any) -> tuple[Tensor, Any]:
        """Run the PyTorch layer with weight dropout, and on a GPU in the dtype of autocast.

        inputs: The inputs, [B, T, I].
        initial: The initial state: h [1, B, H], the pair (h, c) for an LSTM, or None for zeros.
        Returns the outputs [B, T, H] and the last state. The last state has the form of `initial`.
        """
        if initial is None:
            zeros = inputs.new_zeros(1, len(inputs), self.run.hidden_size)
            initial = (zeros, zeros) if self.parts == 2 else zeros
        weight_ih, _, bias_ih, bias_hh = self.run.all_weights[0]
        weights = [weight_ih, self._weight_hh(), bias_ih, bias_hh]
        compute = getattr(torch, self.run.mode.lower())  # torch.lstm, gru, rnn_tanh, rnn_relu
        on_cuda = inputs.device.type == "cuda"
        if on_cuda:
            dtype = runtime.matmul_dtype(weight_ih)
            # cuDNN copies the weights at every call, unless they lie in one block of memory in its
            # own order.
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
    """Reverse each row of x within its own length. Padding keeps its place.

    x: A batch of sequences, [B, T, F].
    lengths: The number of steps in each row without padding, [B] int64.
    """
    B, T, _ = x.shape
    steps = torch.arange(T, device=x.device)  # [T]
    mirrored = lengths.unsqueeze(1) - 1 - steps  # [B, T], negative over padding
    index = torch.where(mirrored >= 0, mirrored, steps)
    first = torch.arange(0, B * T, T, device=x.device).unsqueeze(1)  # index where a row begins
    reversed_: Tensor = _Involution.apply(  # type: ignore[no-untyped-call]
        x.flatten(0, 1), (first + index).flatten()
    )
    return reversed_.view_as(x)


class _Involution(Function):
    """Reorder the rows of x by a permutation that is its own inverse.

    The backward pass reorders the gradient with the same permutation. Autograd does not know that
    the permutation is its own inverse. Its backward pass would add up the rows one by one, which is
    slower.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        """Return the rows of x in the given order.

        x: [N, F].
        order: The permutation of the rows, [N] int64.
        """
        ctx.save_for_backward(order)
        return x.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of x, and None for the order.

        gradient: The gradient of the result, [N, F].
        """
        (order,) = ctx.saved_tensors
        return gradient.index_select(0, order), None


class RecurrentStack(nn.Module):
    """A stack of L recurrent layers.

    All layers except the first have residual connections (He et al. 2016; Wu et al. 2016). With a
    context, a layer reads the concatenation [x_t ; c_t] of its input and the context vector. The
    residual connection adds only x_t to the output.

    Args:
        cell: One of the names in `CELLS`.
        input_size: I, the size of the input, without the context vector.
        hidden_size: H, the number of hidden units per direction.
        layers: L, the number of layers.
        bidirectional: Give every layer a second, backward direction.
        context_size: C, the size of a context vector, or 0 for no context.
        first_fed: Whether the first layer receives the context. All other layers always do.
        dropout: Dropout rate between the layers.
        variational: Use the same dropout mask at all steps (Gal and Ghahramani 2016).
        weight_dropout: Dropout rate of the weights from state to state (Merity et al. 2018).
        layer_norm: Normalise the output of each layer (Ba et al. 2016).
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
        """Run one layer over all steps.

        Args:
            number: Index of the layer, from 0.
            x: Input of the layer, [B, T, D], or [B, T, I] for the first layer.
            mask: Dropout mask of x from `masks`, or None for no dropout.
            state: The state of this layer before the first step, or None for zeros.
            lengths, context: As in `forward`.

        Returns:
            The outputs [B, T, D] and the last state of the forward direction.
        """
        if mask is not None:
            x = x * mask.to(x.dtype)  # under autocast, a layer's output may have another dtype
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
        """Sample one dropout mask for the input of each layer.

        A mask is a tensor [B, T, D], or None for no dropout. The mask of the first layer is always
        None, because the caller applies dropout to the input of the stack.

        x: The input of the stack, [B, T, I]. The masks get the dtype and the device of x.
        """
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

        Args:
            x: Inputs, [B, T, I].
            lengths: The number of steps in each row without padding, [B] int64, or None if there is
                no padding. Only the backward direction uses the lengths.
            state: The state of each layer before the first step, or None for zeros.
            context: The context vectors, [B, T, C], or [B, 1, C] if they are the same at every
                step. A stack with a context size needs them and must not be bidirectional. None
                without a context size.
            masks: Dropout masks from `masks`, or None to sample new masks.

        Returns:
            The outputs [B, T, D] before dropout, and the last state of each forward layer. In a row
            with padding, the last state includes the padding, so use the state only for rows
            without padding.
        """
        last: list[LayerState] = []
        for number, mask in enumerate(self.masks(x) if masks is None else masks):
            before = None if state is None else state[number]
            x, after = self.layer(
                number, x, mask=mask, lengths=lengths, state=before, context=context
            )
            last.append(after)
        return x, last
