"""Raw lines in, raw lines out: the one path of every translation, in training and in use."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from seq2seq import runtime
from seq2seq.config import Shape
from seq2seq.decoding.alignment import NOTHING, Alignment, Side, join
from seq2seq.decoding.beam import beam
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.greedy import greedy
from seq2seq.decoding.line import Line, split
from seq2seq.decoding.risk import Utility, expected_utilities
from seq2seq.decoding.sampling import sample
from seq2seq.decoding.search import Hypothesis, Limits, Specials
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.models.translation import Translation
from seq2seq.text.batching import pad_source
from seq2seq.text.tokenizer import word_numbers

log = logging.getLogger(__name__)

_SILENT = "⁇"  # what SentencePiece writes for <unk>, too
_PAIRS = 1 << 16  # of positions on both sides that attention scores at once
_WINDOW = 32  # batches of lines that are sorted by length together


@dataclass(frozen=True)
class Search:
    """How a translation is looked for.

    beam 1 is greedy search. Lengths count subwords, `max_length` with EOS: None allows twice the
    source's plus ten. With `sampling`, the n best are n samples; their seed is made from `seed`,
    the line's text and the number of the sample, so that it does not depend on the neighbours.
    mbr: of as many candidates, the n best or samples, those come first whose `utility` is the
    highest by minimum Bayes risk (`seq2seq.decoding.risk`); it is their score then. 0: off.
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
        if self.sampling and not (
            0 < self.temperature < float("inf") and self.top_k >= 0 and 0 < self.top_p <= 1
        ):
            wrong.append("sampling needs a finite temperature > 0, top-k >= 0, 0 < top-p <= 1")
        if wrong:
            raise UserError("; ".join(wrong))


@dataclass(frozen=True)
class Translated:
    """One translation. log_probability: Σ log p in nats, EOS counted; score: that over
    length^penalty. Of a line that was split, the sums over its parts. alignment: of the best of a
    line, where it was asked for."""

    text: str
    log_probability: float
    score: float
    alignment: Alignment | None = None


