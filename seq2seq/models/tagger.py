"""The network of tagging, which gives every word of a text one label."""

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
    """A tagger with two recurrent stacks.

    The first stack reads the subwords of the whole text in both directions. The vector of a word is
    the concatenation of two states: the forward state after the last subword of the word, and the
    backward state at its first subword (Akbik et al. 2018). The second stack reads these word
    vectors (Huang et al. 2015). The output layer predicts the labels from the states of the second
    stack.

    Args:
        config: The configuration of the model.
        size: V, the size of the vocabulary.
        labels: Number of labels.
        pad: Id of the padding token. Its embedding starts as zero.
        end: Id of the token that marks the end of each word.
    """

    def __init__(self, config: Config, size: int, labels: int, pad: int, end: int) -> None:
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
        """The output layer, which maps the state of a word to one logit per label."""
        return self.label

    def readouts(self, batch: Batch, hidden: object = None) -> tuple[Tensor, None]:
        """Return a readout for each word, [B, W, D], and None instead of a state.

        W is the largest number of words of a text in the batch.
        hidden: Ignored.
        """
        with record_function("encoder"):
            return self._words(batch.source, batch.lengths), None

    def _words(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return a readout for each word, [B, W, D].

        tokens: The token ids, [B, S] int64.
        lengths: The number of tokens in each row, [B] int64.
        """
        embedded = self.embedding_dropout(self.embedding(tokens))  # [B, S, E]
        states, _ = self.pieces(embedded, lengths=lengths)  # [B, S, 2 H]
        ends = (tokens == self.end) & token_mask(lengths, tokens.shape[1])  # [B, S]
        count = ends.sum(dim=1)  # [B]
        last = self._positions(ends, int(count.max()))  # [B, W]
        first = torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1] + 1], dim=1)
        first = first.clamp(max=tokens.shape[1] - 1)  # padding has no position
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
        """Return the position of the last token of each word, [B, W] int64. Padding has position 0.

        ends: True at the end of a word, [B, S] bool.
        words: W, the largest number of words of a text.
        """
        rows, at = ends.nonzero(as_tuple=True)
        number = ends.cumsum(dim=1)[rows, at] - 1
        positions = torch.zeros(len(ends), words, dtype=torch.int64, device=ends.device)
        positions[rows, number] = at
        return positions
