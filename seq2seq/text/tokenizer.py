"""Raw text to subword ids and back (SentencePiece; Kudo and Richardson 2018).

A tokenizer owns its vocabulary and the four special ids; nobody else writes an id as a number.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

import sentencepiece

from seq2seq.config.schema import TokenizerConfig
from seq2seq.errors import UserError

# Everything that some program takes for the end of a line, and the tab that separates columns.
_BREAKS = str.maketrans(dict.fromkeys("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
_SPACE = "▁"  # what SentencePiece writes for one
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST = 1 << 16  # bytes of a line; a vocabulary is not learned from longer ones
_LEARNING_THREADS = 4  # fixed: the pieces of a unigram model depend on it, and on nothing else


class Tokenizer:
    """One vocabulary: text to ids [int] without special ones, and ids to text."""

    def __init__(self, model: bytes, *, lowercase: bool = False, kind: str = "unigram") -> None:
        """model: a serialised SentencePiece model; kind: as in the configuration. Of "word" and
        "char", each word or character has an id of its own, where SentencePiece would make one
        <unk> of a row of unknown ones.

        Raises UserError if the model is none.
        """
        self.model = model
        self.lowercase = lowercase
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError:
            raise UserError("the tokenizer's file is no SentencePiece model") from None
        self.pad: int = self._processor.pad_id()
        self.unk: int = self._processor.unk_id()
        self.bos: int = self._processor.bos_id()
        self.eos: int = self._processor.eos_id()
        if min(self.pad, self.unk, self.bos, self.eos) < 0:
            raise UserError("the SentencePiece model lacks one of <pad>, <unk>, <s>, </s>")
        self._units: dict[str, int] | None = None  # the ids of whole words or of characters
        self._split: Callable[[str], Iterable[str]] = iter
        if kind in ("word", "char"):
            pieces = [self._processor.IdToPiece(number) for number in range(len(self))]
            if kind == "word":
                pieces = [piece.removeprefix(_SPACE) for piece in pieces]
                self._split = _whole_words
            self._units = {piece: i for i, piece in enumerate(pieces) if i > self.eos}

    def __eq__(self, other: object) -> bool:
        """Whether both give the same ids for every text."""
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return (self.model, self.lowercase) == (other.model, other.lowercase)

    def __hash__(self) -> int:
        return hash((self.model, self.lowercase))

    def __len__(self) -> int:
        """V, the special ids counted."""
        return int(self._processor.GetPieceSize())

    def encode(self, lines: Sequence[str], threads: int = 1) -> list[list[int]]:
        """The most likely pieces of each line; a blank line has none."""
        prepared = [self._prepared(line) for line in lines]
        if self._units is not None:
            known, unk = self._units, self.unk
            normalized = self._processor.Normalize(prepared)
            return [[known.get(unit, unk) for unit in self._split(line)] for line in normalized]
        ids: list[list[int]] = self._processor.EncodeAsIds(prepared, num_threads=threads)
        return ids

    def sample(self, lines: Sequence[str], strength: float) -> list[list[int]]:
        """Subword regularisation (Kudo 2018): each line's pieces drawn at random.

        strength: the smoothing alpha of a unigram model, or the dropout of BPE (Provilkov et al.
        2020). The generator is SentencePiece's own, one a thread: see `seed_subword_sampling`.
        """
        # Line by line: a list of lines is drawn in a new thread of SentencePiece's, which starts
        # the generator again at every call, and so draws both sides of a pair alike.
        return [
            self._processor.SampleEncodeAsIds(self._prepared(line), nbest_size=-1, alpha=strength)
            for line in lines
        ]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each sequence, one line each whatever the pieces hold.

        <pad>, <s> and </s> are left out, <unk> is written " ⁇ ". Raises IndexError for an id that
        is none of the vocabulary's.
        """
        return [self._line(list(row)) for row in ids]

    def piece_words(self, line: str) -> list[int]:
        """The whitespace word of the line, from 0, that each piece of `encode` belongs to."""
        text = self._prepared(line)
        if self._units is not None:
            units = list(self._split(self._processor.Normalize(text)))
            # A character belongs to the word whose mark of a beginning came last.
            begins = [self._split is _whole_words or unit == _SPACE for unit in units]
            return [number - 1 for number in accumulate(begins)]
        encoded = self._processor.EncodeAsImmutableProto(text)
        return word_indices(text, [piece.begin for piece in encoded.pieces])

    def piece_starts(self, ids: Sequence[int]) -> list[int]:
        """Where each id's text starts in that of `decode`, in characters."""
        if not ids:
            return []
        decoded = self._processor.DecodeIdsAsImmutableProto(list(ids))
        return [piece.begin for piece in decoded.pieces]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as they are written in the vocabulary, `▁` where a word begins."""
        return [self._processor.IdToPiece(int(i)) for i in ids]

    def piece_ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of written pieces; one that the vocabulary lacks is <unk>."""
        return [int(self._processor.PieceToId(piece)) for piece in pieces]

    def parse_ids(self, words: Sequence[str], number: int) -> list[int]:
        """Written ids; UserError, naming line `number`, for what is none of the vocabulary's."""
        for word in words:
            if not (word.isascii() and word.isdigit() and int(word) < len(self)):
                raise UserError(f"line {number}: {word!r} is no id from 0 to {len(self) - 1}")
        return [int(word) for word in words]

    def _prepared(self, line: str) -> str:
        """As the pieces were learned; half a character, which is no text, becomes U+FFFD."""
        line = line if line.isascii() else _SURROGATE.sub("\ufffd", line)
        return line.lower() if self.lowercase else line

    def _line(self, ids: list[int]) -> str:
        text: str = self._processor.DecodeIds(ids)
        return text.translate(_BREAKS)


