"""N vs 1: a text of any length gets one label."""

from __future__ import annotations

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import Network
from seq2seq.text.batching import Batch


class ClassifierNetwork(Network):
    """An encoder whose summary of the text is what the label is read from."""

    def __init__(self, config: Config, size: int, labels: int, pad: int) -> None:
        """size: V; labels: their number; pad: the id embedded as zero at first."""
        super().__init__()
        vectors = factory.build_embedding(size, config.encoder.embedding, pad)
        self.encoder = factory.build_encoder(config, vectors)
        self.dropout = nn.Dropout(config.encoder.dropout)
        self.label = nn.Linear(config.context.size, labels)

    @property
    def output(self) -> nn.Linear:
        return self.label

    def readouts(self, batch: Batch, hidden: object = None) -> tuple[Tensor, None]:
        with record_function("encoder"):
            summary = self.encoder(batch.source, batch.lengths).summary  # [B, C]
        return self.dropout(summary), None
