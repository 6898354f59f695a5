"""N vs M: a source of any length becomes a target of any length."""

from __future__ import annotations

from torch import Tensor, nn

from seq2seq.config import Config
from seq2seq.nn.context import Fixed
from seq2seq.nn.decoder import Decoder, State
from seq2seq.nn.encoder import Encoder


class Translation(nn.Module):
    """Encoder, context, decoder (Cho et al. 2014; Sutskever et al. 2014)."""

    def __init__(self, config: Config, source_size: int, target_size: int, pad: int) -> None:
        """source_size, target_size: V of each side; pad: the id embedded as zero at first."""
        super().__init__()
        encoder, context, decoder = config.encoder, config.context, config.decoder
        target_embedding = _embedding(target_size, decoder.embedding, pad)
        source_embedding = (
            target_embedding
            if decoder.tied == "all"
            else _embedding(source_size, encoder.embedding, pad)
        )
        self.encoder = Encoder(
            source_embedding,
            cell=encoder.cell,
            hidden=encoder.hidden,
            layers=encoder.layers,
            bidirectional=encoder.bidirectional,
            dropout=encoder.dropout,
            embedding_dropout=encoder.embedding_dropout,
            variational=encoder.variational,
            pooling=context.pooling,
            heads=context.heads,
            context_size=context.size,
        )
        self.decoder = Decoder(
            target_embedding,
            Fixed(context.size),
            context.size,
            cell=decoder.cell,
            hidden=decoder.hidden,
            layers=decoder.layers,
            dropout=decoder.dropout,
            embedding_dropout=decoder.embedding_dropout,
            variational=decoder.variational,
            tied=decoder.tied != "none",
        )

    def start(self, source: Tensor, lengths: Tensor) -> State:
        """source [B, S] int64, lengths [B] int64 → the state of a search, one row a source."""
        return self.decoder.start(self.encoder(source, lengths))

    def step(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """tokens [N] int64 → log-probabilities [N, V], and the next state."""
        return self.decoder.step(state, tokens)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """source [B, S], lengths [B], target [B, T] (BOS first), int64 → logits [B, T, V]."""
        logits: Tensor = self.decoder(self.encoder(source, lengths), target)
        return logits


def _embedding(vocabulary: int, size: int, pad: int) -> nn.Embedding:
    embedding = nn.Embedding(vocabulary, size, padding_idx=pad)
    # Small enough that a tied output starts near the uniform distribution.
    nn.init.normal_(embedding.weight, std=size**-0.5)
    nn.init.zeros_(embedding.weight[pad].data)
    return embedding
