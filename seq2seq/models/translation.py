"""The network of translation and of generation from a label or a vector.

In translation, source and target may have different lengths. In generation, the source is a single
label or vector.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import Network
from seq2seq.nn.conditioning import LabelEncoder, VectorEncoder
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.nn.encoder import Encoder, Memory
from seq2seq.text.batching import Batch
from seq2seq.text.labels import VectorFormat


class TranslationNetwork(Network):
    """An encoder, a context and a decoder (Cho et al. 2014; Sutskever et al. 2014).

    Args:
        config: The configuration of the model.
        source_size: Size of the source vocabulary, or the number of labels.
        target_size: V, the size of the target vocabulary.
        pad: Id of the padding token. Its embedding starts as zero.
        ends: The ids of BOS and EOS in the target vocabulary.
        features: Number of different features of the source.
    """

    def __init__(
        self,
        config: Config,
        source_size: int,
        target_size: int,
        pad: int,
        features: int = 0,
        ends: tuple[int, int] = (2, 3),
    ) -> None:
        super().__init__()
        target = factory.build_embedding(target_size, config.decoder.embedding, pad)
        self.encoder: Encoder | LabelEncoder | VectorEncoder
        settings, size = config.encoder, config.context.size
        match settings.kind:
            case "recurrent":
                source = target
                if config.decoder.tied != "all":
                    source = factory.build_embedding(source_size, settings.embedding, pad)
                self.encoder = factory.build_encoder(config, source, features)
            case "label":
                self.encoder = LabelEncoder(source_size, settings.embedding, size)
            case "vector":
                self.encoder = VectorEncoder(
                    settings.vector_size, VectorFormat.unit, settings.embedding, size
                )
        self.decoder = factory.build_decoder(config, target, factory.build_context(config), ends)

    @property
    def output(self) -> nn.Linear:
        """The decoder's output layer, which maps a readout to V logits."""
        return self.decoder.output

    @property
    def is_mixture(self) -> bool:
        """Whether the predictions are not a softmax of logits (see `Decoder`)."""
        return self.decoder.is_mixture

    def log_probabilities(self, batch: Batch) -> Tensor:
        """Return log-probabilities under teacher forcing, [B, T, V], if `is_mixture` is true."""
        with record_function("encoder"):
            memory = self.encoder(batch.source, batch.lengths)
        with record_function("decoder"):
            # Word dropout changes the inputs, but not the outputs.
            written = torch.cat([batch.inputs[:, :1], batch.outputs[:, :-1]], dim=1)
            state = self._state(memory, batch.copied)
            return self.decoder.predict(state, batch.inputs, written)[0]

    def readouts(self, batch: Batch, hidden: object = None) -> tuple[Tensor, None]:
        """Return the decoder's readouts, [B, T, E], and None instead of a state.

        hidden: Ignored.
        """
        with record_function("encoder"):
            memory = self.encoder(batch.source, batch.lengths)
        with record_function("decoder"):
            r, _, _ = self.decoder.read(self.decoder.start(memory), batch.inputs)  # [B, T, E]
        return r, None

    def start(self, source: Tensor, lengths: Tensor, copied: Tensor | None = None) -> DecoderState:
        """Encode the sources and return the decoder's state before the first token.

        The state has one row per source.
        source: The token ids, [B, S] int64, or with features [B, S, 1 + K].
        lengths: The number of tokens in each source, [B] int64.
        copied: For a model that copies, the target id of each source token, [B, S] int64.
        """
        return self._state(self.encoder(source, lengths), copied)

    def _state(self, memory: Memory, copied: Tensor | None) -> DecoderState:
        state = self.decoder.start(memory)
        return state if copied is None else replace(state, prepared=(*state.prepared, copied))

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return the logits under teacher forcing, [B, T, V].

        source: The token ids, [B, S] int64.
        lengths: The number of tokens in each source, [B] int64.
        target: The decoder inputs, [B, T] int64. Each row begins with BOS.
        """
        logits: Tensor = self.decoder(self.encoder(source, lengths), target)
        return logits
