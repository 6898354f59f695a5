"""N vs M: a source of any length becomes a target of any length."""

from __future__ import annotations

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config import Config
from seq2seq.models.network import Network, embedding
from seq2seq.nn.attention import Additive, Dot, General, MultiHead
from seq2seq.nn.context import Context, Fixed
from seq2seq.nn.decoder import Decoder, State
from seq2seq.nn.encoder import Encoder
from seq2seq.text.batching import Batch


class Translation(Network):
    """Encoder, context, decoder (Cho et al. 2014; Sutskever et al. 2014)."""

    def __init__(self, config: Config, source_size: int, target_size: int, pad: int) -> None:
        """source_size, target_size: V of each side; pad: the id embedded as zero at first."""
        super().__init__()
        encoder, context, decoder = config.encoder, config.context, config.decoder
        target_embedding = embedding(target_size, decoder.embedding, pad)
        source_embedding = (
            target_embedding
            if decoder.tied == "all"
            else embedding(source_size, encoder.embedding, pad)
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
            _context(config),
            cell=decoder.cell,
            hidden=decoder.hidden,
            layers=decoder.layers,
            dropout=decoder.dropout,
            embedding_dropout=decoder.embedding_dropout,
            variational=decoder.variational,
            tied=decoder.tied != "none",
            classic=context.placement == "classic",
        )

    @property
    def output(self) -> nn.Linear:
        return self.decoder.output

    def readouts(self, batch: Batch, carried: object = None) -> tuple[Tensor, None]:
        with record_function("encoder"):
            memory = self.encoder(batch.source, batch.lengths)
        with record_function("decoder"):
            return self.decoder.readouts(memory, batch.inputs), None  # [B, T, E]

    def start(self, source: Tensor, lengths: Tensor) -> State:
        """source [B, S] int64, lengths [B] int64 → the state of a search, one row a source."""
        return self.decoder.start(self.encoder(source, lengths))

    def step(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """tokens [N] int64 → log-probabilities [N, V], and the next state."""
        return self.decoder.step(state, tokens)

    def weights(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor | None:
        """source [B, S], lengths [B], target [B, T] (BOS first), int64 → what each step looks at,
        [B, T, S] float32; None where the context is fixed."""
        return self.decoder.weights(self.encoder(source, lengths), target)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """source [B, S], lengths [B], target [B, T] (BOS first), int64 → logits [B, T, V]."""
        logits: Tensor = self.decoder(self.encoder(source, lengths), target)
        return logits


def _context(config: Config) -> Context:
    context, query = config.context, config.decoder.hidden
    match context.kind:
        case "fixed":
            return Fixed(context.size)
        case "additive":
            return Additive(config.encoder.state, query, context.size)
        case "dot":
            return Dot(config.encoder.state, context.size)
        case "general":
            return General(config.encoder.state, query, context.size)
        case "multi-head":
            return MultiHead(config.encoder.state, query, context.size, context.heads)
