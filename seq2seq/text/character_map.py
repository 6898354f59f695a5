"""Check the precompiled character map of a SentencePiece model before SentencePiece reads it.

The map lists character sequences and their replacements. SentencePiece does not check it, so a
damaged map makes the whole process crash. The map consists of the size of a trie in bytes, a
double-array trie as the library Darts-clone writes it, and the replacements, each of which ends in
a zero byte.
"""

from __future__ import annotations

import numpy as np

_LONGEST = 1000  # bytes of a replacement; those of Unicode have at most 33


def check_character_map(content: bytes | memoryview) -> None:
    """Raise ValueError if a character map refers to places outside itself.

    Every node of the trie is checked, including nodes that no text can reach.
    """
    data = np.frombuffer(content, np.uint8)
    size = int(data[:4].view("<u4")[0]) if len(data) >= 4 else 0
    if size < 1024 or size % 4 or 4 + size >= len(data):
        raise ValueError("the trie of the character map is incomplete")
    units, texts = data[4 : 4 + size].view("<u4"), data[4 + size :]
    ends = np.flatnonzero(texts == 0)
    if not len(ends) or ends[-1] != len(texts) - 1:
        raise ValueError("the last replacement text of the character map is incomplete")
    if np.diff(ends, prepend=-1).max() > _LONGEST:
        raise ValueError(f"the character map has a replacement text of more than {_LONGEST} bytes")
    # A unit without the highest bit is a node of the trie. Its children are at base ^ byte.
    nodes = np.flatnonzero(units < 1 << 31)
    values = units[nodes].astype(np.int64)
    bases = nodes ^ ((values >> 10) << ((values & 512) >> 6))
    if (bases | 255).max(initial=0) >= len(units):
        raise ValueError("the trie of the character map refers to a position outside the trie")
    ends_here = (values & 256) != 0  # a character sequence may end at this node
    replacements = units[bases[ends_here]] & 0x7FFFFFFF
    if replacements.max(initial=0) >= len(texts):
        raise ValueError("the character map refers to a replacement text that it does not contain")
