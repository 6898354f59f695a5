"""RNN and GRU layers over all time steps, with a hand-written backward pass for CPUs.

Autograd would compute the gradient of the weight with one small matrix product per time step, which
is slow. The backward pass here works in three stages:

1. For all steps at once, it computes the factors that turn the gradient of a state into the
   gradient of the gates.
2. It goes back through the steps, with three to five operations per step (backpropagation through
   time, Werbos 1990).
3. It computes the gradient of the weight as one matrix product over all steps.

The equations are those of torch.nn.RNN and torch.nn.GRU. For the LSTM, PyTorch uses the fused layer
of oneDNN, which is faster than this approach.

All tensors are time-major and keep the dtype of x. G is H for an RNN and 3H for a GRU.
x: the contribution of the input to the gates, including the biases, [T, B, G]
weight: W_hh, the weight from state to state, [G, H]
The prefix d_ marks a gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def fused_recurrence(mode: str, x: Tensor, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Run an RNN or GRU layer over all time steps and return its states, [T, B, H].

    Args:
        mode: PyTorch's name of the cell: RNN_TANH, RNN_RELU or GRU.
        x: Contribution of the input to the gates, including the biases, [T, B, G].
        state: The state before the first step, [B, H].
        weight: The weight from state to state, [G, H].
        bias: The hidden bias of a GRU's candidate state n, [H]. An RNN does not use this argument.
    """
    if mode == "GRU":
        states: Tensor = _GRU.apply(x, state, weight, bias)  # type: ignore[no-untyped-call]
    else:
        states = _RNN.apply(x, state, weight, mode == "RNN_RELU")  # type: ignore[no-untyped-call]
    return states


class _RNN(Function):
    """An RNN layer: h_t = tanh(x_t + W h_{t-1}).

    With `relu`, the activation function max(0, …) replaces tanh.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight: Tensor, relu: bool) -> Tensor:
        """Return the states after each step, [T, B, H].

        h: The state before the first step, [B, H].
        """
        T, B, H = x.shape
        states = x.new_empty(T + 1, B, H)
        states[0], states[1:] = h, x
        hs, transposed = states.unbind(), weight.t()
        squash = torch.relu_ if relu else torch.tanh_
        for t in range(T):
            squash(hs[t + 1].addmm_(hs[t], transposed))
        ctx.save_for_backward(states, weight)
        ctx.relu = relu
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, h and weight, and None for `relu`.

        d_states: The gradient of the states, [T, B, H].
        """
        states, weight = ctx.saved_tensors
        after = states[1:]
        factors = (after > 0).to(after.dtype) if ctx.relu else 1 - after * after
        d_all = torch.empty_like(states)  # gradient of each h_t; later that of the gates
        d_all[0], d_all[1:] = 0, d_states
        d_hs, fs = d_all.unbind(), factors.unbind()
        for t in reversed(range(len(fs))):
            d_hs[t].addmm_(d_hs[t + 1].mul_(fs[t]), weight)
        d_gates = d_all[1:]
        return d_gates, d_hs[0], _d_weight(d_gates, states), None


class _GRU(Function):
    """A GRU layer: h_t = (1 - z) n + z h_{t-1}.

    r = σ(x_r + W_r h_{t-1}) is the reset gate.
    z = σ(x_z + W_z h_{t-1}) is the update gate.
    n = tanh(x_n + r (W_n h_{t-1} + b)) is the candidate state.
    x_r, x_z and x_n are the three thirds of x_t. W_r, W_z and W_n are the three thirds of W's rows.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the states after each step, [T, B, H].

        h: The state before the first step, [B, H].
        bias: The hidden bias b of the candidate state n, [H].
        """
        T, B, H = x.shape[0], *h.shape
        states = x.new_empty(T + 1, B, H)
        states[0] = h
        r_z = x.new_empty(T, B, 2 * H)
        n, inner = x.new_empty(2, T, B, H)  # inner: W h_{t-1} + b
        hs, xs = states.unbind(), torch.split(x, [2 * H, H], dim=2)
        x_rz, x_n = xs[0].unbind(), xs[1].unbind()
        w_rz, w_n = weight[: 2 * H].t(), weight[2 * H :].t()
        for t, (rz, n_t, inner_t) in enumerate(
            zip(r_z.unbind(), n.unbind(), inner.unbind(), strict=True)
        ):
            r, z = torch.addmm(x_rz[t], hs[t], w_rz, out=rz).sigmoid_().chunk(2, dim=1)
            torch.addmm(bias, hs[t], w_n, out=inner_t)
            torch.addcmul(x_n[t], r, inner_t, out=n_t).tanh_()
            torch.lerp(n_t, hs[t], z, out=hs[t + 1])
        ctx.save_for_backward(states, r_z, n, inner, weight)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of x, h, weight and bias.

        d_states: The gradient of the states, [T, B, H].
        """
        states, r_z, n, inner, weight = ctx.saved_tensors
        T, B, H = n.shape
        r, z = r_z.chunk(2, dim=2)
        of_n = (1 - z) * (1 - n * n)
        # The gradient of h_t times `factors` is the gradient of W h_{t-1} + b, for r, z and n.
        factors = n.new_empty(T, B, 3, H)
        torch.mul(of_n * inner, r - r * r, out=factors[:, :, 0])
        torch.mul(states[:-1] - n, z - z * z, out=factors[:, :, 1])
        torch.mul(of_n, r, out=factors[:, :, 2])
        parted = torch.empty_like(factors)
        d_gates = parted.view(T, B, 3 * H)
        d_all = torch.empty_like(n)  # the complete gradient of each h_t
        d_all[-1] = d_states[-1]
        d_first = torch.empty_like(n[0])
        d_s, d_hs, d_gs = d_all.unbind(), d_states.unbind(), d_gates.unbind()
        d_parts, fs, zs = parted.unbind(), factors.unbind(), z.unbind()
        for t in reversed(range(T)):
            torch.mul(d_s[t].unsqueeze(1), fs[t], out=d_parts[t])
            if t:
                d_before = torch.addcmul(d_hs[t - 1], d_s[t], zs[t], out=d_s[t - 1])
            else:
                d_before = torch.mul(d_s[t], zs[t], out=d_first)
            d_before.addmm_(d_gs[t], weight)
        d_weight = _d_weight(d_gates, states)
        d_bias = parted[:, :, 2].sum(dim=(0, 1))
        # r multiplies W h_{t-1} + b but not x_t, so n's part of x has another gradient. For r and
        # z, the gradient of x equals that of W h_{t-1}.
        torch.mul(d_all, of_n, out=parted[:, :, 2])
        return d_gates, d_first, d_weight, d_bias


def _d_weight(d_gates: Tensor, states: Tensor) -> Tensor:
    """Return the gradient of the weight: Σ_t d_gates_t ᵀ h_{t-1}, [G, H].

    d_gates: the gradient of the gates, [T, B, G].
    states: the initial state and all later states, [T + 1, B, H].
    """
    return d_gates.flatten(0, 1).t() @ states[:-1].flatten(0, 1)
