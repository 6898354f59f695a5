"""Compute the perplexity of a text with an engine, one token per step.

For PyTorch models, `seq2seq.models.perplexity` is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from seq2seq.decoding.engine import Engine
from seq2seq.decoding.stepping import force_steps
from seq2seq.errors import UserError
from seq2seq.models.perplexity_value import Perplexity
from seq2seq.text.tokenizer import Tokenizer

_LINES = 1000  # that are encoded together


def measure_lines(
    engine: Engine[Any],
    tokenizer: Tokenizer,
    lines: Iterable[str],
    name: str,
    *,
    line_ends: bool,
    encode: Callable[[Sequence[str]], list[list[int]]] | None = None,
) -> Perplexity:
    """Return the perplexity of a language model on the lines of one text.

    The state is carried from line to line, so the whole text is one sequence.

    name: the name of the text in messages.
    line_ends: whether EOS ends each line.
    encode: a function that encodes lines as token ids. None means the tokenizer.

    Raises UserError for a text without tokens.
    """
    waiting, nll, tokens = iter(lines), 0.0, 0
    unknown, unknown_nll = 0, 0.0
    state, last = engine.start([np.zeros(0, np.int64)]), tokenizer.bos
    while chunk := list(islice(waiting, _LINES)):
        for ids in (encode or tokenizer.encode)(chunk):
            for token in (*ids, *([tokenizer.eos] if line_ends else [])):
                log_p, state = engine.step(state, np.array([last]))
                loss = -float(log_p.at(np.array([token]))[0])
                nll, tokens, last = nll + loss, tokens + 1, token
                if token == tokenizer.unk:
                    unknown, unknown_nll = unknown + 1, unknown_nll + loss
    if not tokens:
        raise UserError(f"{name}: no tokens; give a text with at least one token")
    return Perplexity(nll, tokens, unknown, unknown_nll)


def measure_targets(
    engine: Engine[Any],
    sources: Sequence[np.ndarray],
    targets: Sequence[Sequence[int]],
    *,
    tokenizer: Tokenizer,
    batch_size: int = 64,
) -> Perplexity:
    """Return the perplexity of a model on targets, given their encoded sources.

    EOS is added to each target and counts as a token.

    tokenizer: the tokenizer of the targets.
    """
    unk, eos = tokenizer.unk, tokenizer.eos
    nll, unknown_nll, order = 0.0, 0.0, sorted(range(len(targets)), key=lambda i: len(targets[i]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        state = engine.start([sources[i] for i in rows])
        wanted = [[*targets[i], eos] for i in rows]
        for tokens, log_p in force_steps(engine, state, wanted, tokenizer.bos):
            nll -= float(log_p.sum())
            unknown_nll -= float(log_p[tokens == unk].sum())
    unknown = sum(ids.count(unk) for ids in map(list, targets))
    return Perplexity(nll, sum(map(len, targets)) + len(targets), unknown, unknown_nll)
