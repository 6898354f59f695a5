"""The texts that tables and plots show for confused symbols."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from seq2seq.evaluation.symbol_scores import Confusion
from seq2seq.text.code_points import code_points, starts_with_mark

_NOTHING = "(nothing)"


def confusion_labels(confusions: Sequence[Confusion]) -> list[tuple[str, str]]:
    """Return labels for the reference and the output of each confusion. Different symbols differ.

    A symbol that cannot be seen alone, such as a combining mark or a space, has its code points as
    label. A symbol that looks like another one (ã composed and decomposed), or that holds invisible
    characters, is followed by its code points. An inserted or left-out symbol is "(nothing)".
    """
    symbols = {symbol for one in confusions for symbol in (one.reference, one.output)}
    alike = Counter(unicodedata.normalize("NFC", symbol) for symbol in symbols)

    def label(symbol: str) -> str:
        if not symbol:
            return _NOTHING
        seen = any(one.isprintable() and not one.isspace() for one in symbol)
        if not seen or starts_with_mark(symbol):
            return code_points(symbol)
        if alike[unicodedata.normalize("NFC", symbol)] > 1 or not symbol.isprintable():
            return f"{symbol} ({code_points(symbol)})"
        return symbol

    return [(label(one.reference), label(one.output)) for one in confusions]
