"""One example of a corpus: named columns, the same from the file that is read to the batch."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple


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
