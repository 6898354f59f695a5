"""The results of a transducer, as target tokens instead of actions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seq2seq.decoding.source_line import SourceLine
from seq2seq.text.codec import Codec


def read_actions(line: SourceLine, part: int, codec: Codec) -> None:
    """Replace the actions of the hypotheses of a part of a line by the tokens that they write.

    The alignments lose the actions that write nothing.
    """
    for rank, one in enumerate(line.hypotheses[part]):
        if (weights := line.attention.get((part, rank))) is not None:
            writes = np.array([*one.tokens, codec.target.eos]) != codec.target.bos
            line.attention[part, rank] = weights[writes[: len(weights)]]
        line.hypotheses[part][rank] = replace(one, tokens=codec.written(one.tokens))
