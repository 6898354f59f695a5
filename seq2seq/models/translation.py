"""N vs M, a source of any length becomes a target of any length; and 1 vs N, where the source is a
label or a vector."""

from __future__ import annotations

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import Network
from seq2seq.nn.conditioning import LabelEncoder, VectorEncoder
from seq2seq.nn.decoder import DecoderState
from seq2seq.nn.encoder import Encoder
from seq2seq.text.batching import Batch
from seq2seq.text.labels import VectorFormat


class TranslationNetwork(Network):
    """Encoder, context, decoder (Cho et al. 2014; Sutskever et al. 2014)."""

    def __init__(self, config: Config, source_size: int, target_size: int, pad: int) -> None:
        """source_size, target_size: V of each side, or the number of labels; pad: the id embedded
        as zero at first."""
        super().__init__()
        target = factory.build_embedding(target_size, config.decoder.embedding, pad)
        self.encoder: Encoder | LabelEncoder | VectorEncoder
        settings, size = config.encoder, config.context.size
        match settings.kind:
            case "recurrent":
                source = target
                if config.decoder.tied != "all":
                    source = factory.build_embedding(source_size, settings.embedding, pad)
                self.encoder = factory.build_encoder(config, source)
            case "label":
                self.encoder = LabelEncoder(source_size, settings.embedding, size)
            case "vector":
                self.encoder = VectorEncoder(
                    settings.vector_size, VectorFormat.unit, settings.embedding, size
                )
        self.decoder = factory.build_decoder(config, target, factory.build_context(config))

    @property
    def output(self) -> nn.Linear:
        return self.decoder.output

    def readouts(self, batch: Batch, hidden: object = None) -> tuple[Tensor, None]:
        with record_function("encoder"):
            memory = self.encoder(batch.source, batch.lengths)
        with record_function("decoder"):
            r, _, _ = self.decoder.read(self.decoder.start(memory), batch.inputs)  # [B, T, E]
        return r, None

    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """source [B, S] int64, lengths [B] int64 → the state of a search, one row a source."""
        return self.decoder.start(self.encoder(source, lengths))

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """source [B, S], lengths [B], target [B, T] (BOS first), int64 → logits [B, T, V]."""
        logits: Tensor = self.decoder(self.encoder(source, lengths), target)
        return logits
