"""Convert raw text to subword ids and back with SentencePiece (Kudo and Richardson 2018).

A tokenizer defines the vocabulary and the four special ids. Other modules read the special ids from
the tokenizer and never assume their values.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import sentencepiece

from seq2seq.config.tokenizer_section import Normalization, TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.text.case_marks import CaseMarker
from seq2seq.text.extended_processor import ExtendedProcessor
from seq2seq.text.learning import learn_model, list_units
from seq2seq.text.normalization import UNICODE_FORMS, TextRules, normalize_text
from seq2seq.text.segmentation import ListedUnits, chosen_segmentation
from seq2seq.text.units import UnitSplitter, unit_starts, word_indices, words_between
from seq2seq.text.vocabulary_file import read_settings

# Characters that a program could treat as the end of a line or text, or of a column (the tab).
_BREAKS = str.maketrans(dict.fromkeys("\0\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
_BREAKS_BUT_TABS = {code: space for code, space in _BREAKS.items() if code != ord("\t")}


class Tokenizer:
    """A tokenizer that converts text to ids (without special ids) and ids to text."""

    def __init__(
        self,
        model: bytes,
        *,
        lowercase: bool = False,
        kind: str | None = None,
        normalization: Normalization | None = None,
    ) -> None:
        """Create a tokenizer from a SentencePiece model.

        model: The serialised model.
        lowercase: Lowercase all text before encoding.
        kind: The value of `tokenizer.kind`. If None, it is read from the model. For "word" and
            "char", each unknown word or character becomes one <unk>.
        normalization: The normalisation of the text. If None, the model's own normalisation.
        Raises UserError if `model` is not a valid model.
        """
        self.model = model
        self.settings = read_settings(model)
        self._processor: Any = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError:
            raise UserError(
                "not a SentencePiece model; if the tokenizer file is damaged, copy it again"
            ) from None
        self.pad: int = self._processor.pad_id()
        self.unk: int = self._processor.unk_id()
        self.bos: int = self._processor.bos_id()
        self.eos: int = self._processor.eos_id()
        if min(self.pad, self.unk, self.bos, self.eos) < 0:
            raise UserError("the tokenizer lacks <pad>, <unk>, <s> or </s>; train a new tokenizer")
        self.kind = kind or self.settings.kind
        self._set_rules(lowercase, normalization)

    def _set_rules(self, lowercase: bool, normalization: Normalization | None) -> None:
        """Set the rules that prepare text. They leave out the normalisation of the model itself."""
        settings = self.settings
        if normalization is None or normalization == settings.normalization:
            normalization = "identity"
        marker = CaseMarker(settings.symbols) if settings.case_marked else None
        self.lowercase = lowercase
        self.rules = TextRules(
            lowercase=lowercase,
            normalization=normalization,
            marker=marker,
            symbols=settings.symbols,
        )

    def with_rules(self, normalization: Normalization, *, lowercase: bool) -> Tokenizer:
        """Return a tokenizer with the same vocabulary and the given rules for text."""
        other = copy.copy(self)
        other._set_rules(lowercase, normalization)
        return self if other.rules.key == self.rules.key else other

    def extended(self, pieces: Sequence[str]) -> Tokenizer:
        """Return a tokenizer that also decodes the id V + k, as `pieces[k]`."""
        other = copy.copy(self)
        other._processor = ExtendedProcessor(self._processor, pieces)
        other.__dict__.pop("_units", None)
        return other

    def __eq__(self, other: object) -> bool:
        """Return whether both tokenizers encode every text as the same ids."""
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return (self.model, self.rules.key) == (other.model, other.rules.key)

    def __hash__(self) -> int:
        return hash((self.model, self.rules.key))

    def __len__(self) -> int:
        """Return the vocabulary size V, including the special ids."""
        return int(self._processor.GetPieceSize())

    @cached_property
    def _units(self) -> UnitSplitter | ListedUnits | None:
        """The splitter into words, characters or symbols. None for subwords."""
        if self.kind not in ("word", "char", "symbols"):
            return None
        pieces = [self._processor.IdToPiece(number) for number in range(len(self))]
        if self.settings.segmentation is not None:
            return ListedUnits(pieces, self.settings.symbols, self.settings.segmentation)
        return UnitSplitter(
            pieces, self.settings.symbols, self._processor.Normalize, words=self.kind == "word"
        )

    def shares_vocabulary(self, other: Tokenizer) -> bool:
        """Return whether both tokenizers use the same vocabulary object in memory."""
        return self._processor is other._processor

    def encode(self, lines: Sequence[str], threads: int = 1) -> list[list[int]]:
        """Return the ids of the most likely subwords of each line. A blank line has no ids."""
        prepared = [self.rules.prepare(line) for line in lines]
        if units := self._units:
            known, unk = units.ids, self.unk
            return [[known.get(unit, unk) for unit in units.split(line)] for line in prepared]
        ids: list[list[int]] = self._processor.EncodeAsIds(prepared, num_threads=threads)
        return ids

    def unknown_tokens(self, line: str, *, spelled: bool = False) -> list[str]:
        """Return the text of each token of a line that `encode` turns into <unk>, in order.

        spelled: Spell subwords as a vocabulary does.
        """
        prepared, units = self.rules.prepare(line), self._units
        if units:
            return [unit for unit in units.split(prepared) if unit not in units.ids]
        pieces = self._processor.EncodeAsImmutableProto(prepared).pieces
        return [p.piece if spelled else p.surface for p in pieces if p.id == self.unk]

    def sample(self, lines: Sequence[str], strength: float) -> list[list[int]]:
        """Return randomly sampled subword ids of each line (subword regularisation, Kudo 2018).

        strength: The smoothing alpha of a unigram model, or the dropout of BPE (Provilkov et al.
            2020). `seed_subword_sampling` seeds the random generator.
        """
        if self._units:  # these kinds of tokens split a text in only one way
            return self.encode(lines)
        # Sample line by line. For a list, SentencePiece starts a new thread at every call and seeds
        # its generator again. Then both sides of a pair would use the same random numbers.
        return [
            self._processor.SampleEncodeAsIds(
                self.rules.prepare(line), nbest_size=-1, alpha=strength
            )
            for line in lines
        ]

    def decode(self, ids: Sequence[Sequence[int]], *, tabs: bool = False) -> list[str]:
        """Return the text of each sequence of ids, without line breaks.

        <pad>, <s> and </s> are left out. <unk> becomes " ⁇ " in text, and "⁇" among symbols.
        tabs: Keep tabs instead of replacing them by spaces.
        Raises IndexError for an id that is not in the vocabulary.
        """
        table, units = _BREAKS_BUT_TABS if tabs else _BREAKS, self._units
        join = units.join if isinstance(units, ListedUnits) else self._processor.DecodeIds
        return [self.rules.restore(join(list(row))).translate(table) for row in ids]

    def piece_words(self, line: str) -> list[int]:
        """Return the index, from 0, of the word that each id from `encode` belongs to."""
        (prepared, text, origins), units = self.rules.prepare_with_origins(line), self._units
        if isinstance(units, ListedUnits):
            return word_indices(text, [origins[start] for start in units.starts(prepared)])
        if units:
            split = units.split(prepared)
            if self.kind == "word" or self.settings.normalization != "identity":
                return units.word_numbers(split)
            # Without case marks, SentencePiece puts one space before the text.
            starts = unit_starts(split, added=0 if self.rules.marker else 1)
            return word_indices(text, [origins[start] for start in starts])
        encoded = self._processor.EncodeAsImmutableProto(prepared)
        return word_indices(text, [origins[piece.begin] for piece in encoded.pieces])

    def piece_starts(self, ids: Sequence[int]) -> list[int]:
        """Return where the text of each id starts in the decoded text, in characters from 0."""
        if not ids:
            return []
        if isinstance(units := self._units, ListedUnits):
            return units.joined_starts(ids)
        decoded = self._processor.DecodeIdsAsImmutableProto(list(ids))
        starts = [piece.begin for piece in decoded.pieces]
        if marker := self.rules.marker:
            text, positions = marker.restore_case(decoded.text)
            return [[*positions, len(text)][start] for start in starts]
        return starts

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the subwords of the ids as written in the vocabulary, with `▁` at word starts."""
        return [self._processor.IdToPiece(int(i)) for i in ids]

    def piece_ids(self, pieces: Sequence[str]) -> list[int]:
        """Return the ids of subwords. A subword that is not in the vocabulary becomes <unk>."""
        return [int(self._processor.PieceToId(piece)) for piece in pieces]


