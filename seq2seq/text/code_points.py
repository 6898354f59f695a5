"""Show characters that cannot be seen alone, such as combining marks, by their code points."""

from __future__ import annotations

import unicodedata


def code_points(text: str) -> str:
    """Return the code points of a text, such as "U+0061 U+0303"."""
    return " ".join(f"U+{ord(character):04X}" for character in text)


def starts_with_mark(text: str) -> bool:
    """Return whether a text starts with a combining mark, which would join the character before."""
    return bool(text) and unicodedata.category(text[0]).startswith("M")


def quote_token(token: str) -> str:
    """Return a token as messages name it: in quotation marks, unless it starts with a mark.

    A token that starts with a combining mark is named by its code points. They also follow a token
    that is not in NFC, because it looks like the token in NFC.
    """
    if starts_with_mark(token):
        return code_points(token)
    composed = unicodedata.is_normalized("NFC", token)
    return repr(token) if composed else f"{token!r} ({code_points(token)})"


def look_alike(one: str, other: str) -> bool:
    """Return whether two different texts look the same, because they are canonically equivalent."""
    return one != other and unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
