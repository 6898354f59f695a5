"""The features of a source, such as `N;ABL(PL)`, as numbers.

A source with features is a line `SOURCE<TAB>FEATURES`. An encoded source is an array of int64:

- Without features, it holds the tokens, [S].
- If the features describe the whole source, they stand in front of the tokens, as further ids that
  follow the ids of the vocabulary. The array is [S], with S features and tokens.
- If each word has features, the array is [S, 1 + K]. Column 0 holds the tokens, and the other
  columns hold the features of each token, numbered from 1. Number 0 stands for no feature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

from seq2seq.config.features_section import FeaturesConfig
from seq2seq.errors import UserError, counted
from seq2seq.text.tokenizer import Tokenizer

MOST_FEATURES = 100_000


@lru_cache(maxsize=1 << 16)
def flatten_features(text: str, separator: str) -> tuple[str, ...]:
    """Return the features in a text, nested ones in the form "feature(nested feature)".

    "N;ABL(PL;PSS(2,PL))" becomes N, ABL, ABL(PL), ABL(PSS), ABL(PSS(2)) and ABL(PSS(PL)). If the
    brackets of the text are not balanced, they have no meaning.
    """
    if not _is_balanced(text):
        return tuple(name for part in text.split(separator) if (name := part.strip()))
    features: list[str] = []
    path = [""]
    for part in re.split(f"({re.escape(separator)}|[(),])", text):
        nested = len(path) > 1
        if part == "(":
            path[-1] = path[-1].strip()
            path.append("")
        elif part not in (separator, ")") and not (part == "," and nested):
            path[-1] += part
            continue
        closed = path[:-1] if part == "(" else path
        if name := closed[-1].strip():
            features.append("(".join([*closed[:-1], name]) + ")" * (len(closed) - 1))
        if part == ")":
            path.pop()
        if part != "(":
            path[-1] = ""
    if name := path[-1].strip():
        features.append(name)
    return tuple(features)


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


class FeatureSet:
    """The features of the training data, in alphabetical order."""

    def __init__(self, names: Iterable[str], settings: FeaturesConfig) -> None:
        """Create the set. Raises UserError for no features, and for too many features."""
        self.names, self.settings = sorted(set(names)), settings
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._encoded: dict[str, tuple[int, ...]] = {}
        if not self.names:
            raise UserError("there are no features in the training data; leave out data.features")
        if len(self.names) > MOST_FEATURES:
            raise UserError(
                f"there are {len(self.names):,} different features, more than {MOST_FEATURES:,}; "
                "check data.features and features.separator"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureSet) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return tuple(self.names), self.settings.separator, self.settings.per

    @property
    def per_word(self) -> bool:
        """Whether each word of a source has its own features."""
        return self.settings.per == "word"

    def unknown(self, text: str) -> list[str]:
        """Return the features in a text that the training data does not contain."""
        names = features_in(text, self.settings)
        return [name for name in dict.fromkeys(names) if name not in self._numbers]

    def join(
        self, tokens: np.ndarray, source: str, features: str, tokenizer: Tokenizer
    ) -> np.ndarray:
        """Return a source with the given tokens, [S], and features in encoded form.

        If there are no tokens, there are no features.
        """
        if self.per_word:
            words = tokenizer.piece_words(source) if len(tokens) else []
            return join_columns(tokens, self.rows(features, words))
        front = np.array(self.in_front(features) if len(tokens) else (), np.int64)
        return np.concatenate([front + len(tokenizer), tokens])

    def in_front(self, text: str) -> tuple[int, ...]:
        """Return the numbers of the features that stand in front of the tokens, counted from 0."""
        return () if self.per_word else self.numbers(text)

    def rows(self, text: str, words: Sequence[int]) -> np.ndarray:
        """Return the features of each token, [S, K] int64, numbered from 1 and filled up with 0.

        Features that the training data does not contain are left out.

        text: the features of the words, with spaces between them.
        words: the number of the word that each token belongs to, counted from 0.
        """
        of_words = [self.numbers(word) for word in text.split()]
        table = np.zeros((len(of_words) + 1, max(map(len, of_words), default=0)), np.int64)
        for row, numbers in zip(table, of_words, strict=False):
            row[: len(numbers)] = np.array(numbers) + 1
        last = len(of_words)  # a row of zeros, for words without features
        return table[[word if 0 <= word < last else last for word in words]]

    def numbers(self, text: str) -> tuple[int, ...]:
        """Return the numbers of the features in a text, counted from 0.

        The numbers are sorted, so that the order of the features has no effect. Features that the
        training data does not contain are left out.
        """
        known = self._encoded.get(text)
        if known is None:
            names = flatten_features(text, self.settings.separator)
            known = tuple(sorted({self._numbers[name] for name in names if name in self._numbers}))
            if len(self._encoded) < MOST_FEATURES:
                self._encoded[text] = known
        return known

    def to_bytes(self) -> bytes:
        """Return the content of a file with one feature per line, in UTF-8."""
        return "".join(f"{name}\n" for name in self.names).encode()

    @classmethod
    def from_bytes(cls, content: bytes, settings: FeaturesConfig, name: str) -> FeatureSet:
        """Read the content of the file `name`. Raises UserError if it is damaged."""
        read = None
        if 0 < content.count(b"\n") <= MOST_FEATURES:
            read = cls(content.decode("utf-8", "replace").split("\n")[:-1], settings)
        if read is None or read.to_bytes() != content:
            raise UserError(f"{name}: not a sorted list of different features; copy the file again")
        return read


def settings_of(features: FeatureSet | None) -> FeaturesConfig | None:
    """Return how the features of a model are written, or None for a model without features."""
    return None if features is None else features.settings


def features_in(text: str, settings: FeaturesConfig) -> Iterator[str]:
    """Yield all features in a text. Those of different words have spaces between them."""
    for part in text.split() if settings.per == "word" else [text]:
        yield from flatten_features(part, settings.separator)


def join_columns(tokens: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the encoded source of words with features, [S, 1 + K] int64.

    tokens: the token ids, [S].
    features: the features of each token, [S, K] or [S · K].
    """
    if not len(tokens):
        return np.zeros((0, 1), np.int64)
    return np.column_stack([tokens, features.reshape(len(tokens), -1)]).astype(np.int64)


