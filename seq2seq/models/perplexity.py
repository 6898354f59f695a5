"""Compute the perplexity of a model on a text or on the targets of a data set.

A text is read in windows, that is, in sections of limited length. Each window starts from the state
at the end of the previous window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from seq2seq import runtime
from seq2seq.errors import UserError
from seq2seq.models.folder import Model
from seq2seq.models.loss import Loss, cross_entropy
from seq2seq.models.network import HiddenState
from seq2seq.models.perplexity_value import Perplexity
from seq2seq.progress import track
from seq2seq.text import batching, bptt
from seq2seq.text.batching import Batch
from seq2seq.text.dataset import Dataset, encode_examples
from seq2seq.text.example import Example

_WINDOW = 512  # tokens per batch of a text
_BUDGET = 4096  # tokens per batch of examples
_LINES = 10_000  # lines to encode at once


def perplexity_of_lines(
    model: Model,
    lines: Iterable[str],
    device: torch.device,
    dtype: torch.dtype,
    name: str,
    *,
    encode: Callable[[Sequence[str]], list[list[int]]] | None = None,
) -> Perplexity:
    """Return the perplexity of a model on a text, given as raw lines.

    Args:
        dtype: The dtype of matrix products.
        name: The name of the text in error messages.
        encode: Encodes lines as ids. None means the tokenizer of the model.

    Raises UserError if the text contains no token.
    """
    tokenizer, waiting = model.codec.target, iter(lines)
    parts = []
    while chunk := list(islice(waiting, _LINES)):
        encoded = (encode or tokenizer.encode)(chunk)
        offsets = np.cumsum([0, *map(len, encoded)])
        parts.append((offsets, np.fromiter((i for ids in encoded for i in ids), np.int32)))
    ids = bptt.concatenate_lines(parts, tokenizer, line_ends=model.config.data.line_ends)
    if not len(ids):
        raise UserError(f"{name}: no tokens; give a text with at least one token")
    return perplexity_of_ids(model, ids, device, dtype, shown=True)


def perplexity_of_examples(
    model: Model, examples: Iterable[Example], device: torch.device, dtype: torch.dtype
) -> Perplexity:
    """Return the perplexity of a model on the targets of examples, given their sources.

    EOS counts as a token.
    dtype: The dtype of matrix products.
    Raises UserError for an unknown label.
    """
    dataset = Dataset.in_memory(encode_examples(examples, model.codec))
    batches = evaluation_batches(dataset)
    return perplexity_of_batches(model, dataset, batches, device, dtype, shown=True)


def evaluation_batches(dataset: Dataset) -> list[np.ndarray]:
    """Return batches that cover a whole dataset, for `perplexity_of_batches`.

    Each batch is an array of row numbers.
    """
    return batching.plan_batches(dataset.lengths, budget=_BUDGET, seed=0, epoch=0)


@torch.no_grad()
def perplexity_of_batches(
    model: Model,
    dataset: Dataset,
    batches: list[np.ndarray],
    device: torch.device,
    dtype: torch.dtype,
    *,
    shown: bool = False,
) -> Perplexity:
    """Return the perplexity of a model on the targets (text or labels) of some rows of a dataset.

    Args:
        batches: The row numbers of each batch.
        dtype: The dtype of matrix products.
        shown: Show a progress bar if stderr is a terminal.
    """
    network, unk = model.network.ready(device), _unknown_id(model)
    nll, tokens, unknown, unknown_nll = 0.0, 0, 0, 0.0
    for rows in track(batches, "measuring", len(batches), wanted=shown):
        batch = batching.collate_examples(dataset, rows, model.codec).to(device)
        with runtime.autocast(device, dtype):
            loss = cross_entropy(network, batch)
        nll, tokens = nll + float(loss.nll), tokens + loss.tokens
        of_unknown = _unknown_losses(loss, batch, unk)
        unknown, unknown_nll = unknown + len(of_unknown), unknown_nll + float(of_unknown.sum())
    return Perplexity(nll, tokens, unknown, unknown_nll)


@torch.no_grad()
def perplexity_of_ids(
    model: Model, ids: np.ndarray, device: torch.device, dtype: torch.dtype, *, shown: bool = False
) -> Perplexity:
    """Return the perplexity of a model on a text, given as one sequence of token ids.

    BOS precedes the text. The text is read in windows, that is, in sections of limited length. Each
    window starts from the state at the end of the previous window. A bidirectional model reads
    windows of the same length as in training. Such a model sees the tokens that it predicts, so do
    not compare its perplexity with that of a language model.

    Args:
        ids: The token ids, [n].
        dtype: The dtype of matrix products.
        shown: Show a progress bar if stderr is a terminal.
    """
    network = model.network.ready(device)
    config = model.config
    window = config.training.window if config.decoder.bidirectional else _WINDOW
    nll, unknown, unknown_nll, unk = 0.0, 0, 0.0, _unknown_id(model)
    carried: HiddenState | None = None
    batches = bptt.consecutive_windows(ids, window, model.codec.target)
    for batch in track(batches, "measuring", -(-len(ids) // window), wanted=shown):
        batch = batch.to(device)
        with runtime.autocast(device, dtype):
            loss = cross_entropy(network, batch, carried)
        nll, carried = nll + float(loss.nll), loss.hidden
        of_unknown = _unknown_losses(loss, batch, unk)
        unknown, unknown_nll = unknown + len(of_unknown), unknown_nll + float(of_unknown.sum())
    return Perplexity(nll, len(ids), unknown, unknown_nll)


def _unknown_id(model: Model) -> int | None:
    """Return the id of <unk> in the targets. Return None for labels, which are never unknown."""
    return model.codec.target.unk if model.config.task.has_target_text else None


def _unknown_losses(loss: Loss, batch: Batch, unk: int | None) -> Tensor:
    """Return the losses of the target tokens that are unknown, [n] in nats."""
    if unk is None:
        return loss.token_nll[:0]
    return loss.token_nll[batch.outputs.flatten()[batch.target_index] == unk]
