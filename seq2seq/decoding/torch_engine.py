"""The engine of PyTorch: one network, or an ensemble of networks with one vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from seq2seq import runtime
from seq2seq.models.language_model import LanguageModelNetwork
from seq2seq.models.network import Network
from seq2seq.models.translation import TranslationNetwork
from seq2seq.nn.decoder import DecoderState
from seq2seq.text.batching import pad_sequences
from seq2seq.text.codec import Codec

_PAIRS = 1 << 16  # of positions on both sides that attention scores at once


@dataclass(frozen=True)
class EnsembleState:
    """One decoder state a member."""

    members: list[DecoderState]


class TorchEngine:
    """Implements `seq2seq.decoding.engine.Engine`; probabilities of members are averaged in each
    step. Raises UserError where a GPU's memory is full."""

    def __init__(
        self,
        networks: Sequence[Network],
        codec: Codec,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """codec: of the networks. device: the CPU if None. dtype: of the matrix products, float32
        if None."""
        self.device, self.dtype = device or torch.device("cpu"), dtype or torch.float32
        self.networks = [
            cast(TranslationNetwork | LanguageModelNetwork, network.ready(self.device))
            for network in networks
        ]
        self._source, self._target = codec.source, codec.target

    def start(self, sources: Sequence[np.ndarray]) -> EnsembleState:
        """The state before the first token: see `Engine.start`."""
        tokens, lengths = pad_sequences(list(sources), self._source.pad, self._source.eos)
        tokens, lengths = tokens.to(self.device), lengths.to(self.device)
        with self._running():
            return EnsembleState([network.start(tokens, lengths) for network in self.networks])

    def step(
        self, state: EnsembleState, tokens: np.ndarray
    ) -> tuple[TensorLogProbabilities, EnsembleState]:
        """The log of the members' mean probabilities: see `Engine.step`."""
        last = torch.from_numpy(tokens).to(self.device)
        rows, members = [], []
        with self._running():
            for network, member in zip(self.networks, state.members, strict=True):
                values, following = network.decoder.step(member, last)  # [N, V]
                rows.append(values)
                members.append(following)
            log_p = rows[0]
            if len(rows) > 1:
                log_p = torch.stack(rows).logsumexp(dim=0) - math.log(len(rows))
        return TensorLogProbabilities(log_p), EnsembleState(members)

    def select(self, state: EnsembleState, rows: np.ndarray) -> EnsembleState:
        """These rows of each member's state: see `Engine.select`."""
        index = torch.from_numpy(rows).to(self.device)
        with self._running():
            return EnsembleState([member.select(index) for member in state.members])

    def weights(self, state: EnsembleState, targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """The mean of the members' attention: see `Engine.weights`."""
        weights: list[np.ndarray] = []
        source_size = max(part.shape[1] for part in state.members[0].prepared)
        size = max(1, _PAIRS // (source_size * max(map(len, targets))))  # rows at once
        for start in range(0, len(targets), size):
            ids = [np.asarray(row, np.int64) for row in targets[start : start + size]]
            inputs, _ = pad_sequences(ids, self._target.pad, self._target.eos)
            rows = self.select(state, np.arange(start, start + len(ids)))
            with self._running():
                mean = self._mean_weights(rows, inputs[:, :-1].to(self.device))  # [B, T, S]
            weights += [
                row[: len(target)] for row, target in zip(mean.cpu().numpy(), ids, strict=True)
            ]
        return weights

    def _mean_weights(self, state: EnsembleState, inputs: Tensor) -> Tensor:
        members = [
            network.decoder.read(member, inputs)[1]
            for network, member in zip(self.networks, state.members, strict=True)
        ]
        present = [weights for weights in members if weights is not None]
        if len(present) < len(members):
            raise ValueError("a fixed context has no weights")
        return torch.stack(present).mean(dim=0)

    @contextmanager
    def _running(self) -> Iterator[None]:
        with (
            torch.inference_mode(),
            runtime.autocast(self.device, self.dtype),
            runtime.explain_out_of_memory(
                "search fewer lines together (--batch-size), or a smaller beam"
            ),
        ):
            yield


class TensorLogProbabilities:
    """Implements `seq2seq.decoding.engine.LogProbabilities` over a tensor [N, V], which it owns."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @torch.inference_mode()
    def exclude(self, tokens: Sequence[int]) -> None:
        """Set these tokens to -inf in all rows."""
        index = torch.tensor(tokens, dtype=torch.int64, device=self.values.device)
        self.values.index_fill_(1, index, -math.inf)

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """tokens [N] int64 → their log-probabilities [N] float64."""
        index = torch.from_numpy(tokens).to(self.values.device).unsqueeze(1)
        return _float64(self.values.gather(1, index).squeeze(1))

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most likely tokens of each row: values [N, k] float64, ids [N, k] int64."""
        values, ids = highest(self.values, min(k, self.values.shape[1]))
        return _float64(values), ids.cpu().numpy()

    def all(self) -> np.ndarray:
        """[N, V] float32 or wider."""
        array: np.ndarray = self.values.cpu().numpy()
        return array


def _float64(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.cpu().double().numpy()
    return array


def highest(values: Tensor, k: int, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """The k largest of each row of values [N, V]: ([N, k], ids [N, k] int64), largest first.

    Equal to `torch.topk`, and several times faster on a CPU for a large V: the k largest lie in
    the k chunks whose maxima are largest, and maxima are found at the speed of memory. Of equal
    values k = 1 takes the lowest id; for k > 1 which of them is taken follows `torch.topk`, that
    is, depends on the row and k alone on a CPU. ValueError when k exceeds V.
    """
    N, V = values.shape
    if k > V:
        raise ValueError(f"cannot take {k} of {V} values")
    chunks = V // chunk
    if chunks < 4 * k:
        return _topk(values, k)
    head = values[:, : chunks * chunk].reshape(N, chunks, chunk)  # [N, V/c, c], a view
    _, best = _topk(head.amax(dim=2), k)  # [N, k] chunks
    inside = head.gather(1, best.unsqueeze(2).expand(N, k, chunk)).flatten(1)  # [N, k*c]
    tail = values[:, chunks * chunk :]  # [N, V mod c]
    largest, at = _topk(torch.cat([inside, tail], dim=1), k)  # [N, k]
    start = best.gather(1, (at // chunk).clamp(max=k - 1)) * chunk  # [N, k]
    in_tail = at >= k * chunk
    return largest, torch.where(in_tail, at + (chunks - k) * chunk, start + at % chunk)


def _topk(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if k == 1:
        largest, ids = values.max(dim=1, keepdim=True)  # the first of equals
        return largest, ids
    largest, ids = values.topk(k, dim=1)
    return largest, ids
