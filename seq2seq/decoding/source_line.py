"""The state of a source line during translation. A line that is too long is split into parts."""

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

UNKNOWN_TEXT = "⁇"  # SentencePiece also decodes <unk> to this


@dataclass
class SourceLine:
    """One source line and the search results that are known so far.

    number: the number of the line in the input, counted from 1.
    text: the text of the line. If `parts` is empty, `text` is also the translation.
    parts: the token ids to translate, [length] int64 for each part. A line that is too long has
    several parts.
    joints: the texts to insert between the translations of neighbouring parts.
    hypotheses: a dictionary from the number of each finished part to the hypotheses of the part.
    attention: a dictionary from part numbers to the attention weights of the best hypothesis.
    notes: messages for the user about this line.
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
        """Return whether the search has finished all parts."""
        return len(self.hypotheses) == len(self.parts)

    def key(self, part: int) -> str:
        """Return a text that identifies a part. The seeds of samples are derived from this text."""
        return f"{part} {self.text}" if part else self.text

    def result(self, codec: Codec, *, align: bool) -> LineResult:
        """Return the translations of the whole line, best first. All parts must be finished.

        align: whether to add the alignment to the best translation.
        """
        if not self.parts:
            nothing = Translation(self.text, 0.0, 0.0, EMPTY_ALIGNMENT if align else None)
            return LineResult([nothing], self.notes)
        parts = [self.hypotheses[part] for part in range(len(self.parts))]
        translations = [
            self._join([hypotheses[rank] for hypotheses in parts], codec, align and rank == 0)
            for rank in range(min(map(len, parts)))
        ]
        # Samples are in the order of their seeds, not of their scores.
        translations.sort(key=lambda translation: -translation.score)
        return LineResult(translations, self.notes)

    def _join(self, chosen: list[Hypothesis], codec: Codec, align: bool) -> Translation:
        """Join the chosen hypotheses of all parts into one translation of the line."""
        texts = codec.target.decode([hypothesis.tokens for hypothesis in chosen])
        text = "".join(map("".join, zip(texts, [*self.joints, ""], strict=True)))
        if not text.strip():  # e.g. only spaces: the output line must not be blank
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
        """Return the alignment of the whole line.

        chosen: one hypothesis for each part.
        texts: the translation of each part.
        text: the translation of the whole line.
        """
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
    """Return line `number` as a `SourceLine`, in parts of at most `max_tokens` tokens.

    If the line is split or has no tokens, the result has a note for the user.

    ids: the token ids of `text`. spaced: see `split_line`.
    """
    if not text.strip():
        return SourceLine(number, "")
    if not ids:  # a translation of no tokens would be invented
        warning = (
            f"line {number}: the tokenizer found no tokens, so the translation is {UNKNOWN_TEXT}"
        )
        return SourceLine(number, UNKNOWN_TEXT, notes=[Note(number, "no tokens", warning)])
    if len(ids) <= max_tokens:
        return SourceLine(number, text, [np.asarray(ids, np.int64)])
    parts, joints = split_line(ids, codec.source.pieces(ids), max_tokens, spaced=spaced)
    warning = (
        f"line {number}: {len(ids)} subwords are more than the maximum in training "
        f"(data.max_tokens = {max_tokens}), so the line is translated in {len(parts)} parts"
    )
    return SourceLine(number, text, parts, joints, notes=[Note(number, "split", warning)])


def split_line(
    ids: list[int], pieces: list[str], longest: int, *, spaced: tuple[bool, bool] = (True, True)
) -> tuple[list[np.ndarray], list[str]]:
    """Split the token ids of a line into parts of at most `longest` tokens.

    A part ends after the last complete sentence, if a sentence ends in the second half of the part.
    Otherwise, the part ends after the last complete word, if a word ends there. Otherwise, the part
    ends after `longest` tokens.

    pieces: the subword piece of each id.
    spaced: whether the source language puts spaces between words, and whether the target language
    does.

    Returns the parts and the joints. A joint is the text between the translations of two
    neighbouring parts. It is a space, or "" if the line was split inside a word or if the target
    language is written without spaces.
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
