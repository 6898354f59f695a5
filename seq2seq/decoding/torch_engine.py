"""The PyTorch engine, which runs a network or an ensemble of networks for the search."""

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
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.text.batching import pad_sequences, pad_sources
from seq2seq.text.codec import Codec
from seq2seq.text.open_vocabulary import close_ids

_PAIRS = 1 << 16  # pairs (target token, source token) that attention scores at once


@dataclass(frozen=True)
class EnsembleState:
    """The state of an ensemble: the decoder state of each member network."""

    members: list[DecoderState]


class TorchEngine:
    """An `Engine` that runs one network, or an ensemble of networks, with PyTorch.

    In an ensemble, each step averages the probabilities of all networks. All methods raise
    UserError if the memory of the GPU is full.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        codec: Codec,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Move the networks to a device.

        codec: the codec that all networks share.
        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        """
        self.device, self.dtype = device or torch.device("cpu"), dtype or torch.float32
        self.networks = [
            cast(TranslationNetwork | LanguageModelNetwork, network.ready(self.device))
            for network in networks
        ]
        self._codec, self._target = codec, codec.target

    def start(self, sources: Sequence[np.ndarray]) -> EnsembleState:
        """Return the state of a search before the first token (see `Engine.start`)."""
        tokens, lengths, copied = pad_sources(list(sources), self._codec)
        tokens, lengths = tokens.to(self.device), lengths.to(self.device)
        copied = None if copied is None else copied.to(self.device)
        with self._running():
            return EnsembleState([one.start(tokens, lengths, copied) for one in self.networks])

    def step(
        self, state: EnsembleState, tokens: np.ndarray
    ) -> tuple[TensorLogProbabilities, EnsembleState]:
        """Return the log-probabilities of the next token and the next state (see `Engine.step`)."""
        last, written = self._tokens(tokens)
        rows, members = [], []
        with self._running():
            for network, member in zip(self.networks, state.members, strict=True):
                values, following = network.decoder.step(member, last, written)  # [N, V]
                rows.append(values)
                members.append(following)
            log_p = rows[0]
            if len(rows) > 1:
                log_p = torch.stack(rows).logsumexp(dim=0) - math.log(len(rows))
        return TensorLogProbabilities(log_p), EnsembleState(members)

    def select(self, state: EnsembleState, rows: np.ndarray) -> EnsembleState:
        """Return a state with selected rows of `state`, in this order (see `Engine.select`)."""
        index = torch.from_numpy(rows).to(self.device)
        with self._running():
            return EnsembleState([member.select(index) for member in state.members])

    def weights(self, state: EnsembleState, targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return attention weights, averaged over the networks (see `Engine.weights`)."""
        weights: list[np.ndarray] = []
        source_size = max(part.shape[1] for part in state.members[0].prepared)
        size = max(1, _PAIRS // (source_size * max(map(len, targets))))  # rows in a batch
        for start in range(0, len(targets), size):
            ids = [np.asarray(row, np.int64) for row in targets[start : start + size]]
            inputs, _ = pad_sequences(ids, self._target.pad, self._target.eos)
            rows = self.select(state, np.arange(start, start + len(ids)))
            with self._running():
                mean = self._mean_weights(rows, inputs[:, :-1].numpy())  # [B, T, S]
            weights += [
                row[: len(target)] for row, target in zip(mean.cpu().numpy(), ids, strict=True)
            ]
        return weights

    def _tokens(self, tokens: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the ids that the networks read, with <unk> for copied tokens, and all ids."""
        closed = torch.from_numpy(close_ids(tokens, self._codec.target_size, self._target.unk))
        return closed.to(self.device), torch.from_numpy(tokens).to(self.device)

    def _mean_weights(self, state: EnsembleState, inputs: np.ndarray) -> Tensor:
        read, written = self._tokens(inputs)
        members = [
            network.decoder.attend(member, read, written)
            for network, member in zip(self.networks, state.members, strict=True)
        ]
        present = [weights for weights in members if weights is not None]
        if len(present) < len(members):
            raise ValueError(
                "a network with a fixed context vector has no attention weights; use attention"
            )
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
    """The log-probabilities of N rows and V tokens, as a PyTorch tensor [N, V].

    The method `exclude` changes this tensor in place.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @torch.inference_mode()
    def exclude(self, tokens: Sequence[int]) -> None:
        """Set the log-probability of `tokens` to -inf in all rows."""
        index = torch.tensor(tokens, dtype=torch.int64, device=self.values.device)
        self.values.index_fill_(1, index, -math.inf)

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """Return the log-probability of one token in each row, [N] float64. tokens: [N] int64."""
        index = torch.from_numpy(tokens).to(self.values.device).unsqueeze(1)
        return _float64(self.values.gather(1, index).squeeze(1))

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-probabilities and ids of the k most likely tokens of each row.

        Both are [N, k]: float64 log-probabilities and int64 ids.
        """
        values, ids = highest(self.values, min(k, self.values.shape[1]))
        return _float64(values), ids.cpu().numpy()

    def all(self) -> np.ndarray:
        """Return the log-probabilities of all tokens, [N, V], float32 or float64."""
        array: np.ndarray = self.values.cpu().numpy()
        return array


def _float64(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.cpu().double().numpy()
    return array


def highest(values: Tensor, k: int, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """Return the k largest values of each row and their ids, both [N, k], largest first.

    values: [N, V]. chunk: the size of the chunks into which a row is split.

    The result equals that of `torch.topk`, but for a large V on a CPU this function is several
    times faster. The k largest values must be in the k chunks with the largest maxima, so only
    these chunks are searched.

    If values are equal, k = 1 selects the lowest id. For k > 1, `torch.topk` makes the choice. On a
    CPU, this choice depends only on k and on the values of the row. Raises ValueError if k exceeds
    V.
    """
    N, V = values.shape
    if k > V:
        raise ValueError(
            f"the number of values to select, k ({k}), must not exceed the number of "
            f"values in a row ({V})"
        )
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
