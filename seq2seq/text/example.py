"""One example of a corpus: named columns, the same from the file that is read to the batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

from seq2seq.errors import UserError


class Example(NamedTuple):
    """The raw text of one example.

    source, target: both sides; the source is empty for a language model. features: one text per
    feature stream, a value for each token of the source, separated by spaces. references: further
    translations beside the target.
    """

    source: str
    target: str
    features: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


def example_digest(example: Example) -> bytes:
    """Hash all columns to 16 bytes (BLAKE2b), the same on every machine."""
    if example.features or example.references:
        content = json.dumps(example).encode()  # starts with "[", the other form with a digit
    else:
        source, target = example.source.encode(), example.target.encode()
        # The length keeps ("ab", "c") apart from ("a", "bc").
        content = b"%d %b%b" % (len(source), source, target)
    return hashlib.blake2b(content, digest_size=16).digest()


def join_words(words: Iterable[str], where: str) -> str:
    """Join words with single spaces, so that splitting at spaces gives them back.

    where: names the words in messages. Raises TypeError for a word that is not a string, and
    UserError for one that is empty or holds a space.
    """
    joined = []
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"{where}: a word is {type(word).__name__}, not a string")
        if not word.strip() or " " in word:
            raise UserError(
                f"{where}: {word!r} is not one word: a word holds no space and is not empty (write "
                "a no-break space inside a word)"
            )
        joined.append(word)
    return " ".join(joined)


def join_numbers(numbers: Iterable[float], where: str) -> str:
    """Write a vector as a line of text. Raises TypeError, with `where`, for what is no number."""
    try:
        return " ".join(f"{float(number):.15g}" for number in numbers)
    except (TypeError, ValueError):
        raise TypeError(f"{where}: give a label or a vector of numbers") from None
