"""The parts of `seq2seq.nn` as a configuration wants them, for the shapes to join."""

from __future__ import annotations

from torch import nn

from seq2seq.config import Config
from seq2seq.nn.attention import Additive, Cosine, Dot, General, MultiHead
from seq2seq.nn.context import Aligned, Context, Fixed
from seq2seq.nn.decoder import Decoder
from seq2seq.nn.encoder import Encoder


def embedding(vocabulary: int, size: int, pad: int) -> nn.Embedding:
    """Fresh vectors of V tokens; that of `pad` is zero at first."""
    made = nn.Embedding(vocabulary, size, padding_idx=pad)
    # Small enough that a tied output starts near the uniform distribution.
    nn.init.normal_(made.weight, std=size**-0.5)
    nn.init.zeros_(made.weight[pad].data)
    return made


def encoder(config: Config, vectors: nn.Embedding) -> Encoder:
    """The recurrent one, over tokens with these embeddings."""
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
        shortcut=context.shortcut,
    )


def decoder(config: Config, vectors: nn.Embedding, fed: Context) -> Decoder:
    """Over tokens with these embeddings, fed from this context."""
    settings = config.decoder
    return Decoder(
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


def context(config: Config) -> Context:
    """How the source reaches the decoder."""
    settings, state, query = config.context, config.encoder.state, config.decoder.hidden
    value = state + (config.encoder.embedding if settings.shortcut else 0)
    match settings.kind:
        case "fixed":
            return Fixed(settings.size)
        case "aligned":
            return Aligned(state, settings.size)
        case "additive":
            return Additive(state, value, query, settings.size)
        case "dot":
            return Dot(value, settings.size)
        case "general":
            return General(state, value, query, settings.size)
        case "cosine":
            return Cosine(state, value, query, settings.size)
        case "multi-head":
            return MultiHead(state, value, query, settings.size, settings.heads)
