"""Recurrent layers as ONNX nodes: one step of a cell, and a loop over a whole text.

The gates of a cell are divided into groups, called pieces. The gates of a piece share an activation
function. The candidate is the new value before gating.

- RNN: one piece, the new state
- GRU: two pieces: the reset and update gates, and the candidate
- LSTM: two pieces: the three gates, and the candidate

The equations are those of torch.nn.RNN, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seq2seq.export.graph import GraphBuilder, to_array


@dataclass(frozen=True)
class CellWeights:
    """The weights of one recurrent layer in one direction.

    The gates are divided into pieces, that is, groups of gates with the same activation function. W
    is the number of gate values in a piece.

    kind: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
    size: H, the number of hidden units.
    of_input: the weight of each piece for the input, [W, I].
    of_state: the weight of each piece for the state h, [W, H].
    bias: the bias of each piece, [W], which is added to the product of the input.
    state_bias: the bias that is added to the product of the state, [W], or None for no bias.
    bound: the largest possible |h|.
    """

    kind: str
    size: int
    of_input: list[np.ndarray]
    of_state: list[np.ndarray]
    bias: list[np.ndarray]
    state_bias: list[np.ndarray | None]
    bound: float

    @classmethod
    def of_layer(cls, layer: Any, bound: float) -> CellWeights:
        """Return the weights of a `RecurrentLayer`.

        bound: the largest possible |h|.
        """
        run = layer.run
        of_input, of_state, input_bias, state_bias = map(to_array, run.all_weights[0])
        H = run.hidden_size
        numbers = np.arange(len(of_input))
        match run.mode:
            case "GRU":  # torch: r, z, n
                rows = [numbers[: 2 * H], numbers[2 * H :]]
            case "LSTM":  # torch: i, f, g, o
                rows = [np.r_[numbers[: 2 * H], numbers[3 * H :]], numbers[2 * H : 3 * H]]
            case _:
                rows = [numbers]
        biases = [input_bias[row] + state_bias[row] for row in rows]
        inner: list[np.ndarray | None] = [None for _ in rows]
        if run.mode == "GRU":  # the reset gate also scales the bias of the candidate's state
            biases[1], inner[1] = input_bias[rows[1]], state_bias[rows[1]]
        return cls(
            run.mode,
            H,
            [of_input[row] for row in rows],
            [of_state[row] for row in rows],
            biases,
            inner,
            bound,
        )

    @property
    def parts(self) -> int:
        """The number of arrays in the state: h, and for an LSTM also the cell state c."""
        return 2 if self.kind == "LSTM" else 1

    @property
    def widths(self) -> list[int]:
        """W, the number of gate values, for each group of gates."""
        return [len(piece) for piece in self.of_input]

    def step(self, graph: GraphBuilder, gates: Sequence[str], state: Sequence[str]) -> list[str]:
        """Add one step of the cell to the graph, and return the names of the next state.

        gates: the product of weight and input for each group of gates, [N, W].
        state: the arrays of the state, [N, H] each.
        """
        h = state[0]
        inner = [
            graph.product(h, weight, bias, bound=self.bound)
            for weight, bias in zip(self.of_state, self.state_bias, strict=True)
        ]
        if self.kind == "GRU":
            both = graph.op("Sigmoid", graph.op("Add", gates[0], inner[0]))
            reset, update = graph.split(both, [self.size] * 2)
            new = graph.op("Tanh", graph.op("Add", gates[1], graph.op("Mul", reset, inner[1])))
            kept = graph.op("Mul", update, graph.op("Sub", h, new))
            return [graph.op("Add", new, kept)]
        sums = [graph.op("Add", *pair) for pair in zip(gates, inner, strict=True)]
        if self.kind == "LSTM":
            opened = graph.op("Sigmoid", sums[0])
            enter, forget, leave = graph.split(opened, [self.size] * 3)
            new = graph.op("Mul", enter, graph.op("Tanh", sums[1]))
            c = graph.op("Add", graph.op("Mul", forget, state[1]), new)
            return [graph.op("Mul", leave, graph.op("Tanh", c)), c]
        return [graph.op("Tanh" if self.kind == "RNN_TANH" else "Relu", sums[0])]


def run_layer(
    graph: GraphBuilder, cells: Sequence[CellWeights], gates: Sequence[Sequence[str]], zeros: str
) -> list[str]:
    """Add a layer that reads whole texts, and return the states h of each cell, [S, B, H].

    cells: the forward cell, and for a bidirectional layer also the backward cell.
    gates: for each cell and each of its groups of gates, the product of weight and input, [S, B,
        W].
    zeros: the state before the first step, [B, H].

    The states of both cells are in the order of the text.
    """
    body = GraphBuilder(graph.precision, prefix=graph.op("Identity", zeros) + ".")
    before: list[str] = []
    given: list[str] = []
    after: list[str] = []
    outputs: list[str] = []
    for number, cell in enumerate(cells):
        state = [f"{body.prefix}state.{number}.{part}" for part in range(cell.parts)]
        inputs = [f"{body.prefix}gates.{number}.{piece}" for piece in range(len(cell.widths))]
        following = cell.step(body, inputs, state)
        before, given, after = before + state, given + inputs, after + following
        outputs.append(body.op("Identity", following[0]))
    loop = body.body(
        [(name, 2) for name in (*before, *given)], [(name, 2) for name in (*after, *outputs)]
    )
    directions = [int(number > 0) for number, cell in enumerate(cells) for _ in cell.widths]
    values = graph.ops(
        "Scan",
        *[zeros for _ in before],
        *(piece for pieces in gates for piece in pieces),
        outputs=len(after) + len(outputs),
        body=loop,
        num_scan_inputs=len(given),
        scan_input_directions=directions,
        scan_output_directions=[int(number > 0) for number in range(len(cells))],
    )
    return values[len(after) :]
