"""N vs N: every token of a text is predicted from those before it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config import Config
from seq2seq.models.network import Carried, Network, embedding
from seq2seq.nn.context import Nothing
from seq2seq.nn.decoder import Decoder, State
from seq2seq.text.batching import Batch


class LanguageModel(Network):
    """A decoder without a source (Mikolov et al. 2010; Zaremba et al. 2014)."""

    def __init__(self, config: Config, size: int, pad: int) -> None:
        """size: V; pad: the id embedded as zero at first."""
        super().__init__()
        decoder = config.decoder
        self.decoder = Decoder(
            embedding(size, decoder.embedding, pad),
            Nothing(),
            cell=decoder.cell,
            hidden=decoder.hidden,
            layers=decoder.layers,
            dropout=decoder.dropout,
            embedding_dropout=decoder.embedding_dropout,
            variational=decoder.variational,
            tied=decoder.tied != "none",
            bidirectional=decoder.bidirectional,
            weight_dropout=decoder.weight_dropout,
        )

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
