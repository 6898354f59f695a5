"""Statistics of a model's training text: length ratios, sentences within lines, and tags.

The statistics are computed when the data is prepared, and a model folder stores them in a file.
Translation uses them to limit the output length and to warn about lines unlike the training lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from seq2seq.checked_files import read_json_text
from seq2seq.errors import UserError
from seq2seq.text.sentences import inner_ends

_TAG = re.compile(r"(<[^<>\s]+>|>>[^<>\s]+<<|\[[^\[\]\s]+\]|__\w+__)(?=\s|$)")
_MARGIN = 10  # tokens
_QUANTILE = 0.999  # share of the pairs that are within the limit without _MARGIN
_MANY = 0.5  # share of the lines above which tags at line starts count as part of the format
_RARE = 0.01  # a sentence end inside a smaller share of the lines is unusual


@dataclass(frozen=True)
class TextStatistics:
    """Statistics of the training text of a model that reads text and writes text.

    A source of S tokens may have a target of at most length_ratio · S + length_margin tokens.
    Both lengths include EOS.

    length_ratio: the factor of this limit.
    length_margin: the number of tokens that this limit adds.
    inner_ends: for each punctuation mark, the share (0 to 1) of source lines in which this mark
        ends a sentence and another sentence follows. A mark that is not listed has the share 0.
        None if the shares were not measured.
    tags: the tags, such as `<2de>`, that start most source lines.

    The default values are for models without statistics.
    """

    length_ratio: float = 2.0
    length_margin: int = 10
    inner_ends: dict[str, float] | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def measure(cls, lengths: np.ndarray, sources: Iterable[str]) -> TextStatistics:
        """Return the statistics of training pairs.

        The length ratio is twice the number of target tokens divided by the number of source
        tokens, but at least 1. The length margin is 10 tokens larger than 99.9 % of the pairs need.

        lengths: [n, 2], the numbers of tokens of source and target, without EOS.
        sources: the source lines, or a sample of them.
        """
        if not len(lengths):
            return cls()
        sides = lengths.astype(np.float64) + 1
        ratio = round(max(1.0, 2 * float(sides[:, 1].sum() / sides[:, 0].sum())), 3)
        beyond = np.quantile(sides[:, 1] - ratio * sides[:, 0], _QUANTILE)
        margin = _MARGIN + max(0, int(np.ceil(beyond)))
        count = 0
        ends: Counter[str] = Counter()
        tagged: Counter[str] = Counter()
        for source in sources:
            count += 1
            ends.update(set(inner_ends(source)))
            if match := _TAG.match(source):
                tagged[match[1]] += 1
        tags: Sequence[str] = ()
        if tagged.total() >= _MANY * max(count, 1):
            tags = sorted(tag for tag, times in tagged.items() if times >= count / 1000)
        shares = {mark: round(times / count, 6) for mark, times in sorted(ends.items())}
        return cls(ratio, margin, shares, tuple(tags))

    def has_unusual_end(self, source: str) -> bool:
        """Return whether a line holds several sentences, unlike almost all training lines.

        Return False if the training text was not measured.
        """
        shares = self.inner_ends
        return shares is not None and any(
            shares.get(mark, 0.0) < _RARE for mark in inner_ends(source)
        )

    def limits(self, lengths: np.ndarray) -> np.ndarray:
        """Return the largest number of target tokens [B] int64 for sources of `lengths` [B] tokens.

        Both numbers include EOS.
        """
        longest: np.ndarray = np.ceil(self.length_ratio * lengths) + self.length_margin
        return longest.astype(np.int64)

    def to_bytes(self) -> bytes:
        """Return the statistics as a JSON file."""
        return (json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> TextStatistics:
        """Read the file that `to_bytes` wrote. Raises UserError, naming `where`, if it is damaged.

        Unknown values are ignored, so that files of later versions can be read.
        """
        try:
            values = read_json_text(content)
            shares = values.get("inner_ends")
            statistics = cls(
                float(values["length_ratio"]),
                int(values["length_margin"]),
                None
                if shares is None
                else {str(mark): float(share) for mark, share in shares.items()},
                tuple(map(str, values.get("tags", ()))),
            )
            usable = 0 < statistics.length_ratio < 1e4 and 0 < statistics.length_margin < 1e6
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            usable = False
        if not usable:
            raise UserError(f"{where}: not valid statistics of a text; copy the folder again")
        return statistics