def train_tokenizer(
    lines: Iterable[str],
    config: TokenizerConfig,
    name: str = "the text",
    normalization: Normalization | None = None,
) -> Tokenizer:
    """Learn a tokenizer with a vocabulary of `config.vocabulary` subwords from raw lines.

    For kinds other than "unigram" and "bpe", this size is only a maximum.

    name: Describes the text in error messages.
    normalization: The normalisation to store in the vocabulary; by default, that of a source.
    Raises UserError if the text is empty or does not allow this vocabulary size. Errors that
    `lines` raises are passed on.
    """
    rule = normalization or config.normalization_of("source")
    segmentation = chosen_segmentation(config)
    marker = CaseMarker(config.symbols) if config.case == "marked" else None
    rules = TextRules(
        lowercase=config.lowercase,
        normalization=rule if rule in UNICODE_FORMS or marker or segmentation else "identity",
        marker=marker,
        symbols=config.symbols,
    )

    def prepared() -> Iterator[str]:
        empty = True
        for line in lines:
            text = rules.prepare(line)
            text = words_between(text, config.symbols) if config.kind == "word" else text
            empty = empty and not normalize_text(text, rule).strip(" \t▁")
            yield text
        if empty:
            raise UserError(f"{name} is empty; give at least one line to learn a vocabulary")

    if segmentation:
        model = list_units(prepared(), config, segmentation, name)
    else:
        model = learn_model(prepared(), config, "identity" if marker else rule, name)
    outside = rule if segmentation else None  # only a model of SentencePiece normalises text itself
    return Tokenizer(model, lowercase=config.lowercase, kind=config.kind, normalization=outside)
