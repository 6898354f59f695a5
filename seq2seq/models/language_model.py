"""The network of a language model, which predicts each token from the preceding tokens."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import HiddenState, Network
from seq2seq.nn.context import NoContext
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.text.batching import Batch


class LanguageModelNetwork(Network):
    """A language model: a decoder without a source (Mikolov et al. 2010; Zaremba et al. 2014).

    Args:
        config: The configuration of the model.
        size: V, the size of the vocabulary.
        pad: Id of the padding token. Its embedding starts as zero.
    """

    def __init__(self, config: Config, size: int, pad: int) -> None:
        super().__init__()
        vectors = factory.build_embedding(size, config.decoder.embedding, pad)
        self.decoder = factory.build_decoder(config, vectors, NoContext())

    @property
    def output(self) -> nn.Linear:
        """The decoder's output layer, which maps a readout to V logits."""
        return self.decoder.output

    def readouts(self, batch: Batch, hidden: HiddenState | None) -> tuple[Tensor, HiddenState]:
        """Return the readouts [B, T, E] and the recurrent state at the end of the batch.

        hidden: the recurrent state before the batch, or None at the beginning of a text.
        """
        with record_function("decoder"):
            state = self.decoder.start_without_source(len(batch.inputs))
            if hidden is not None:
                state = replace(state, recurrent=hidden)
            r, _, after = self.decoder.read(state, batch.inputs)  # [B, T, E]
        return r, after.recurrent

    def start(self, source: Tensor, lengths: Tensor, copied: Tensor | None = None) -> DecoderState:
        """Return the state before the first token, with one row for each row of `source`.

        The contents of `source` and the other arguments are ignored.
        """
        return self.decoder.start_without_source(len(source))
