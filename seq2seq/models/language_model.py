"""N vs N: every token of a text is predicted from those before it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config import Config
from seq2seq.models import parts
from seq2seq.models.network import Carried, Network
from seq2seq.nn.context import Nothing
from seq2seq.nn.decoder import State
from seq2seq.text.batching import Batch


class LanguageModel(Network):
    """A decoder without a source (Mikolov et al. 2010; Zaremba et al. 2014)."""

    def __init__(self, config: Config, size: int, pad: int) -> None:
        """size: V; pad: the id embedded as zero at first."""
        super().__init__()
        vectors = parts.embedding(size, config.decoder.embedding, pad)
        self.decoder = parts.decoder(config, vectors, Nothing())

    @property
    def output(self) -> nn.Linear:
        return self.decoder.output

    def readouts(self, batch: Batch, carried: Carried | None) -> tuple[Tensor, Carried]:
        with record_function("decoder"):
            state = self.decoder.begin(len(batch.inputs))
            if carried is not None:
                state = replace(state, recurrent=carried)
            r, after = self.decoder.read(state, batch.inputs)  # [B, T, E]
        return r, after.recurrent

    def start(self, rows: int) -> State:
        """The state before the first token of `rows` texts."""
        return self.decoder.begin(rows)

    def step(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """tokens [N] int64 → log-probabilities [N, V], and the next state."""
        return self.decoder.step(state, tokens)
