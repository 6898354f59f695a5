"""Examples of a corpus, hashes of examples, and functions that join words or numbers to a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seq2seq.errors import UserError


class Example(NamedTuple):
    """The raw text of one example.

    source: the source text. A generator has a label or a vector instead. Empty for a language
        model.
    target: the target text, or the labels of the source with spaces between them.
    features: the text of the features of the source, or nothing if there are no features.
    references: additional reference translations besides the target.
    """

    source: str
    target: str
    features: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


def example_digest(example: Example) -> bytes:
    """Return a 16-byte BLAKE2b hash of all fields. The hash is the same on every machine."""
    if example.features or example.references:
        content = json.dumps(example).encode()  # starts with "[", unlike the form below
    else:
        source, target = example.source.encode(), example.target.encode()
        # The length prefix distinguishes ("ab", "c") from ("a", "bc").
        content = b"%d %b%b" % (len(source), source, target)
    return hashlib.blake2b(content, digest_size=16).digest()


def further_references(examples: Sequence[Example]) -> list[list[str]]:
    """Return the further references of examples, as lists with one line for each example.

    An example with fewer references than others has an empty line in the last lists.
    """
    most = max((len(one.references) for one in examples), default=0)
    padded = [one.references + ("",) * (most - len(one.references)) for one in examples]
    return [[references[number] for references in padded] for number in range(most)]


def join_words(words: Iterable[str], where: str) -> str:
    """Join words with single spaces, so that splitting the result at spaces restores the words.

    where: The location of the words, for error messages.
    Raises TypeError for a word that is not a string, and UserError for a word that is blank or
    contains a space.
    """
    joined = []
    for word in words:
        if not isinstance(word, str):
            raise TypeError(
                f"{where}: a word has type {type(word).__name__}; every word must be a string"
            )
        if not word.strip() or " " in word:
            raise UserError(
                f"{where}: {word!r} is not a single word; a word must not be blank or contain a "
                "space (replace a space inside a word by a no-break space)"
            )
        joined.append(word)
    return " ".join(joined)


def join_numbers(numbers: Iterable[float], where: str) -> str:
    """Format a vector of numbers as a line of text.

    where: The location of the vector, for error messages.
    Raises TypeError for a value that is not a number.
    """
    try:
        return " ".join(f"{float(number):.15g}" for number in numbers)
    except (TypeError, ValueError):
        raise TypeError(
            f"{where}: the value has the wrong type; give a label (a string) or a vector "
            "(a list of numbers)"
        ) from None
