"""The results of a translator: the translations of each line, and notes for the user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from seq2seq.decoding.alignment import Alignment
from seq2seq.text.code_points import quote_token
from seq2seq.text.features import FeatureSet
from seq2seq.text.segmentation import UNKNOWN_TEXT
from seq2seq.text.tokenizer import Tokenizer

_log = logging.getLogger(__name__)

NoteKind = Literal[
    "split", "no tokens", "unknown tokens", "features", "sentences", "cut", "blank", "constraint"
]

_SHOWN = 10  # lines of each kind whose notes are reported one by one
_RANGES = 1000  # ranges of further lines to name in a summary
_SUMMARIES: dict[NoteKind, str] = {
    "split": "{:,} more line{} too long, translated in parts",
    "no tokens": "{:,} more line{} without tokens",
    "unknown tokens": "{:,} more line{} with unknown tokens",
    "features": "{:,} more line{} with wrong or unknown features",
    "sentences": "{:,} more line{} that may hold several sentences",
    "cut": "{:,} more translation{} cut at the maximum length",
    "blank": "{:,} more translation{} of only spaces, written as ⁇",
}
_NAMED = 5  # unknown tokens or features of a line to name


def visible(text: str) -> str:
    """Return a translation, or "⁇" if it has only spaces, because no output line may be blank."""
    return text if text.strip() else UNKNOWN_TEXT


@dataclass(frozen=True)
class Note:
    """A note for the user about one input line.

    line: the number of the line in the input, counted from 1.
    kind: the subject of the note, as listed below.
    text: the message for the user.

    - "split": the line was too long and was translated in parts.
    - "no tokens": the tokenizer found no tokens in the line.
    - "unknown tokens": the vocabulary lacks some tokens of the line.
    - "features": the line has no features, features of a wrong number of words, or features that
      the training data does not contain.
    - "sentences": the line looks like several sentences, unlike the training text.
    - "cut": the best translation was cut at the maximum length.
    - "blank": the best translation has only spaces, so its text is "⁇".
    - "constraint": the best translation breaks a constraint of the search. Or it lost or repeated a
      protected text, such as a placeholder.
    """

    line: int
    kind: NoteKind
    text: str


def unknown_tokens_note(
    line: int, text: str, ids: Sequence[int], tokenizer: Tokenizer, *, place: str = "line"
) -> list[Note]:
    """Return a note on the unknown tokens of a line, or an empty list if there are none.

    line: the number of the line.
    text: the text of the line.
    ids: the token ids of the line, encoded by `tokenizer`.
    place: the word for the line in the note.
    """
    return _note_unknown(line, [text], ids, tokenizer, place) if tokenizer.unk in ids else []


def feature_notes(
    line: int, text: str, problem: str, features: FeatureSet | None, *, place: str = "line"
) -> list[Note]:
    """Return notes on wrong and on unknown features of a line.

    line: the number of the line.
    text: the features of the line.
    problem: what is wrong with the features, or "".
    features: the features of the model; None for a model without features.
    place: the word for a line in the notes.
    """
    problems = [problem] if problem else []
    if unknown := [] if features is None else features.unknown(text):
        more = ", ..." if len(unknown) > _NAMED else ""
        named = ", ".join(map(repr, unknown[:_NAMED])) + more
        problems.append(f"unknown features, which are left out: {named}")
    return [Note(line, "features", f"{place} {line}: {problem}") for problem in problems]


def unknown_words_note(
    line: int, text: str, ids: Sequence[int], tokenizer: Tokenizer
) -> list[Note]:
    """Return a note on the unknown tokens of a line that a tagger reads, or an empty list.

    A tagger encodes each word on its own and ends it with EOS. The arguments are those of
    `unknown_tokens_note`.
    """
    if tokenizer.unk not in ids:
        return []
    tokens = [number for number in ids if number != tokenizer.eos]
    return _note_unknown(line, text.split(" "), tokens, tokenizer, "line")


def log_unknown_tokens(
    texts: Sequence[str], encoded: Sequence[Sequence[int]], tokenizer: Tokenizer, place: str
) -> None:
    """Log the texts with unknown tokens: the first ten as warnings, all others in a summary.

    encoded: the token ids of each text.
    place: the word for a text in the warnings, such as "line". The number of the text follows.
    """
    with NoteLog() as log:
        for number, (text, ids) in enumerate(zip(texts, encoded, strict=True), start=1):
            log.add(unknown_tokens_note(number, text, ids, tokenizer, place=place))


def _note_unknown(
    line: int, texts: Sequence[str], ids: Sequence[int], tokenizer: Tokenizer, place: str
) -> list[Note]:
    """Return a note on the unknown tokens of a line that consists of `texts`.

    ids: the token ids of all texts, without EOS.
    """
    unknown = [token for text in texts for token in tokenizer.unknown_tokens(text)]
    names = list(dict.fromkeys(filter(None, unknown)))
    named = ": " + ", ".join(map(quote_token, names[:_NAMED])) if names else ""
    more = ", ..." if len(names) > _NAMED else ""
    count = sum(number == tokenizer.unk for number in ids)
    text = f"{place} {line}: {count} of {len(ids)} tokens unknown{named}{more}"
    return [Note(line, "unknown tokens", text)]


class NoteLog:
    """A context manager that logs the notes of many lines.

    The notes of each kind on its first ten lines are logged as warnings, and further notes as debug
    messages. When the block ends, one warning for each kind says how many further lines have such
    notes, and which lines. All notes on constraints are warnings, because the user has asked for
    these constraints.
    """

    def __init__(self) -> None:
        self._lines: dict[NoteKind, list[range]] = {}  # the lines of each kind, as ranges
        self._last: dict[NoteKind, tuple[int, int]] = {}  # the last line, and the number of lines

    def __enter__(self) -> NoteLog:
        return self

    def __exit__(self, *_: object) -> None:
        for kind, lines in self._lines.items():
            shown = ", ".join(
                f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in lines
            )
            number = self._last[kind][1] - _SHOWN
            text = _SUMMARIES[kind].format(number, "s" * (number != 1))
            _log.warning("%s: %s%s", text, shown, ", ..." if sum(map(len, lines)) < number else "")

    def add(self, notes: Iterable[Note]) -> None:
        """Log notes, which must be in the order of their lines."""
        for note in notes:
            last, lines = self._last.get(note.kind, (-1, 0))
            lines += note.line != last
            self._last[note.kind] = note.line, lines
            if lines <= _SHOWN or note.kind == "constraint":
                _log.warning("%s", note.text)
                continue
            _log.debug("%s", note.text)
            parts = self._lines.setdefault(note.kind, [])
            if parts and note.line in (parts[-1][-1], parts[-1].stop):
                parts[-1] = range(parts[-1].start, note.line + 1)
            elif len(parts) < _RANGES:
                parts.append(range(note.line, note.line + 1))


def watch_unknown_tokens(
    tokenizer: Tokenizer, log: NoteLog
) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return a function that encodes lines as the tokenizer does and logs their unknown tokens.

    The function counts the lines from 1 over all its calls.
    """
    numbers = count(1)

    def encode(lines: Sequence[str]) -> list[list[int]]:
        encoded = tokenizer.encode(lines)
        for text, ids in zip(lines, encoded, strict=True):
            log.add(unknown_tokens_note(next(numbers), text, ids, tokenizer))
        return encoded

    return encode


