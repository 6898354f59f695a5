"""Ids in, ids out: what an ensemble's networks find for sources that are encoded already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from seq2seq import runtime
from seq2seq.config.schema import Config
from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.minimum_risk import Utility
from seq2seq.decoding.sampling import sample_search, sampling_problems
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials
from seq2seq.errors import UserError
from seq2seq.models.translation import TranslationNetwork
from seq2seq.text.batching import pad_sequences
from seq2seq.text.codec import Codec

_OF_SAMPLING = ("temperature", "top_k", "top_p", "seed")
_PAIRS = 1 << 16  # of positions on both sides that attention scores at once


@dataclass(frozen=True)
class Search:
    """How a translation is looked for.

    beam 1 is greedy search. Lengths count subwords, `max_length` with EOS: None allows twice the
    source's plus ten (`data.max_tokens` where the source is a label or a vector). A model of task
    "aligned" writes as many as its source has, without EOS. With `sampling`, the n best are n
    samples; their seed is made from `seed`, the line's text, the part of it where it was too long,
    and the number of the sample, so that it does not depend on the neighbours.
    mbr: of as many candidates, the n best or samples, those come first whose `utility` is the
    highest by minimum Bayes risk (`seq2seq.decoding.minimum_risk`); it is their score then. 0: off.
    """

    beam: int = 5
    length_penalty: float = 1.0
    n_best: int = 1
    min_length: int = 1
    max_length: int | None = None
    batch_size: int = 64
    sampling: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1
    mbr: int = 0
    utility: Utility = "chrf"

    def __post_init__(self) -> None:
        wrong = []
        if min(self.beam, self.n_best, self.min_length, self.batch_size) < 1:
            wrong.append("beam, n-best, minimum length and batch size must be at least 1")
        if self.n_best > self.beam and not self.sampling:
            wrong.append(f"n-best {self.n_best} needs a beam of at least {self.n_best}")
        if self.mbr < 0 or self.mbr == 1:
            wrong.append("minimum Bayes risk needs 2 candidates or more")
        elif self.mbr > self.beam and not self.sampling:
            wrong.append(f"{self.mbr} candidates (mbr) need a beam as large, or sampling")
        elif 0 < self.mbr < self.n_best:
            wrong.append(f"n-best {self.n_best} needs as many candidates (mbr)")
        if self.utility not in get_args(Utility):
            wrong.append(f"the utility is one of {', '.join(get_args(Utility))}")
        if self.max_length is not None and self.max_length < self.min_length:
            wrong.append(f"maximum length {self.max_length} is below the minimum")
        if not 0 <= self.length_penalty < float("inf"):
            wrong.append(f"length penalty {self.length_penalty} must be finite and at least 0")
        if self.sampling:
            wrong += sampling_problems(self.temperature, self.top_k, self.top_p)
            if self.beam != Search.beam:
                wrong.append("samples are drawn without a beam: leave out either of them")
        elif any(getattr(self, name) != getattr(Search, name) for name in _OF_SAMPLING):
            wrong.append("temperature, top-k, top-p and seed need sampling (--sample)")
        if self.utility != Search.utility and not self.mbr:
            wrong.append("a utility needs candidates (--mbr)")
        if wrong:
            raise UserError("; ".join(wrong))


class Searcher:
    """Networks with one vocabulary, and how each kind of search goes through them."""

    def __init__(
        self,
        networks: Sequence[TranslationNetwork],
        codec: Codec,
        config: Config,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """config: of the first network."""
        self.network = Ensemble([network.to(device).eval() for network in networks])
        self.codec, self.config = codec, config
        self.device, self.dtype = device, dtype
        self.writes_eos = not config.task.same_length

    def find(
        self, sources: list[np.ndarray], texts: list[str], search: Search
    ) -> list[list[Hypothesis]]:
        """The n best of each source, ids without EOS, samples in the order of their numbers; texts:
        what a sample's draws depend on.

        Raises UserError where a GPU's memory is full.
        """
        with runtime.explain_out_of_memory(
            "search fewer lines together (--batch-size), or a smaller beam"
        ):
            return self._found(sources, texts, search)

    @torch.inference_mode()
    def attended(self, sources: list[np.ndarray], hypotheses: list[Hypothesis]) -> list[np.ndarray]:
        """What the steps of each hypothesis looked at, [T, S] float32, by teacher forcing: EOS is
        the last of S, and of T where the hypothesis ended by it."""
        target = self.codec.target
        attended: list[np.ndarray] = []
        longest = max(len(ids) + 1 for ids in sources) * max(len(h.tokens) + 1 for h in hypotheses)
        size = max(1, _PAIRS // longest)  # rows at once
        for start in range(0, len(sources), size):
            now = slice(start, start + size)
            written = [np.asarray([target.bos, *found.tokens]) for found in hypotheses[now]]
            inputs, _ = pad_sequences(written, target.pad, target.eos)  # one more than is needed
            with runtime.autocast(self.device, self.dtype):
                tokens, lengths = self._padded(sources[now])
                weights = self.network.weights(tokens, lengths, inputs[:, :-1].to(self.device))
            sizes = zip(weights.cpu().numpy(), hypotheses[now], lengths.tolist(), strict=True)
            attended += [
                one[: len(found.tokens) + found.finished, :length].copy()
                for one, found, length in sizes
            ]
        return attended

    @torch.inference_mode()
    def forced(self, sources: list[np.ndarray], targets: list[list[int]]) -> list[float]:
        """The log-probability of each target, EOS counted where it is written, by teacher forcing:
        one step a token, through the verbs of every search."""
        eos, pad = self.codec.target.eos, self.codec.target.pad
        outputs, lengths = pad_sequences([np.asarray(ids) for ids in targets], pad, eos)  # [B, T]
        lengths -= int(not self.writes_eos)
        outputs, lengths = outputs.to(self.device), lengths.to(self.device)
        with runtime.autocast(self.device, self.dtype):
            state, _ = self._start(sources)
            tokens = torch.full_like(outputs[:, 0], self.codec.target.bos)
            totals = torch.zeros(len(sources), dtype=torch.float64)
            for t in range(outputs.shape[1]):
                log_probabilities, state = self.network.step(state, tokens)
                tokens = outputs[:, t]
                gained = log_probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1)
                totals += gained.double().masked_fill(lengths <= t, 0).cpu()
        return [float(total) for total in totals]

    # The steps of the above.

    @torch.inference_mode()
    def _found(
        self, sources: list[np.ndarray], texts: list[str], search: Search
    ) -> list[list[Hypothesis]]:
        target = self.codec.target
        with runtime.autocast(self.device, self.dtype):
            state, lengths = self._start(sources)
            limits = self._limits(lengths, search)
            specials = Specials(target.bos, target.eos, (target.pad, target.unk, target.bos))
            if search.sampling:
                return self._samples(state, limits, specials, texts, search)
            if search.beam == 1:
                return greedy_search(self.network, state, limits, specials, search.length_penalty)
            return beam_search(
                self.network,
                state,
                limits,
                specials,
                beam=search.beam,
                alpha=search.length_penalty,
                n_best=search.n_best,
            )

    def _limits(self, lengths: Tensor, search: Search) -> Limits:
        """lengths [B]: of the sources, EOS counted."""
        config = self.config
        if not self.writes_eos:  # the lengths of a batch are all the same
            return Limits(max(1, int(lengths[0]) - 1), (lengths - 1).clamp(min=1))
        if search.max_length is not None:
            return Limits(search.min_length, torch.full_like(lengths, search.max_length))
        if config.task.source == "condition":
            return Limits(search.min_length, torch.full_like(lengths, config.data.max_tokens))
        return Limits(search.min_length, 2 * lengths + 10)

    def _samples(
        self, state: Any, limits: Limits, specials: Specials, texts: list[str], search: Search
    ) -> list[list[Hypothesis]]:
        drawn: list[list[Hypothesis]] = [[] for _ in texts]
        for number in range(search.n_best):
            generators = [_generator(search.seed, number, text) for text in texts]
            samples = sample_search(
                self.network,
                state,
                limits,
                specials,
                temperature=search.temperature,
                top_k=search.top_k,
                top_p=search.top_p,
                generators=generators,
                alpha=search.length_penalty,
            )
            for hypotheses, one in zip(drawn, samples, strict=True):
                hypotheses.extend(one)
        return drawn

    def _start(self, sources: list[np.ndarray]) -> tuple[Any, Tensor]:
        tokens, lengths = self._padded(sources)
        return self.network.start(tokens, lengths), lengths

    def _padded(self, sources: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        source = self.codec.source
        tokens, lengths = pad_sequences(sources, source.pad, source.eos)
        return tokens.to(self.device), lengths.to(self.device)


def _generator(seed: int, number: int, text: str) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed} {number} {text}".encode("utf-8", "surrogatepass"))
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "little") >> 1)
