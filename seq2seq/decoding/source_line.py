"""The state of a source line during translation. A line that is too long is split into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from seq2seq.decoding.alignment import (
    EMPTY_ALIGNMENT,
    Alignment,
    AlignmentSide,
    join_alignments,
    join_blocks,
)
from seq2seq.decoding.phrases import cut_at_stop
from seq2seq.decoding.protection import Mark, count_differences, even_weights, place_marks
from seq2seq.decoding.results import Finish, LineResult, Note, Translation, visible
from seq2seq.decoding.segments import Segment, source_pieces
from seq2seq.decoding.stepping import Hypothesis
from seq2seq.text.codec import Codec
from seq2seq.text.features import write_source
from seq2seq.text.segmentation import UNKNOWN_TEXT
from seq2seq.text.tokenizer import Tokenizer
from seq2seq.text.units import word_indices


@dataclass
class SourceLine:
    """One source line and the search results that are known so far.

    number: the number of the line in the input, counted from 1.
    text: the source. If it has no parts, the text is also its translation.
    features: the features of the source.
    parts: the encoded sources to translate (see `seq2seq.text.features`). A line that is split has
        several.
    joints: the text to insert between the translations of two neighbouring parts.
    segments: the segment of each part. Neighbouring parts may share a segment.
    marks: the marks, such as placeholders, that were taken out of the line. For each mark, the
        number of source tokens before it, without prefixes.
    hypotheses: the hypotheses of each finished part, by part number.
    attention: the attention weights of a hypothesis, by the numbers of the part and the hypothesis.
    notes: messages for the user about this line.
    """

    number: int
    text: str
    features: str = ""
    parts: list[np.ndarray] = field(default_factory=list)
    joints: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    marks: list[tuple[Mark, int]] = field(default_factory=list)
    hypotheses: dict[int, list[Hypothesis]] = field(default_factory=dict)
    attention: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Return whether the search has finished all parts of the line."""
        return len(self.hypotheses) == len(self.parts)

    def key(self, part: int) -> str:
        """Return a text that identifies a part of the line, to derive the seeds of its samples."""
        text = write_source(self.text, [self.features] if self.features else [])
        return f"{part} {text}" if part else text

    def result(self, codec: Codec, finish: Finish, *, align: bool) -> LineResult:
        """Return the translations of the whole line, best first.

        The search must have finished all parts of the line.

        align: whether to add the alignment to the best translation.
        """
        if not self.parts:
            nothing = Translation(self.text, 0.0, 0.0, EMPTY_ALIGNMENT if align else None)
            return LineResult([nothing], self.notes)
        joined = []
        for ranks in self._choices(finish):
            chosen = [self.hypotheses[part][rank] for part, rank in enumerate(ranks)]
            translation = self._join(ranks, chosen, codec, finish, align and not any(ranks))
            joined.append((translation, chosen))
        # Samples are in the order of their seeds, not of their scores.
        joined.sort(key=lambda pair: -pair[0].score)
        if finish.distinct:
            first: dict[str, tuple[Translation, list[Hypothesis]]] = {}
            for pair in joined:
                first.setdefault(pair[0].text, pair)
            joined = list(first.values())
        notes = self.notes + self._result_notes(*joined[0], codec, finish)
        return LineResult([translation for translation, _ in joined[: finish.n_best]], notes)

    def _choices(self, finish: Finish) -> list[tuple[int, ...]]:
        """Choose one hypothesis for each part of the line. Each choice makes one translation.

        A choice is a tuple with the rank of the chosen hypothesis of each part. When sampling,
        choice k takes sample k of every part. After a beam search, the choices are those with the
        highest sums of scores.
        """
        parts = [self.hypotheses[part] for part in range(len(self.parts))]
        if not finish.distinct or len(parts) == 1:
            return [(rank,) * len(parts) for rank in range(min(map(len, parts)))]
        choices: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for ranked in parts:
            longer = [
                (score + hypothesis.score, (*ranks, rank))
                for score, ranks in choices
                for rank, hypothesis in enumerate(ranked)
            ]
            choices = sorted(longer, key=lambda choice: -choice[0])[: 2 * finish.n_best]
        return [ranks for _, ranks in choices]

    def _join(
        self,
        ranks: tuple[int, ...],
        chosen: list[Hypothesis],
        codec: Codec,
        finish: Finish,
        align: bool,
    ) -> Translation:
        texts = self._texts(chosen, codec, finish)
        text = visible("".join(map("".join, zip(texts, [*self.joints, ""], strict=True))))
        alignment = self._alignment(chosen, codec, texts, text) if align else None
        if self.marks:
            text = self._with_marks(ranks, chosen, codec, texts, text, finish)
        return Translation(
            text,
            sum(hypothesis.log_probability for hypothesis in chosen),
            sum(hypothesis.score for hypothesis in chosen),
            alignment,
        )

    def _texts(self, chosen: list[Hypothesis], codec: Codec, finish: Finish) -> list[str]:
        """Return the translation of each part."""
        return [
            cut_at_stop(self.writer(codec, part, one.tokens).decode([one.tokens])[0], finish.stop)
            for part, one in enumerate(chosen)
        ]

    def writer(self, codec: Codec, part: int, written: Sequence[int]) -> Tokenizer:
        """Return a tokenizer that decodes `written`, the token ids of a translation of a part."""
        return codec.writer(self.segments[part].text, self.parts[part], written)

    def _starts(self, chosen: list[Hypothesis], codec: Codec, texts: list[str]) -> list[list[int]]:
        """Return where each token of each part starts in the text of the line, in characters."""
        starts, before = [], 0
        for number, hypothesis in enumerate(chosen):
            inside = self.writer(codec, number, hypothesis.tokens).piece_starts(hypothesis.tokens)
            starts.append([before + min(start, len(texts[number])) for start in inside])
            before += len(texts[number]) + len([*self.joints, ""][number])
        return starts

    def _with_marks(
        self,
        ranks: tuple[int, ...],
        chosen: list[Hypothesis],
        codec: Codec,
        texts: list[str],
        text: str,
        finish: Finish,
    ) -> str:
        starts = self._starts(chosen, codec, texts)
        blocks = []
        for part, (ids, segment) in enumerate(zip(self.parts, self.segments, strict=True)):
            targets, sources = len(starts[part]), len(ids) - segment.prefix
            weights = self.attention.get((part, ranks[part]))
            if weights is None:
                blocks.append(even_weights(targets, sources))
            else:
                blocks.append(weights[:targets, segment.prefix : len(ids)])
        return place_marks(
            text,
            [mark for mark, _ in self.marks],
            [gap for _, gap in self.marks],
            join_blocks(blocks),
            [start for part in starts for start in part],
            spaced=finish.spaced,
        )

    def _result_notes(
        self, best: Translation, chosen: list[Hypothesis], codec: Codec, finish: Finish
    ) -> list[Note]:
        """Return notes about the best translation: whether it was cut or blank, what it lacks."""
        notes = []
        cut = [len(one.tokens) for one in chosen if not one.finished]
        text = ""
        if cut:
            text = f"the translation was cut at the maximum length of {cut[0]} tokens"
        elif any(one.outdone for one in chosen):
            text = "the maximum length cut a translation that the model finds better"
        if text and not finish.same_length and not finish.stop:
            text = f"line {self.number}: {text}; allow longer translations with --max-length"
            notes.append(Note(self.number, "cut", text))
        problems = finish.check(best.text)
        texts = self._texts(chosen, codec, finish) if UNKNOWN_TEXT in best.text else [best.text]
        blank = not "".join(texts).strip()
        if blank and finish.stop:
            problems.append(f"a stop string comes first, so {UNKNOWN_TEXT} is the translation")
        elif blank:
            text = f"line {self.number}: the translation has only spaces and is written as ⁇"
            notes.append(Note(self.number, "blank", text))
        if self.marks:
            problems += [
                f"the mark {mark!r} is not there as often as in the source"
                for mark in count_differences([mark for mark, _ in self.marks], best.text)
            ]
        for problem in problems:
            text = f"line {self.number}: {problem}; check the translation"
            notes.append(Note(self.number, "constraint", text))
        return notes

    def _alignment(
        self, chosen: list[Hypothesis], codec: Codec, texts: list[str], text: str
    ) -> Alignment:
        """Return the alignment of the whole line.

        chosen: one hypothesis for each part.
        texts: the translation of each part.
        text: the translation of the whole line.
        """
        ends = [side.pieces([side.eos]) for side in (codec.source, codec.target)]
        all_starts, parts = self._starts(chosen, codec, texts), []
        segment: Segment | None = None
        for number, (ids, hypothesis) in enumerate(zip(self.parts, chosen, strict=True)):
            if self.segments[number] is not segment:
                segment = self.segments[number]
                every = segment.piece_words(codec)
                prefix, words = every[: segment.prefix], iter(every[segment.prefix :])
            of_part = [*prefix, *islice(words, len(ids) - segment.prefix)]
            left = AlignmentSide(source_pieces(ids, codec), of_part)
            written = self.writer(codec, number, hypothesis.tokens).pieces(hypothesis.tokens)
            right = AlignmentSide(written, word_indices(text, all_starts[number]))
            right = right.with_end(ends[1]) if hypothesis.finished else right
            parts.append(Alignment(left.with_end(ends[0]), right, self.attention[number, 0]))
        return join_alignments(parts)
