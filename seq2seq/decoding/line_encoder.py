"""Turn raw lines into the token ids that a search translates.

Depending on the options, a prefix is added to a line, marks such as placeholders are taken out, and
the line is divided into sentences. A sentence that is too long is split into parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seq2seq.decoding.protection import Mark, remove_marks
from seq2seq.decoding.results import Note, feature_notes, unknown_tokens_note
from seq2seq.decoding.segments import Segment, split_line
from seq2seq.decoding.source_line import SourceLine
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.text.codec import Codec
from seq2seq.text.features import read_source, settings_of, tokens_of
from seq2seq.text.segmentation import UNKNOWN_TEXT
from seq2seq.text.sentences import split_sentences
from seq2seq.text.statistics import TextStatistics


@dataclass
class _Draft:
    """A line that is divided into sentences but not yet encoded.

    text: the source.
    features: the features of the source.
    problem: what is wrong with the features, or "".
    prefix: the text, such as a language tag, that is put before each sentence.
    own: the number of characters of the prefix that the input line itself contains.
    sentences: the texts to translate, without the prefix.
    gaps: the white space between the sentences.
    """

    number: int
    text: str
    features: str = ""
    problem: str = ""
    prefix: str = ""
    own: int = 0
    marks: list[Mark] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


def encode_sources(
    lines: Sequence[str], codec: Codec, place: str = "line"
) -> tuple[list[np.ndarray], list[Note]]:
    """Encode lines without a prefix and without splitting them. Return the token ids and notes.

    place: the word for a line in the notes. The number of the line follows the word.
    """
    read = [read_source(line, settings_of(codec.features)) for line in lines]
    ids = codec.source_ids([text for text, *_ in read])
    notes = []
    for number, (line, tokens) in enumerate(zip(read, ids, strict=True), start=1):
        text, features, problem = line
        if codec.task.source != "condition":
            closed = codec.close_source(tokens)
            notes += unknown_tokens_note(number, text, closed, codec.source, place=place)
        notes += feature_notes(number, features, problem, codec.features, place=place)
    encoded = [
        codec.encode_source(text, tokens, features)
        for (text, features, _), tokens in zip(read, ids, strict=True)
    ]
    return encoded, notes


class LineEncoder:
    """Turns raw lines into `SourceLine` objects."""

    def __init__(
        self,
        codec: Codec,
        options: SourceOptions,
        *,
        max_tokens: int,
        language: str,
        spaced: tuple[bool, bool],
        tags: Sequence[str] = (),
    ) -> None:
        """Set how lines are encoded.

        max_tokens: the maximum number of tokens of a sentence. A longer sentence is split.
        language: the language code of the source.
        spaced: whether the source language puts spaces between words, and whether the target
            language does.
        tags: the tags and symbols that count as a prefix of a line.
        """
        self.codec, self.options, self.max_tokens = codec, options, max_tokens
        self.language, self.spaced = language, spaced
        self.statistics = codec.statistics or TextStatistics()
        self.tags = tuple(sorted({*self.statistics.tags, *tags}, key=len, reverse=True))

    def encode(self, texts: Sequence[str], first: int) -> list[SourceLine]:
        """Return the encoded lines.

        first: the number of the first line in the input.

        A line gets a note for the user if it is split because of its length, if it has no tokens,
        or if it is unlike the training text.
        """
        drafts = [self._draft(number, text) for number, text in enumerate(texts, start=first)]
        sentences = [
            (draft, draft.prefix + sentence) for draft in drafts for sentence in draft.sentences
        ]
        ids = self.codec.source_ids([text for _, text in sentences])
        encoded = iter(
            self.codec.encode_source(text, tokens, self._features(draft))
            for (draft, text), tokens in zip(sentences, ids, strict=True)
        )
        prefixes = list({draft.prefix for draft in drafts if draft.prefix})
        sizes = dict(zip(prefixes, map(len, self.codec.source_ids(prefixes)), strict=True))
        return [
            self._line(draft, [next(encoded) for _ in draft.sentences], sizes.get(draft.prefix, 0))
            for draft in drafts
        ]

    def _draft(self, number: int, text: str) -> _Draft:
        draft = _Draft(number, text)
        if not text.strip():
            return _Draft(number, "")
        settings = settings_of(self.codec.features)
        text, draft.features, draft.problem = read_source(text, settings)
        draft.text = text
        if not text.strip():  # a line with features but without a source
            draft.sentences = [text]
            return draft
        draft.prefix, rest, draft.own = self.options.separate(text, self.tags)
        if self.options.protect:
            rest, draft.marks = remove_marks(rest)
            if draft.marks and not any(map(str.isalnum, rest)):
                return draft  # only marks: the line is its own translation
        draft.sentences = [rest]
        if self.options.split_sentences:
            pieces = [piece for piece in split_sentences(rest, self.language) if piece.strip()]
            draft.sentences = [piece.strip() for piece in pieces]
            spaces = [piece[len(piece.rstrip()) :] for piece in pieces]
            draft.gaps = ["".join(" " for _ in space) for space in spaces[:-1]]
        return draft

    def _features(self, draft: _Draft) -> str:
        """Return the features of each sentence of a draft, including those of its prefix.

        If words have features, a draft has one sentence, and a prefix that was added has none.
        """
        features = self.codec.features
        if features is None or not features.per_word or draft.own:
            return draft.features
        nothing = features.settings.separator
        return " ".join([*[nothing] * len(draft.prefix.split()), draft.features])

    def _line(self, draft: _Draft, encoded: list[np.ndarray], prefix: int) -> SourceLine:
        """Return the `SourceLine` of a line whose sentences have been encoded.

        encoded: the encoded source of each sentence, beginning with the prefix.
        prefix: the number of tokens of the prefix.
        """
        number = draft.number
        if not draft.sentences:
            return SourceLine(number, draft.text)
        line = SourceLine(number, draft.text, draft.features)
        words, joint = len(draft.text[: draft.own].split()), ""
        own, of_prefix = words, len(draft.prefix.split())
        known = self.codec.features
        longest, features = 0, len(known.in_front(draft.features)) if known else 0
        prefix += features
        for at, (sentence, ids) in enumerate(zip(draft.sentences, encoded, strict=True)):
            segment = Segment(draft.prefix + sentence, prefix, words, own, of_prefix, features)
            words += len(sentence.split())
            if len(ids) > prefix:
                parts, joints = self._parts(ids, prefix)
                line.joints += [*([joint] if line.parts else []), *joints]
                line.parts += parts
                line.segments += [segment] * len(parts)
                longest = max(longest, len(ids))
            if at < len(draft.gaps):
                words -= not draft.gaps[at]  # the next sentence continues this word
                joint = (draft.gaps[at] or " ") if self.spaced[1] else ""
        if not line.parts:  # a translation of no tokens would be invented
            text = (
                f"line {number}: the tokenizer found no tokens, so the translation is "
                f"{UNKNOWN_TEXT}"
            )
            return SourceLine(number, UNKNOWN_TEXT, notes=[Note(number, "no tokens", text)])
        line.marks = [(mark, self._tokens_before(mark, draft)) for mark in draft.marks]
        line.notes = self._notes(draft, line, longest)
        if self.codec.task.source != "condition":
            for sentence, ids in zip(draft.sentences, encoded, strict=True):
                text = draft.prefix + sentence
                tokens = self.codec.close_source(tokens_of(ids)[features:])
                line.notes += unknown_tokens_note(number, text, tokens, self.codec.source)
        line.notes += feature_notes(number, draft.features, draft.problem, self.codec.features)
        return line

    def _parts(self, ids: np.ndarray, prefix: int) -> tuple[list[np.ndarray], list[str]]:
        """Split a sentence that is too long into parts, which all begin with the prefix.

        ids: the token ids of the sentence, beginning with the prefix.
        prefix: the number of tokens of the prefix.

        Returns the parts, and the text to insert between the translations of two neighbouring
        parts.
        """
        if len(ids) <= self.max_tokens:
            return [ids], []
        room = max(1, self.max_tokens - prefix)
        body = ids[prefix:]
        pieces = self.codec.source.pieces(self.codec.close_source(tokens_of(body)))
        parts, joints = split_line(body, pieces, room, spaced=self.spaced)
        if (separator := self.codec.target.settings.separator) is not None:
            joints = [separator] * len(joints)
        return [np.concatenate([ids[:prefix], part]) for part in parts], joints

    def _tokens_before(self, mark: Mark, draft: _Draft) -> int:
        clean, _ = remove_marks(draft.text[draft.own :])
        (before,) = self.codec.source_ids([clean[: mark.at].rstrip()])
        return len(before)

    def _notes(self, draft: _Draft, line: SourceLine, longest: int) -> list[Note]:
        number, notes = draft.number, []
        if longest > self.max_tokens:
            which = "" if len(draft.sentences) == 1 else "in one sentence "
            text = (
                f"line {number}: {longest} subwords {which}are more than the maximum in training "
                f"(data.max_tokens = {self.max_tokens}), so the line is translated in "
                f"{len(line.parts)} parts"
            )
            notes.append(Note(number, "split", text))
        if not self.options.split_sentences and self.statistics.has_unusual_end(draft.text):
            text = (
                f"line {number}: the line looks like several sentences, but the training text had "
                "one sentence a line, so some may be lost; translate it with --split-sentences"
            )
            notes.append(Note(number, "sentences", text))
        return notes
