"""The network of text classification: a text of any length gets one label."""

from __future__ import annotations

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import Network
from seq2seq.text.batching import Batch


class ClassifierNetwork(Network):
    """A classifier: an encoder that summarises a text, and an output layer that predicts its label.

    Args:
        config: The configuration of the model.
        size: V, the size of the vocabulary.
        labels: Number of labels.
        pad: Id of the padding token. Its embedding starts as zero.
    """

    def __init__(self, config: Config, size: int, labels: int, pad: int) -> None:
        super().__init__()
        vectors = factory.build_embedding(size, config.encoder.embedding, pad)
        self.encoder = factory.build_encoder(config, vectors)
        self.dropout = nn.Dropout(config.encoder.dropout)
        self.label = nn.Linear(config.context.size, labels)

    @property
    def output(self) -> nn.Linear:
        """The output layer, which maps a summary [B, C] to one logit per label."""
        return self.label

    def readouts(self, batch: Batch, hidden: object = None) -> tuple[Tensor, None]:
        """Return the summary of each text, [B, C], and None instead of a state.

        hidden: Ignored.
        """
        with record_function("encoder"):
            summary = self.encoder(batch.source, batch.lengths).summary  # [B, C]
        return self.dropout(summary), None