class Translator:
    """Models with one vocabulary (several make an ensemble), ready to translate."""

    def __init__(
        self, models: Sequence[Model], *, device: str = "cpu", precision: str = "fp32"
    ) -> None:
        """Raises UserError where the vocabularies differ or the device is not there."""
        self.device = runtime.device(device)
        self.dtype = runtime.precision(precision, self.device)
        first = models[0]
        self.tokenizers = first.tokenizers
        for number, model in enumerate(models[1:], start=2):
            if model.tokenizers != self.tokenizers:
                raise UserError(
                    "the models of an ensemble must have one vocabulary, and that of model "
                    f"{number} is not that of model 1: train them on the same tokenizer"
                )
        self.configs = [model.config for model in models]
        self.longest = first.config.data.max_tokens
        self.lowercase = first.config.tokenizer.lowercase
        self.parameters = sum(
            parameter.numel() for model in models for parameter in model.network.parameters()
        )
        networks = [cast(Translation, model.network) for model in models]
        self.network = Ensemble([network.to(self.device).eval() for network in networks])

    @classmethod
    def load(
        cls,
        *folders: str | Path,
        device: str = "auto",
        precision: str = "fp32",
        shape: Shape = "translation",
    ) -> Translator:
        """Open one model folder, or several as an ensemble. Raises UserError."""
        models = [model_folder.load(Path(folder), shape) for folder in folders]
        return cls(models, device=device, precision=precision)

    def translate(self, lines: Iterable[str], **options: Any) -> list[str]:
        """One translation for each line, in order; options: the fields of `Search`."""
        return [best[0].text for best in self.stream(lines, Search(**options))]

    def stream(self, lines: Iterable[str], search: Search) -> Iterator[list[Translated]]:
        """The n best of each line, in order, as soon as all lines before it are done.

        Reads ahead no further than a window of lines, so that memory does not grow. A blank line
        gives one empty translation. A line with more subwords than any in training is split,
        translated in parts and joined, with a warning that names it.
        """
        waiting = iter(lines)
        number = 0
        while window := list(islice(waiting, _WINDOW * search.batch_size)):
            yield from self.window(window, search, first=number + 1)
            number += len(window)

    def window(
        self, texts: Sequence[str], search: Search, first: int = 1, *, align: bool = False
    ) -> Iterator[list[Translated]]:
        """The same for a list of lines that is sorted by length as a whole; `first` is the number
        that its first line has in warnings.

        align: the best translation of each line comes with its alignment. Raises UserError where
        a model has no attention.
        """
        if align:
            self.require_attention()
        if search.mbr:
            if align:
                raise UserError("alignments are of a search's own best: leave out either of them")
            yield from self._least_risk(texts, search, first)
            return
        lines = [
            self._line(text, ids, first + offset)
            for offset, (text, ids) in enumerate(
                zip(texts, self.tokenizers.source_ids(texts), strict=True)
            )
        ]
        work = [(line, part) for line in lines for part in range(len(line.parts))]
        work.sort(key=lambda item: len(item[0].parts[item[1]]))  # stable: like lengths together
        done = 0
        aligned = self.configs[0].context.kind == "aligned"
        for batch in _batched(work, search.batch_size, self.longest, alike=aligned):
            sources = [line.parts[part] for line, part in batch]
            results = self._search(sources, [line.text for line, _ in batch], search)
            for (line, part), hypotheses in zip(batch, results, strict=True):
                line.found[part] = hypotheses
            if align:
                best = [hypotheses[0] for hypotheses in results]
                for (line, part), weights in zip(batch, self._attended(sources, best), strict=True):
                    line.attended[part] = weights
            while done < len(lines) and len(lines[done].found) == len(lines[done].parts):
                yield self._finished(lines[done], align=align)
                done += 1
        for line in lines[done:]:
            yield self._finished(line, align=align)

    def score(
        self, sources: Sequence[str], targets: Sequence[str], search: Search
    ) -> list[Translated]:
        """Log-probabilities of given targets by teacher forcing: what the search itself says of
        them. One step a token, through the same three verbs."""
        scored: dict[int, Translated] = {}
        encoded = self.tokenizers.source_ids(sources)
        wanted = self.tokenizers.target.encode(targets)
        order = sorted(range(len(sources)), key=lambda i: (len(wanted[i]), len(encoded[i])))
        for start in range(0, len(order), search.batch_size):
            rows = order[start : start + search.batch_size]
            totals = self._forced([np.asarray(encoded[i]) for i in rows], [wanted[i] for i in rows])
            for i, total in zip(rows, totals, strict=True):
                length = len(wanted[i]) + 1
                scored[i] = Translated(targets[i], total, total / length**search.length_penalty)
        return [scored[i] for i in range(len(sources))]

    def require_attention(self) -> None:
        """Raises UserError where a model has no attention, and so no alignments."""
        for number, config in enumerate(self.configs, start=1):
            if config.context.kind in ("fixed", "aligned"):
                which = f"model {number}" if len(self.configs) > 1 else "the model"
                raise UserError(
                    f"{which} has a fixed context vector, which looks at no word more than at "
                    "another: alignments need one with attention (context.kind)"
                )

    # The steps of the above.

    def _least_risk(
        self, texts: Sequence[str], search: Search, first: int
    ) -> Iterator[list[Translated]]:
        plain = replace(search, n_best=search.mbr, mbr=0)
        for found in self.window(texts, plain, first):
            # Samples come as often as they are likely.
            weights = [0.0 if search.sampling else one.log_probability for one in found]
            gains = expected_utilities([one.text for one in found], weights, search.utility)
            scored = [replace(one, score=gain) for one, gain in zip(found, gains, strict=True)]
            yield sorted(scored, key=lambda one: -one.score)[: search.n_best]

    def _line(self, text: str, ids: list[int], number: int) -> Line:
        if not text.strip():
            return Line("", [], [])
        if len(ids) <= self.longest:
            return Line(text, [np.asarray(ids, np.int64)], [])
        parts, joints = split(ids, self.tokenizers.source.pieces(ids), self.longest)
        log.warning(
            "line %d has %d subwords, more than the %d of any line in training: "
            "translated in %d parts",
            number,
            len(ids),
            self.longest,
            len(parts),
        )
        return Line(text, parts, joints)

    def _finished(self, line: Line, *, align: bool) -> list[Translated]:
        if not line.parts:
            return [Translated("", 0.0, 0.0, NOTHING if align else None)]
        parts = [line.found[part] for part in range(len(line.parts))]
        return [
            self._translated(
                line, [hypotheses[rank] for hypotheses in parts], align=align and rank == 0
            )
            for rank in range(min(map(len, parts)))
        ]

    def _translated(self, line: Line, chosen: list[Hypothesis], *, align: bool) -> Translated:
        """One hypothesis for each part of the line → one translation."""
        texts = self.tokenizers.target.decode([hypothesis.tokens for hypothesis in chosen])
        text = line.joined(texts)
        if not text.strip():  # pieces that spell no text at all must not make a line disappear
            text = _SILENT
        return Translated(
            text,
            sum(hypothesis.log_probability for hypothesis in chosen),
            sum(hypothesis.score for hypothesis in chosen),
            self._alignment(line, chosen, texts, text) if align else None,
        )

    def _alignment(
        self, line: Line, chosen: list[Hypothesis], texts: list[str], text: str
    ) -> Alignment:
        """texts: of the parts; text: that which they became together."""
        source, target = self.tokenizers.source, self.tokenizers.target
        source_words = iter(source.words(line.text))
        ends = (source.pieces([source.eos]), target.pieces([target.eos]))
        parts, before = [], 0
        for number, (ids, hypothesis) in enumerate(zip(line.parts, chosen, strict=True)):
            starts = [before + start for start in target.starts(hypothesis.tokens)]
            left = Side(source.pieces(ids.tolist()), list(islice(source_words, len(ids))))
            right = Side(target.pieces(hypothesis.tokens), word_numbers(text, starts))
            if hypothesis.finished:
                right = right.ended(ends[1])
            parts.append(Alignment(left.ended(ends[0]), right, line.attended[number]))
            before += len(texts[number]) + len([*line.joints, ""][number])
        return join(parts)

    @torch.inference_mode()
    def _search(
        self, sources: list[np.ndarray], texts: list[str], search: Search
    ) -> list[list[Hypothesis]]:
        target = self.tokenizers.target
        with runtime.autocast(self.device, self.dtype):
            state, lengths = self._start(sources)
            limits = self._limits(lengths, search)
            specials = Specials(target.bos, target.eos, (target.pad, target.unk, target.bos))
            if search.sampling:
                return self._samples(state, limits, specials, texts, search)
            if search.beam == 1:
                return greedy(self.network, state, limits, specials, search.length_penalty)
            return beam(
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
        config = self.configs[0]
        if config.context.kind == "aligned":  # the lengths of a batch are all the same
            return Limits(max(1, int(lengths[0]) - 1), (lengths - 1).clamp(min=1))
        if search.max_length is not None:
            return Limits(search.min_length, torch.full_like(lengths, search.max_length))
        if config.shape == "generation":
            return Limits(search.min_length, torch.full_like(lengths, self.longest))
        return Limits(search.min_length, 2 * lengths + 10)

    @torch.inference_mode()
    def _attended(
        self, sources: list[np.ndarray], hypotheses: list[Hypothesis]
    ) -> list[np.ndarray]:
        """What the steps of each hypothesis looked at, [T, S] float32, by teacher forcing: EOS is
        the last of S, and of T where the hypothesis ended by it."""
        target = self.tokenizers.target
        attended: list[np.ndarray] = []
        longest = max(len(ids) + 1 for ids in sources) * max(len(h.tokens) + 1 for h in hypotheses)
        size = max(1, _PAIRS // longest)  # rows at once
        for start in range(0, len(sources), size):
            now = slice(start, start + size)
            written = [np.asarray([target.bos, *found.tokens]) for found in hypotheses[now]]
            inputs, _ = pad_source(written, target.pad, target.eos)  # one more than is needed
            with runtime.autocast(self.device, self.dtype):
                tokens, lengths = self._padded(sources[now])
                weights = self.network.weights(tokens, lengths, inputs[:, :-1].to(self.device))
            sizes = zip(weights.cpu().numpy(), hypotheses[now], lengths.tolist(), strict=True)
            attended += [
                one[: len(found.tokens) + found.finished, :length].copy()
                for one, found, length in sizes
            ]
        return attended

    def _samples(
        self, state: Any, limits: Limits, specials: Specials, texts: list[str], search: Search
    ) -> list[list[Hypothesis]]:
        drawn: list[list[Hypothesis]] = [[] for _ in texts]
        for number in range(search.n_best):
            generators = [_generator(search.seed, number, text) for text in texts]
            samples = sample(
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
        return [sorted(hypotheses, key=lambda h: -h.score) for hypotheses in drawn]

    @torch.inference_mode()
    def _forced(self, sources: list[np.ndarray], targets: list[list[int]]) -> list[float]:
        eos, pad = self.tokenizers.target.eos, self.tokenizers.target.pad
        outputs, lengths = pad_source([np.asarray(ids) for ids in targets], pad, eos)  # [B, T]
        outputs, lengths = outputs.to(self.device), lengths.to(self.device)
        with runtime.autocast(self.device, self.dtype):
            state, _ = self._start(sources)
            tokens = torch.full_like(outputs[:, 0], self.tokenizers.target.bos)
            totals = torch.zeros(len(sources), dtype=torch.float64)
            for t in range(outputs.shape[1]):
                log_probabilities, state = self.network.step(state, tokens)
                tokens = outputs[:, t]
                gained = log_probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1)
                totals += gained.double().masked_fill(lengths <= t, 0).cpu()
        return [float(total) for total in totals]

    def _start(self, sources: list[np.ndarray]) -> tuple[Any, Tensor]:
        tokens, lengths = self._padded(sources)
        return self.network.start(tokens, lengths), lengths

    def _padded(self, sources: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        source = self.tokenizers.source
        tokens, lengths = pad_source(sources, source.pad, source.eos)
        return tokens.to(self.device), lengths.to(self.device)


def _batched(
    work: list[tuple[Line, int]], size: int, longest: int, *, alike: bool
) -> Iterator[list[tuple[Line, int]]]:
    """At most `size` parts a batch, and of very long ones fewer, so that a batch of the longest
    lines needs no more memory than sixteen of them; alike: of one length."""
    batch: list[tuple[Line, int]] = []
    for line, part in work:
        length = len(line.parts[part]) + 1
        full = len(batch) == size or (len(batch) + 1) * length > max(16 * longest, 2048)
        other = alike and batch and len(batch[-1][0].parts[batch[-1][1]]) + 1 != length
        if batch and (full or other):
            yield batch
            batch = []
        batch.append((line, part))
    if batch:
        yield batch


def _generator(seed: int, number: int, text: str) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed} {number} {text}".encode("utf-8", "surrogatepass"))
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "little") >> 1)
