"""Turn the hypotheses of a transducer from actions into target tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seq2seq.decoding.source_line import SourceLine
from seq2seq.text.codec import Codec


def read_actions(line: SourceLine, part: int, codec: Codec) -> None:
    """Replace the actions in the hypotheses of one part of a line by the tokens that they write.

    Also delete the rows of the alignments that belong to actions without an output.
    """
    for rank, one in enumerate(line.hypotheses[part]):
        if (weights := line.attention.get((part, rank))) is not None:
            writes = np.array([*one.tokens, codec.target.eos]) != codec.target.bos
            line.attention[part, rank] = weights[writes[: len(weights)]]
        line.hypotheses[part][rank] = replace(one, tokens=codec.written(one.tokens))
