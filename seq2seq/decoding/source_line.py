"""A source line on its way: whole, or cut into parts that the model can take."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from seq2seq.decoding.alignment import (
    EMPTY_ALIGNMENT,
    Alignment,
    AlignmentSide,
    join_alignments,
)
from seq2seq.decoding.results import LineResult, Note, Translation
from seq2seq.decoding.stepping import Hypothesis
from seq2seq.text.codec import Codec
from seq2seq.text.tokenizer import word_indices

UNKNOWN_TEXT = "⁇"  # what SentencePiece writes for <unk>, too


@dataclass
class SourceLine:
    """A source line on its way through a search.

    number: of the line in the input, from 1. parts: the ids [length] int64 to translate, several
    where the line is too long; a line without a part becomes its text. joints: what stands
    between the translations of two parts. hypotheses, attention: the results of each part so far,
    the attention that of its best hypothesis. notes: what is to be said about the line.
    """

    number: int
    text: str
    parts: list[np.ndarray] = field(default_factory=list)
    joints: list[str] = field(default_factory=list)
    hypotheses: dict[int, list[Hypothesis]] = field(default_factory=dict)
    attention: dict[int, np.ndarray] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all parts have their hypotheses."""
        return len(self.hypotheses) == len(self.parts)

    def key(self, part: int) -> str:
        """What the random draws of a part depend on."""
        return f"{part} {self.text}" if part else self.text

    def result(self, codec: Codec, *, align: bool) -> LineResult:
        """The translations of the whole line, best first, once all parts are done."""
        if not self.parts:
            nothing = Translation(self.text, 0.0, 0.0, EMPTY_ALIGNMENT if align else None)
            return LineResult([nothing], self.notes)
        parts = [self.hypotheses[part] for part in range(len(self.parts))]
        translations = [
            self._join([hypotheses[rank] for hypotheses in parts], codec, align and rank == 0)
            for rank in range(min(map(len, parts)))
        ]
        # Samples are not yet in order.
        translations.sort(key=lambda translation: -translation.score)
        return LineResult(translations, self.notes)

    def _join(self, chosen: list[Hypothesis], codec: Codec, align: bool) -> Translation:
        """One hypothesis for each part of the line → one translation."""
        texts = codec.target.decode([hypothesis.tokens for hypothesis in chosen])
        text = "".join(map("".join, zip(texts, [*self.joints, ""], strict=True)))
        if not text.strip():  # pieces that spell no text at all must not make a line disappear
            text = UNKNOWN_TEXT
        return Translation(
            text,
            sum(hypothesis.log_probability for hypothesis in chosen),
            sum(hypothesis.score for hypothesis in chosen),
            self._alignment(chosen, codec, texts, text) if align else None,
        )

    def _alignment(
        self, chosen: list[Hypothesis], codec: Codec, texts: list[str], text: str
    ) -> Alignment:
        """texts: of the parts; text: that which they became together."""
        source, target = codec.source, codec.target
        source_words = iter(source.piece_words(self.text))
        ends = (source.pieces([source.eos]), target.pieces([target.eos]))
        parts, before = [], 0
        for number, (ids, hypothesis) in enumerate(zip(self.parts, chosen, strict=True)):
            starts = [before + start for start in target.piece_starts(hypothesis.tokens)]
            left = AlignmentSide(source.pieces(ids.tolist()), list(islice(source_words, len(ids))))
            right = AlignmentSide(target.pieces(hypothesis.tokens), word_indices(text, starts))
            if hypothesis.finished:
                right = right.with_end(ends[1])
            parts.append(Alignment(left.with_end(ends[0]), right, self.attention[number]))
            before += len(texts[number]) + len([*self.joints, ""][number])
        return join_alignments(parts)


def encode_line(
    number: int,
    text: str,
    ids: list[int],
    codec: Codec,
    max_tokens: int,
    *,
    spaced: tuple[bool, bool],
) -> SourceLine:
    """Line `number` with its source ids, in parts of at most `max_tokens`, and notes on what is
    changed. spaced: as for `split_line`."""
    if not text.strip():
        return SourceLine(number, "")
    if not ids:  # what a model writes for no token at all is made up
        warning = (
            f"line {number} holds no character that the tokenizer keeps: written as {UNKNOWN_TEXT}"
        )
        return SourceLine(number, UNKNOWN_TEXT, notes=[Note(number, "no tokens", warning)])
    if len(ids) <= max_tokens:
        return SourceLine(number, text, [np.asarray(ids, np.int64)])
    parts, joints = split_line(ids, codec.source.pieces(ids), max_tokens, spaced=spaced)
    warning = (
        f"line {number} has {len(ids)} subwords, more than the {max_tokens} that data.max_tokens "
        f"let a line have in training: translated in {len(parts)} parts"
    )
    return SourceLine(number, text, parts, joints, notes=[Note(number, "split", warning)])


def split_line(
    ids: list[int], pieces: list[str], longest: int, *, spaced: tuple[bool, bool] = (True, True)
) -> tuple[list[np.ndarray], list[str]]:
    """Cut ids into parts of at most `longest`: after the end of a sentence where one is in the
    second half of a part, else between two words, else anywhere.

    spaced: whether spaces part the words of the source, and of the target. Gives the parts and what
    stands between the translations of two: a space, or nothing inside a word, and nothing where
    the target has no spaces.
    """
    parts, joints = [], []
    start = 0
    while len(ids) - start > longest:
        window = range(start + longest, start + longest // 2, -1)
        words = [at for at in window if pieces[at].startswith("▁")]
        sentences = [at for at in words if pieces[at - 1].endswith((".", "!", "?", "…"))]
        sentences += [at for at in window if pieces[at - 1].endswith(("。", "！", "？"))]
        end = max(sentences or words or [start + longest])
        parts.append(np.asarray(ids[start:end], np.int64))
        inside = spaced[0] and not pieces[end].startswith("▁")
        joints.append(" " if spaced[1] and not inside else "")
        start = end
    parts.append(np.asarray(ids[start:], np.int64))
    return parts, joints
