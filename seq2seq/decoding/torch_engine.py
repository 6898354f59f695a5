"""The search engine on PyTorch: one network, or an ensemble of networks with one vocabulary."""

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

_PAIRS = 1 << 16  # pairs (target token, source token) that attention scores at once


@dataclass(frozen=True)
class EnsembleState:
    """The state of an ensemble: the decoder state of each member network."""

    members: list[DecoderState]


class TorchEngine:
    """An `Engine` that runs networks with PyTorch.

    In an ensemble, each step averages the probabilities of the member networks. All methods raise
    UserError if the memory of a GPU is full.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        codec: Codec,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Move the networks to a device.

        codec: the codec that all networks share. device: the CPU if None. dtype: of the matrix
        products, float32 if None.
        """
        self.device, self.dtype = device or torch.device("cpu"), dtype or torch.float32
        self.networks = [
            cast(TranslationNetwork | LanguageModelNetwork, network.ready(self.device))
            for network in networks
        ]
        self._source, self._target = codec.source, codec.target

    def start(self, sources: Sequence[np.ndarray]) -> EnsembleState:
        """Return the state of a search before the first token (see `Engine.start`)."""
        tokens, lengths = pad_sequences(list(sources), self._source.pad, self._source.eos)
        tokens, lengths = tokens.to(self.device), lengths.to(self.device)
        with self._running():
            return EnsembleState([network.start(tokens, lengths) for network in self.networks])

    def step(
        self, state: EnsembleState, tokens: np.ndarray
    ) -> tuple[TensorLogProbabilities, EnsembleState]:
        """Return the log of the mean probabilities and the next state (see `Engine.step`)."""
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
        """Return a state with the given rows of `state`, in this order (see `Engine.select`)."""
        index = torch.from_numpy(rows).to(self.device)
        with self._running():
            return EnsembleState([member.select(index) for member in state.members])

    def weights(self, state: EnsembleState, targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the mean attention weights of the member networks (see `Engine.weights`)."""
        weights: list[np.ndarray] = []
        source_size = max(part.shape[1] for part in state.members[0].prepared)
        size = max(1, _PAIRS // (source_size * max(map(len, targets))))  # rows in a batch
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
            raise ValueError("a network with a fixed context vector has no attention weights")
        return torch.stack(present).mean(dim=0)

    @contextmanager
    def _running(self) -> Iterator[None]:
        with (
            torch.inference_mode(),
            runtime.autocast(self.device, self.dtype),
            runtime.explain_out_of_memory(
                "use a smaller batch size (--batch-size) or a smaller beam (--beam)"
            ),
        ):
            yield


class TensorLogProbabilities:
    """Log-probabilities in a PyTorch tensor [N, V], which this object may change in place."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @torch.inference_mode()
    def exclude(self, tokens: Sequence[int]) -> None:
        """Set the log-probability of these tokens to -inf in all rows."""
        index = torch.tensor(tokens, dtype=torch.int64, device=self.values.device)
        self.values.index_fill_(1, index, -math.inf)

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """Return the log-probabilities [N] float64 of tokens [N] int64, one for each row."""
        index = torch.from_numpy(tokens).to(self.values.device).unsqueeze(1)
        return _float64(self.values.gather(1, index).squeeze(1))

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k most likely tokens of each row: values [N, k] float64, ids [N, k] int64."""
        values, ids = highest(self.values, min(k, self.values.shape[1]))
        return _float64(values), ids.cpu().numpy()

    def all(self) -> np.ndarray:
        """Return all log-probabilities, [N, V], float32 or wider."""
        array: np.ndarray = self.values.cpu().numpy()
        return array


def _float64(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.cpu().double().numpy()
    return array


def highest(values: Tensor, k: int, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """Return the k largest values of each row [N, k] and their ids [N, k] int64, largest first.

    values: [N, V]. The result equals `torch.topk`, but for a large V on a CPU this function is
    several times faster. It splits a row into chunks of `chunk` values and takes the k chunks with
    the largest maxima; the k largest values must be in these chunks.

    In a tie, k = 1 takes the lowest id. For k > 1 the choice is that of `torch.topk`; on a CPU, it
    depends only on the values of the row and on k. Raises ValueError if k exceeds V.
    """
    N, V = values.shape
    if k > V:
        raise ValueError(f"k is {k}, but each row has only {V} values")
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
        largest, ids = values.max(dim=1, keepdim=True)  # the first of equal values
        return largest, ids
    largest, ids = values.topk(k, dim=1)
    return largest, ids
