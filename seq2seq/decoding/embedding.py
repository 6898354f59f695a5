"""Encoder vectors: one vector for each text, from a trained translator, classifier or tagger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seq2seq import runtime
from seq2seq.decoding.line_encoder import encode_sources
from seq2seq.decoding.micro_batches import rows_by_length
from seq2seq.errors import UserError
from seq2seq.models.network import Network
from seq2seq.models.tagger import TaggerNetwork
from seq2seq.nn.encoder import token_mask
from seq2seq.text.batching import Batch, pad_sources
from seq2seq.text.codec import Codec

Pool = Literal["summary", "mean"]


def embed_texts(
    network: Any,
    codec: Codec,
    texts: Sequence[str],
    *,
    pooling: Pool,
    device: torch.device,
    dtype: torch.dtype,
    batch_size: int,
    max_tokens: int,
) -> np.ndarray:
    """Return one vector for each text, [N, C] float32. A blank text gets a vector of zeros.

    network: a network with an encoder.
    codec: the codec of the network.
    pooling: "summary" returns the encoder's summary of the text, which has `context.size`
        components. "mean" returns the mean of the encoder states. A tagger has no summary, so it
        always returns the mean of the states of the words.
    dtype: the dtype of matrix products.
    max_tokens: a limit for the memory of a batch.

    A vector does not depend on the other texts. Raises UserError for an unknown pooling.
    """
    if pooling not in get_args(Pool):
        known = " or ".join(map(repr, get_args(Pool)))
        raise UserError(f"unknown pooling {pooling!r}: use {known}")
    words = codec.task.labels_each_word
    present = [i for i, text in enumerate(texts) if text.strip()]
    ids, _ = encode_sources([texts[i] for i in present], codec)
    vectors = np.zeros((len(texts), _vector_size(network, pooling)), np.float32)
    network = network.ready(device)
    sizes = [len(tokens) + 1 for tokens in ids]
    for batch in rows_by_length(sizes, most=batch_size, longest=max_tokens):
        rows = [ids[i][: -1 if words else None] for i in batch]
        tokens, lengths, _ = pad_sources(rows, codec)
        with torch.inference_mode(), runtime.autocast(device, dtype):
            pooled = _pooled(network, tokens.to(device), lengths.to(device), pooling)
        vectors[[present[i] for i in batch]] = pooled.float().cpu().numpy()
    return vectors


def _vector_size(network: Any, pooling: Pool) -> int:
    if isinstance(network, TaggerNetwork):
        return network.words.output_size
    encoder = network.encoder
    if pooling == "summary" or not hasattr(encoder, "stack"):
        project = encoder.pooling.project if hasattr(encoder, "pooling") else encoder.project
        return int(project.out_features)
    return int(encoder.stack.output_size)


def _pooled(network: Network, tokens: Tensor, lengths: Tensor, pooling: Pool) -> Tensor:
    """Return the vectors [B, C] of B texts.

    tokens: the token ids, [B, S] int64.
    lengths: the number of tokens in each row, [B] int64.
    """
    if isinstance(network, TaggerNetwork):
        none = torch.zeros(0, dtype=torch.int64)
        states, _ = network.readouts(Batch(none.numpy(), tokens, lengths, none, none, none), None)
        counts = ((tokens == network.end) & token_mask(lengths, tokens.shape[1])).sum(dim=1)
        return _mean(states, counts)
    memory = network.encoder(tokens, lengths)  # type: ignore[operator]
    summary: Tensor = memory.summary
    if pooling == "summary" or memory.states.shape[1] != tokens.shape[1]:
        return summary
    return _mean(memory.states, lengths)


def _mean(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean of the states of each row without padding, [B, D].

    states: [B, S, D].
    lengths: the number of states in each row, [B].
    """
    mask = token_mask(lengths, states.shape[1]).unsqueeze(2)
    return states.float().masked_fill(~mask, 0).sum(dim=1) / lengths.unsqueeze(1)