def encoded_sources(columns: Mapping[str, Sequence[Sequence[int]]]) -> list[np.ndarray]:
    """Return the encoded source of each example.

    columns: The ids of the examples by column, as `Codec.encode` returns them.
    """
    sources = [np.asarray(ids, np.int64) for ids in columns["source"]]
    if "features" not in columns:
        return sources
    rows = [np.asarray(ids, np.int64) for ids in columns["features"]]
    return list(map(join_columns, sources, rows))


def tokens_of(source: np.ndarray) -> np.ndarray:
    """Return the tokens of an encoded source, [S]. They include features of the whole source."""
    return source if source.ndim == 1 else source[:, 0]


def read_source(line: str, settings: FeaturesConfig | None) -> tuple[str, str, str]:
    """Return the source of an input line, its features, and what is wrong with the line, or "".

    line: `SOURCE<TAB>FEATURES`, or only the source for a model without features. A blank line has
        a blank source and no features. Text after a second tab is ignored.
    settings: How features are written. None for a model without features.
    """
    if settings is None or not line.strip():
        return line, "", ""
    source, *others = line.split("\t")
    if not others:
        return source, "", "there are no features; write them after a tab, or in their column"
    problem = "the text after the second tab is ignored" if len(others) > 1 else ""
    return source, others[0], problem or feature_problem(source, others[0], settings)


def write_source(source: str, features: Sequence[str]) -> str:
    """Return the input line of a source with features. A tab in the source becomes a space.

    features: The text of the features. Empty for a model without features.
    """
    return "\t".join([source.replace("\t", " "), *features]) if features else source


def feature_problem(source: str, features: str, settings: FeaturesConfig) -> str:
    """Return what is wrong with the features of a source, or "". A blank source needs none."""
    if settings.per == "word":
        words, items = len(source.split()), len(features.split())
        if words == items:
            return ""
        return (
            f"the source has {counted(words, 'word')}, but the features are those of "
            f"{counted(items, 'word')}; put a space between the features of two words, and no "
            "space elsewhere"
        )
    if source.strip() and not flatten_features(features, settings.separator):
        return "there are no features; write at least one, such as '-'"
    if not _is_balanced(features):
        return f"a bracket in the features {features!r} has no partner; add or remove a bracket"
    return ""
