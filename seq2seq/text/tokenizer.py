"""Convert raw text to subword ids and back with SentencePiece (Kudo and Richardson 2018).

A tokenizer defines the vocabulary and the four special ids. Other modules read the special ids from
the tokenizer and never assume their values.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

import sentencepiece

from seq2seq.config.schema import TokenizerConfig
from seq2seq.errors import UserError

# All characters that a program could treat as a line end, and the tab that separates columns.
_BREAKS = str.maketrans(dict.fromkeys("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
_SPACE = "▁"  # how SentencePiece writes a space
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST = 1 << 16  # in bytes; longer lines are not used to learn a vocabulary
_LEARNING_THREADS = 4  # fixed, because the pieces of a unigram model depend on it


class Tokenizer:
    """A tokenizer that converts text to ids (without special ids) and ids to text."""

    def __init__(self, model: bytes, *, lowercase: bool = False, kind: str = "unigram") -> None:
        """Load a SentencePiece model.

        model: The serialised model.
        lowercase: Lowercase all text before encoding.
        kind: The value of the key tokenizer.kind. With "word" and "char", each unknown word or
            character becomes one <unk>. SentencePiece alone would merge consecutive ones into a
            single <unk>.
        Raises UserError if `model` is not a valid model.
        """
        self.model = model
        self.lowercase = lowercase
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError:
            raise UserError("not a SentencePiece model; copy the tokenizer file again") from None
        self.pad: int = self._processor.pad_id()
        self.unk: int = self._processor.unk_id()
        self.bos: int = self._processor.bos_id()
        self.eos: int = self._processor.eos_id()
        if min(self.pad, self.unk, self.bos, self.eos) < 0:
            raise UserError("the model lacks one of <pad>, <unk>, <s>, </s>; train a new model")
        self._units: dict[str, int] | None = None  # the ids of words or characters
        self._split: Callable[[str], Iterable[str]] = iter
        if kind in ("word", "char"):
            pieces = [self._processor.IdToPiece(number) for number in range(len(self))]
            if kind == "word":
                pieces = [piece.removeprefix(_SPACE) for piece in pieces]
                self._split = _whole_words
            self._units = {piece: i for i, piece in enumerate(pieces) if i > self.eos}

    def __eq__(self, other: object) -> bool:
        """Return whether both tokenizers encode every text as the same ids."""
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return (self.model, self.lowercase) == (other.model, other.lowercase)

    def __hash__(self) -> int:
        return hash((self.model, self.lowercase))

    def __len__(self) -> int:
        """Return the vocabulary size V, including the special ids."""
        return int(self._processor.GetPieceSize())

    def encode(self, lines: Sequence[str], threads: int = 1) -> list[list[int]]:
        """Return the ids of the most likely subwords of each line. A blank line has no ids."""
        prepared = [self._prepared(line) for line in lines]
        if self._units is not None:
            known, unk = self._units, self.unk
            normalized = self._processor.Normalize(prepared)
            return [[known.get(unit, unk) for unit in self._split(line)] for line in normalized]
        ids: list[list[int]] = self._processor.EncodeAsIds(prepared, num_threads=threads)
        return ids

    def sample(self, lines: Sequence[str], strength: float) -> list[list[int]]:
        """Return randomly sampled subword ids of each line (subword regularisation, Kudo 2018).

        strength: The smoothing alpha of a unigram model, or the dropout of BPE (Provilkov et al.
            2020). To seed the random generator, call `seed_subword_sampling`.
        """
        # Sample line by line. For a list, SentencePiece starts a new thread at every call and seeds
        # its generator again. Then both sides of a pair would use the same random numbers.
        return [
            self._processor.SampleEncodeAsIds(self._prepared(line), nbest_size=-1, alpha=strength)
            for line in lines
        ]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each sequence of ids, without line breaks or tabs.

        <pad>, <s> and </s> are omitted, and <unk> becomes " ⁇ ". Raises IndexError for an id that
        is not in the vocabulary.
        """
        return [self._line(list(row)) for row in ids]

    def piece_words(self, line: str) -> list[int]:
        """Return the index, from 0, of the word that each id from `encode` belongs to."""
        text = self._prepared(line)
        if self._units is not None:
            units = list(self._split(self._processor.Normalize(text)))
            # The mark "▁" begins a new word.
            begins = [self._split is _whole_words or unit == _SPACE for unit in units]
            return [number - 1 for number in accumulate(begins)]
        encoded = self._processor.EncodeAsImmutableProto(text)
        return word_indices(text, [piece.begin for piece in encoded.pieces])

    def piece_starts(self, ids: Sequence[int]) -> list[int]:
        """Return where the text of each id starts in the decoded text, in characters from 0."""
        if not ids:
            return []
        decoded = self._processor.DecodeIdsAsImmutableProto(list(ids))
        return [piece.begin for piece in decoded.pieces]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the subwords of the ids as written in the vocabulary, with `▁` at word starts."""
        return [self._processor.IdToPiece(int(i)) for i in ids]

    def piece_ids(self, pieces: Sequence[str]) -> list[int]:
        """Return the ids of subwords. A subword that is not in the vocabulary becomes <unk>."""
        return [int(self._processor.PieceToId(piece)) for piece in pieces]

    def parse_ids(self, words: Sequence[str], number: int) -> list[int]:
        """Convert decimal numbers to ids. The error for an invalid id names the line `number`."""
        for word in words:
            if not (word.isascii() and word.isdigit() and int(word) < len(self)):
                raise UserError(f"line {number}: {word!r} is not an id; use 0 to {len(self) - 1}")
        return [int(word) for word in words]

    def _prepared(self, line: str) -> str:
        """Lowercase the line if configured, and replace unpaired surrogates by U+FFFD."""
        line = line if line.isascii() else _SURROGATE.sub("\ufffd", line)
        return line.lower() if self.lowercase else line

    def _line(self, ids: list[int]) -> str:
        text: str = self._processor.DecodeIds(ids)
        return text.translate(_BREAKS)


def _whole_words(normalized: str) -> list[str]:
    """Split normalized text into words."""
    return normalized.split(_SPACE)[1:]


def word_indices(text: str, starts: Sequence[int]) -> list[int]:
    """Return the index, from 0, of the word in `text` that each piece belongs to.

    starts: The character position where each piece starts. A piece that starts with whitespace
        belongs to the next word. A piece after the last word belongs to the last word.
    """
    number, numbers, before = -1, [], " "
    for character in text:
        number += before.isspace() and not character.isspace()
        # Whitespace belongs to the next word.
        numbers.append(number + 1 if character.isspace() else number)
        before = character
    last = max(number, 0)
    return [min(numbers[start], last) if start < len(numbers) else last for start in starts]


def seed_subword_sampling(seed: int) -> None:
    """Set the seed of SentencePiece's random generator, from 0 to 2^32 - 2.

    A thread reads the seed only when it samples for the first time. For reproducible samples, set
    the seed and then sample in a new thread. The value 2^32 - 1 means a random seed.
    """
    sentencepiece.set_random_generator_seed(seed)


def train_tokenizer(
    lines: Iterable[str], config: TokenizerConfig, name: str = "the text"
) -> Tokenizer:
    """Learn a tokenizer with a vocabulary of `config.vocabulary` subwords from raw lines.

    For the kinds "unigram" and "bpe", the vocabulary has exactly this size. For "char" and "word",
    the size is a maximum. `name` describes the text in error messages. Raises UserError if the text
    is empty or does not allow this vocabulary size. Errors raised by `lines` are passed on.
    """
    failure: list[BaseException] = []

    def prepared() -> Iterator[str]:
        normalizer = sentencepiece.SentencePieceNormalizer(rule_name=config.normalization)
        empty = True
        try:
            for line in lines:
                text = line.lower() if config.lowercase else line
                empty = empty and not normalizer.Normalize(text).strip(" ▁")
                yield text
            if empty:
                raise UserError(f"{name} is empty; give at least one line to learn a vocabulary")
        except (Exception, KeyboardInterrupt) as error:
            # SentencePiece would ignore the error and fail later. Without any text it would even
            # abort the process. Give it one letter, so that it finishes, then raise the error.
            failure.append(error)
            yield "a"

    subwords = config.kind in ("unigram", "bpe")
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=prepared(),
            model_writer=written,
            model_type=config.kind,
            vocab_size=config.vocabulary,
            hard_vocab_limit=subwords,
            character_coverage=config.character_coverage,
            byte_fallback=config.byte_fallback and subwords,
            normalization_rule_name=config.normalization,
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            num_threads=_LEARNING_THREADS,
            max_sentence_length=_LONGEST,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        if not failure:
            raise UserError(_complaint(str(error), config, name)) from None
    if failure:
        raise failure[0]
    return Tokenizer(written.getvalue(), lowercase=config.lowercase, kind=config.kind)


def _complaint(message: str, config: TokenizerConfig, name: str) -> str:
    """Convert an error message of SentencePiece into a message for the user."""
    if "sentences_.empty()" in message:
        return f"{name}: every line is longer than {_LONGEST:,} bytes; split it into shorter lines"
    start = f"tokenizer.vocabulary = {config.vocabulary} does not fit {name}: "
    if match := re.search(r"<= (\d+)", message):
        return start + f"at most {match[1]} is possible with kind {config.kind!r}"
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return start + (
            f"its characters and the special tokens alone need {match[1]}; "
            "set a larger value, or reduce tokenizer.character_coverage"
        )
    return start + message.strip().splitlines()[-1]
