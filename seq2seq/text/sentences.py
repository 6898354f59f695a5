"""Find the ends of sentences within a line, and split lines into sentences."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from seq2seq.errors import UserError

# A full stop, then a space, then an opening mark or a letter that is not lower case. The final
# group is the first letter of the next sentence.
_SPACED_END = re.compile(r"""(\S+?)([.!?…؟।۔]+)["'”’»)\]]*\s+["'“‘«(\[¿¡—–-]*\s*(\w)""")
_UNSPACED_END = re.compile(r"[。！？]+[」』”’）]*(?=[^\s」』”’）])")
_ABBREVIATIONS = re.compile(
    "mrs|prof|gen|sen|rev|hon|capt|sgt|col|bzw|usw|etc|vgl|evtl|mme|mlle|sra|dra|vs|fig|nos"
)


def inner_ends(text: str) -> list[str]:
    """Return the punctuation mark at each sentence end inside a line.

    The end of the last sentence does not count. The result is an estimate: a punctuation mark such
    as "." or "?" ends a sentence if a capital letter or a letter of a script without case follows.
    Titles ("Dr.") and initials do not end a sentence.
    """
    ends = [match[0][0] for match in _UNSPACED_END.finditer(text)]
    for match in _SPACED_END.finditer(text):
        word, mark, following = match[1].strip("\"'“‘«(["), match[2][0], match[3]
        short = len(word) < 3 and word.isalpha() and word[0].isupper()
        abbreviated = mark == "." and bool(short or _ABBREVIATIONS.fullmatch(word.lower()))
        if not (following.islower() or following.isdigit() or abbreviated):
            ends.append(mark)
    return ends


def split_sentences(text: str, language: str) -> list[str]:
    """Split a text into sentences. The concatenation of the sentences equals the text.

    language: a language code such as "de". General rules split an unknown language.
    Raises UserError if the package sentencex is not installed.
    """
    sentences: list[str] = _splitter()(language.partition("-")[0].partition("_")[0], text)
    return sentences if "".join(sentences) == text else [text]


@lru_cache(maxsize=1)
def _splitter() -> Any:
    try:
        from sentencex import segment
    except ImportError:
        raise UserError(
            "splitting lines into sentences needs the package sentencex: install it with "
            "pip install 'seq2seq-rnn[sentences]'"
        ) from None
    return segment
