"""Functions that build the parts of a network from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from seq2seq.config.schema import Config
from seq2seq.nn.attention import (
    AdditiveAttention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
)
from seq2seq.nn.context import AlignedContext, Context, FixedContext
from seq2seq.nn.copying import CopyingDecoder
from seq2seq.nn.decoder import Decoder
from seq2seq.nn.encoder import Encoder
from seq2seq.nn.monotonic import MonotonicAttention, MonotonicDecoder
from seq2seq.nn.transducer import PointerContext, TransducerDecoder


def build_embedding(vocabulary: int, size: int, pad: int) -> nn.Embedding:
    """Return an embedding layer with random weights, [V, E]. The embedding of the id `pad` is zero.

    vocabulary: V, the number of tokens.
    size: E, the size of an embedding.
    """
    vectors = nn.Embedding(vocabulary, size, padding_idx=pad)
    # With these small values, a tied output layer starts near the uniform distribution.
    nn.init.normal_(vectors.weight, std=size**-0.5)
    nn.init.zeros_(vectors.weight[pad].data)
    return vectors


def build_encoder(config: Config, vectors: nn.Embedding, features: int = 0) -> Encoder:
    """Return the recurrent encoder that a configuration describes.

    vectors: The embeddings of the source tokens, [V, E].
    features: The number of different features of the source.
    """
    settings, context = config.encoder, config.context
    return Encoder(
        vectors,
        cell=settings.cell,
        hidden=settings.hidden,
        layers=settings.layers,
        bidirectional=settings.bidirectional,
        dropout=settings.dropout,
        embedding_dropout=settings.embedding_dropout,
        variational=settings.variational,
        layer_norm=settings.layer_norm,
        pooling=context.pooling,
        heads=context.heads,
        context_size=context.size,
        features=features,
        features_per_word=config.features.per == "word",
        shortcut=context.shortcut,
    )


def build_decoder(
    config: Config, vectors: nn.Embedding, fed: Context, ends: tuple[int, int] = (2, 3)
) -> Decoder:
    """Return the decoder that a configuration describes.

    vectors: The embeddings of the target tokens, [V, E].
    fed: The context that passes information about the source to the decoder.
    ends: The ids of BOS and EOS in the target vocabulary.
    """
    settings = config.decoder
    kind: Callable[..., Decoder] = CopyingDecoder if settings.copying else Decoder
    if isinstance(fed, MonotonicAttention):
        kind = partial(MonotonicDecoder, copying=settings.copying)
    if isinstance(fed, PointerContext):
        kind = partial(TransducerDecoder, copying=settings.copying, ends=ends)
    return kind(
        vectors,
        fed,
        cell=settings.cell,
        hidden=settings.hidden,
        layers=settings.layers,
        dropout=settings.dropout,
        embedding_dropout=settings.embedding_dropout,
        variational=settings.variational,
        tied=settings.tied != "none",
        classic=config.context.placement == "classic",
        bidirectional=settings.bidirectional,
        weight_dropout=settings.weight_dropout,
        layer_norm=settings.layer_norm,
    )


def build_context(config: Config) -> Context:
    """Return the context that a configuration describes, which passes the source to the decoder."""
    settings, state, query = config.context, config.encoder.state_size, config.decoder.hidden
    value = state + (config.encoder.embedding if settings.shortcut else 0)
    match settings.kind:
        case "fixed":
            return FixedContext(settings.size)
        case "same-position":
            return AlignedContext(state, settings.size)
        case "monotonic":
            return MonotonicAttention(state, value, query, settings.size)
        case "transducer":
            return PointerContext(value, settings.size)
        case "additive":
            return AdditiveAttention(state, value, query, settings.size)
        case "dot":
            return DotAttention(value, settings.size)
        case "general":
            return GeneralAttention(state, value, query, settings.size)
        case "cosine":
            return CosineAttention(state, value, query, settings.size)
        case "multi-head":
            return MultiHeadAttention(state, value, query, settings.size, settings.heads)
