"""Raw lines in, raw lines out: the one path of every translation, in training and in use."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from seq2seq import runtime
from seq2seq.decoding.alignment import EMPTY_ALIGNMENT, Alignment, AlignmentSide, join_alignments
from seq2seq.decoding.minimum_risk import expected_utilities
from seq2seq.decoding.searcher import Search, Searcher
from seq2seq.decoding.source_line import SourceLine, split_line
from seq2seq.decoding.stepping import Hypothesis
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.models.translation import TranslationNetwork
from seq2seq.tasks import ALIGNED, TRANSLATION, Task
from seq2seq.text.batching import batches_by_length
from seq2seq.text.languages import bleu_tokenizer, uses_spaces
from seq2seq.text.tokenizer import word_indices

log = logging.getLogger(__name__)

_UNKNOWN = "⁇"  # what SentencePiece writes for <unk>, too
_WINDOW = 32  # batches of lines that are sorted by length together


@dataclass(frozen=True)
class Translation:
    """One translation. log_probability: Σ log p in nats, EOS counted where it was written; score:
    that over length^penalty. Of a line that was split, the sums over its parts. alignment: of the
    best of a line, where it was asked for."""

    text: str
    log_probability: float
    score: float
    alignment: Alignment | None = None


class Translator:
    """Models with one vocabulary (several make an ensemble), ready to translate."""

    def __init__(
        self, models: Sequence[Model], *, device: str = "cpu", precision: str = "fp32"
    ) -> None:
        """Raises UserError where the vocabularies differ, where one context is aligned and another
        is not, or where the device is not there."""
        found = runtime.select_device(device)
        first = models[0]
        self.codec = first.codec
        for number, model in enumerate(models[1:], start=2):
            if model.codec != self.codec:
                raise UserError(
                    "the models of an ensemble must have one vocabulary, and that of model "
                    f"{number} is not that of model 1: train them on the same tokenizer"
                )
        self.configs = [model.config for model in models]
        if len({config.task.same_length for config in self.configs}) > 1:
            raise UserError(
                "a model with an aligned context writes as many subwords as its source has: it "
                "cannot be in an ensemble with one that does not"
            )
        self.max_tokens = min(config.data.max_tokens for config in self.configs)
        self.lowercase = first.config.tokenizer.lowercase
        self.bleu_tokens = bleu_tokenizer(first.config.data.target)  # for BLEU
        networks = [cast(TranslationNetwork, model.network) for model in models]
        self.searcher = Searcher(
            networks, first.codec, first.config, found, runtime.select_dtype(precision, found)
        )

    @classmethod
    def load(
        cls,
        *folders: str | Path,
        device: str = "auto",
        precision: str = "fp32",
        tasks: Sequence[Task] = (TRANSLATION, ALIGNED),
    ) -> Translator:
        """Open one model folder, or several as an ensemble. Raises UserError."""
        models = [model_folder.load_model(Path(folder), tasks) for folder in folders]
        return cls(models, device=device, precision=precision)

    def translate(self, lines: Iterable[str], **options: Any) -> list[str]:
        """One translation for each line, in order; options: the fields of `Search`.

        Raises TypeError for one string, each character of which would be a line.
        """
        if isinstance(lines, str):
            raise TypeError("lines is one string: give a list of lines")
        return [best[0].text for best in self.stream(lines, Search(**options))]

    def stream(self, lines: Iterable[str], search: Search) -> Iterator[list[Translation]]:
        """The n best of each line, in order, as soon as all lines before it are done.

        Reads ahead no further than a window of lines, so that memory does not grow. A blank line
        gives one empty translation, and a line of which the tokenizer keeps nothing (U+200B alone)
        one "⁇". A line with more subwords than `data.max_tokens`, so than any in training, is
        split, translated in parts and joined. A warning names either.
        """
        waiting = iter(lines)
        number = 0
        while window := list(islice(waiting, _WINDOW * search.batch_size)):
            yield from self.window(window, search, first=number + 1)
            number += len(window)

    def window(
        self, texts: Sequence[str], search: Search, first: int = 1, *, align: bool = False
    ) -> Iterator[list[Translation]]:
        """The same for a list of lines that is sorted by length as a whole; `first` is the number
        that its first line has in warnings.

        align: the best translation of each line comes with its alignment. Raises UserError where
        a model has no attention that is asked for one, and where something else than the search
        says which translation is the best, or how long it is.
        """
        if align:
            self.require_attention()
            if search.mbr or (search.sampling and search.n_best > 1):
                raise UserError("alignments are of a search's own best: leave out either of them")
        aligned = not self.searcher.writes_eos
        if aligned and (search.min_length > 1 or search.max_length is not None):
            raise UserError(
                "a model with an aligned context writes as many subwords as its source has: leave "
                "out the minimum and the maximum length"
            )
        if search.mbr:
            yield from self._minimum_risk(texts, search, first)
            return
        lines = [
            self._line(text, ids, first + offset)
            for offset, (text, ids) in enumerate(
                zip(texts, self.codec.source_ids(texts), strict=True)
            )
        ]
        work = [(line, part) for line in lines for part in range(len(line.parts))]
        work.sort(key=lambda item: len(item[0].parts[item[1]]))  # stable: like lengths together
        done = 0
        sizes = [len(line.parts[part]) + 1 for line, part in work]
        for now in batches_by_length(
            sizes, most=search.batch_size, longest=self.max_tokens, alike=aligned
        ):
            batch = work[now]
            sources = [line.parts[part] for line, part in batch]
            drawn_by = [f"{part} {line.text}" if part else line.text for line, part in batch]
            results = self.searcher.find(sources, drawn_by, search)
            for (line, part), hypotheses in zip(batch, results, strict=True):
                line.hypotheses[part] = hypotheses
            if align:
                best = [hypotheses[0] for hypotheses in results]
                for (line, part), weights in zip(
                    batch, self.searcher.attended(sources, best), strict=True
                ):
                    line.attention[part] = weights
            while done < len(lines) and len(lines[done].hypotheses) == len(lines[done].parts):
                yield self._finish(lines[done], align=align)
                done += 1
        for line in lines[done:]:
            yield self._finish(line, align=align)

    def score(
        self, sources: Sequence[str], targets: Sequence[str], search: Search
    ) -> list[Translation]:
        """Log-probabilities of given targets by teacher forcing: what the search itself says of
        them. A source that a search would split is taken whole."""
        scored: dict[int, Translation] = {}
        encoded = self.codec.source_ids(sources)
        wanted = self.codec.target.encode(targets)
        order = sorted(range(len(sources)), key=lambda i: (len(wanted[i]), len(encoded[i])))
        for start in range(0, len(order), search.batch_size):
            rows = order[start : start + search.batch_size]
            totals = self.searcher.forced(
                [np.asarray(encoded[i]) for i in rows], [wanted[i] for i in rows]
            )
            for i, total in zip(rows, totals, strict=True):
                certain = _UNKNOWN if sources[i].strip() else ""
                if not encoded[i] and targets[i].strip() == certain:
                    total = 0.0  # what a line without a token becomes is no model's to say
                length = max(1, len(wanted[i]) + self.searcher.writes_eos)
                scored[i] = Translation(targets[i], total, total / length**search.length_penalty)
        return [scored[i] for i in range(len(sources))]

    def require_attention(self) -> None:
        """Raises UserError where a model has no attention: no alignments."""
        for number, config in enumerate(self.configs, start=1):
            if not config.context.is_attention:
                which = f"model {number}" if len(self.configs) > 1 else "the model"
                raise UserError(
                    f"{which} has a fixed context vector, which looks at no word more than at "
                    "another: alignments need one with attention (context.kind)"
                )

    # The steps of the above.

    def _minimum_risk(
        self, texts: Sequence[str], search: Search, first: int
    ) -> Iterator[list[Translation]]:
        plain = replace(search, n_best=search.mbr, mbr=0, utility=Search.utility)
        for found in self.window(texts, plain, first):
            # Samples come as often as they are likely.
            weights = [0.0 if search.sampling else one.log_probability for one in found]
            gains = expected_utilities(
                [one.text for one in found],
                weights,
                search.utility,
                lowercase=self.lowercase,
                tokens=self.bleu_tokens,
            )
            scored = [replace(one, score=gain) for one, gain in zip(found, gains, strict=True)]
            yield sorted(scored, key=lambda one: -one.score)[: search.n_best]

    def _line(self, text: str, ids: list[int], number: int) -> SourceLine:
        if not text.strip():
            return SourceLine("", [], [])
        if not ids:  # what a model writes for no token at all is made up
            log.warning(
                "line %d holds no character that the tokenizer keeps: written as %s",
                number,
                _UNKNOWN,
            )
            return SourceLine(_UNKNOWN, [], [])
        if len(ids) <= self.max_tokens:
            return SourceLine(text, [np.asarray(ids, np.int64)], [])
        data = self.configs[0].data
        pieces = self.codec.source.pieces(ids)
        sides = uses_spaces(data.source), uses_spaces(data.target)
        parts, joints = split_line(ids, pieces, self.max_tokens, spaced=sides)
        log.warning(
            "line %d has %d subwords, more than the %d that data.max_tokens let a line have in "
            "training: translated in %d parts",
            number,
            len(ids),
            self.max_tokens,
            len(parts),
        )
        return SourceLine(text, parts, joints)

    def _finish(self, line: SourceLine, *, align: bool) -> list[Translation]:
        if not line.parts:
            return [Translation(line.text, 0.0, 0.0, EMPTY_ALIGNMENT if align else None)]
        parts = [line.hypotheses[part] for part in range(len(line.parts))]
        found = [
            self._join_parts(
                line, [hypotheses[rank] for hypotheses in parts], align=align and rank == 0
            )
            for rank in range(min(map(len, parts)))
        ]
        return sorted(found, key=lambda one: -one.score)  # samples have not been yet

    def _join_parts(
        self, line: SourceLine, chosen: list[Hypothesis], *, align: bool
    ) -> Translation:
        """One hypothesis for each part of the line → one translation."""
        texts = self.codec.target.decode([hypothesis.tokens for hypothesis in chosen])
        text = line.join(texts)
        if not text.strip():  # pieces that spell no text at all must not make a line disappear
            text = _UNKNOWN
        return Translation(
            text,
            sum(hypothesis.log_probability for hypothesis in chosen),
            sum(hypothesis.score for hypothesis in chosen),
            self._alignment(line, chosen, texts, text) if align else None,
        )

    def _alignment(
        self, line: SourceLine, chosen: list[Hypothesis], texts: list[str], text: str
    ) -> Alignment:
        """texts: of the parts; text: that which they became together."""
        source, target = self.codec.source, self.codec.target
        source_words = iter(source.piece_words(line.text))
        ends = (source.pieces([source.eos]), target.pieces([target.eos]))
        parts, before = [], 0
        for number, (ids, hypothesis) in enumerate(zip(line.parts, chosen, strict=True)):
            starts = [before + start for start in target.piece_starts(hypothesis.tokens)]
            left = AlignmentSide(source.pieces(ids.tolist()), list(islice(source_words, len(ids))))
            right = AlignmentSide(target.pieces(hypothesis.tokens), word_indices(text, starts))
            if hypothesis.finished:
                right = right.with_end(ends[1])
            parts.append(Alignment(left.with_end(ends[0]), right, line.attention[number]))
            before += len(texts[number]) + len([*line.joints, ""][number])
        return join_alignments(parts)