@dataclass(frozen=True)
class Translation:
    """One translation of a line.

    log_probability: Σ log p in nats, including EOS if the translation ended by EOS.
    score: log_probability / length^penalty. With minimum Bayes risk, the expected utility.
    alignment: the attention weights. None unless alignments were requested and this is the best
        translation.

    If a long line was translated in parts, `log_probability` and `score` are sums over the parts.
    """

    text: str
    log_probability: float
    score: float
    alignment: Alignment | None = None


@dataclass(frozen=True)
class Finish:
    """The settings that turn the hypotheses of a line into its results.

    n_best: the largest number of translations.
    distinct: whether repeated texts are left out.
    stop: the strings at which a text ends.
    spaced: whether the target language puts spaces between words.
    same_length: whether the model cuts every hypothesis at the length of its source.
    check: a function that returns one phrase of a message for each constraint that a text breaks.
    """

    n_best: int = 1
    distinct: bool = True
    stop: Sequence[str] = ()
    spaced: bool = True
    same_length: bool = False
    check: Callable[[str], list[str]] = lambda text: []


@dataclass(frozen=True)
class LineResult:
    """The result for one input line: the translations, best first, and notes for the user."""

    translations: list[Translation]
    notes: list[Note] = field(default_factory=list)

    @property
    def best(self) -> Translation:
        """Return the best translation, which is the first one."""
        return self.translations[0]
