"""N vs N: every token of a text is predicted from those before it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import HiddenState, Network
from seq2seq.nn.context import NoContext
from seq2seq.nn.decoder import DecoderState
from seq2seq.text.batching import Batch


class LanguageModelNetwork(Network):
    """A decoder without a source (Mikolov et al. 2010; Zaremba et al. 2014)."""

    def __init__(self, config: Config, size: int, pad: int) -> None:
        """size: V; pad: the id embedded as zero at first."""
        super().__init__()
        vectors = factory.build_embedding(size, config.decoder.embedding, pad)
        self.decoder = factory.build_decoder(config, vectors, NoContext())

    @property
    def output(self) -> nn.Linear:
        return self.decoder.output

    def readouts(self, batch: Batch, hidden: HiddenState | None) -> tuple[Tensor, HiddenState]:
        with record_function("decoder"):
            state = self.decoder.start_without_source(len(batch.inputs))
            if hidden is not None:
                state = replace(state, recurrent=hidden)
            r, _, after = self.decoder.read(state, batch.inputs)  # [B, T, E]
        return r, after.recurrent

    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first token of as many texts as `source` has rows."""
        return self.decoder.start_without_source(len(source))