def _whole_words(normalized: str) -> list[str]:
    return normalized.split(_SPACE)[1:]


def word_indices(text: str, starts: Sequence[int]) -> list[int]:
    """The whitespace word of `text` that each piece belongs to, by where its surface starts.

    starts: a character position for each piece. A piece that starts with whitespace belongs to the
    word behind it; what comes after the last word, to that one.
    """
    number, numbers, before = -1, [], " "
    for character in text:
        number += before.isspace() and not character.isspace()
        # In front of a word: the one that comes.
        numbers.append(number + 1 if character.isspace() else number)
        before = character
    last = max(number, 0)
    return [min(numbers[start], last) if start < len(numbers) else last for start in starts]


def seed_subword_sampling(seed: int) -> None:
    """Seed SentencePiece's generator, which every thread takes over at its first sample only.

    So seed first, then sample in a fresh thread: the result is the same in every run. A seed is
    from 0 to 2^32 - 2; the next one would ask SentencePiece for a seed that nobody knows.
    """
    sentencepiece.set_random_generator_seed(seed)


def train_tokenizer(
    lines: Iterable[str], config: TokenizerConfig, name: str = "the text"
) -> Tokenizer:
    """Learn a vocabulary of `config.vocabulary` pieces from raw lines.

    For `char` and `word` the size is an upper limit, for `unigram` and `bpe` it is met exactly.
    Raises UserError, naming `name`, where the text does not allow the size, with what is possible,
    and where there is no text; and whatever `lines` raises.
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
                raise UserError(f"{name} is empty: there is nothing to learn a vocabulary from")
        except (Exception, KeyboardInterrupt) as error:
            # SentencePiece would go on and fail at the end, and without any text it would end the
            # process: let it come to an end with a letter, and raise the error then.
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
    if "sentences_.empty()" in message:
        return f"{name} has no line of at most {_LONGEST:,} bytes to learn a vocabulary from"
    start = f"tokenizer.vocabulary = {config.vocabulary} does not fit {name}: "
    if match := re.search(r"<= (\d+)", message):
        return start + f"at most {match[1]} is possible with kind {config.kind!r}"
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return start + (
            f"its characters and the special pieces alone need {match[1]}; "
            "set a larger one, or a lower tokenizer.character_coverage"
        )
    return start + message.strip().splitlines()[-1]
