"""N vs N: every word of a text gets one label."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq.config.schema import Config
from seq2seq.models import factory
from seq2seq.models.network import Network
from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.encoder import token_mask
from seq2seq.nn.recurrent import RecurrentStack
from seq2seq.text.batching import Batch


class TaggerNetwork(Network):
    """Two stacks. The first runs over the pieces of the whole text, both ways; a word is the state
    behind its last piece, from the left, beside that before its first, from the right (Akbik et
    al. 2018). The second runs over the words (Huang et al. 2015), and the labels are read from it.
    """

    def __init__(self, config: Config, size: int, labels: int, pad: int, end: int) -> None:
        """size: V; labels: their number; pad: the id embedded as zero at first; end: the id that
        stands behind each word."""
        super().__init__()
        settings = config.encoder
        self.end = end
        self.embedding = factory.build_embedding(size, settings.embedding, pad)
        self.embedding_dropout = SequenceDropout(settings.embedding_dropout, settings.variational)
        self.pieces = RecurrentStack(
            settings.cell,
            settings.embedding,
            settings.hidden,
            1,
            bidirectional=True,
            layer_norm=settings.layer_norm,
        )
        self.dropout = SequenceDropout(settings.dropout, settings.variational)
        self.words = RecurrentStack(
            settings.cell,
            2 * settings.hidden,
            settings.hidden,
            settings.layers,
            bidirectional=settings.bidirectional,
            dropout=settings.dropout,
            variational=settings.variational,
            layer_norm=settings.layer_norm,
        )
        self.label = nn.Linear(self.words.output_size, labels)

    @property
    def output(self) -> nn.Linear:
        return self.label

    def readouts(self, batch: Batch, hidden: object = None) -> tuple[Tensor, None]:
        """[B, W, D] for texts of W words."""
        with record_function("encoder"):
            return self._words(batch.source, batch.lengths), None

    def _words(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        embedded = self.embedding_dropout(self.embedding(tokens))  # [B, S, E]
        states, _ = self.pieces(embedded, lengths=lengths)  # [B, S, 2 H]
        ends = (tokens == self.end) & token_mask(lengths, tokens.shape[1])  # [B, S]
        count = ends.sum(dim=1)  # [B]
        last = self._positions(ends, int(count.max()))  # [B, W]
        first = torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1] + 1], dim=1)
        first = first.clamp(max=tokens.shape[1] - 1)  # of padding
        forwards, backwards = states.chunk(2, dim=2)
        size = forwards.shape[2]
        words = torch.cat(
            [
                forwards.gather(1, last.unsqueeze(2).expand(-1, -1, size)),
                backwards.gather(1, first.unsqueeze(2).expand(-1, -1, size)),
            ],
            dim=2,
        )  # [B, W, 2 H]
        read, _ = self.words(self.dropout(words), lengths=count)
        readouts: Tensor = self.dropout(read)
        return readouts

    @staticmethod
    def _positions(ends: Tensor, words: int) -> Tensor:
        """Where each word ends, [B, W]; 0 over padding."""
        rows, at = ends.nonzero(as_tuple=True)
        number = ends.cumsum(dim=1)[rows, at] - 1
        positions = torch.zeros(len(ends), words, dtype=torch.int64, device=ends.device)
        positions[rows, number] = at
        return positions
