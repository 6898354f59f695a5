"""The codec, which encodes source and target as ids, using tokenizers or a set of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.files import write_new
from seq2seq.tasks import TRANSLATION, Task
from seq2seq.text.actions import ActionModel, action_ids
from seq2seq.text.example import Example
from seq2seq.text.features import FeatureSet, tokens_of
from seq2seq.text.labels import LabelSet, VectorFormat, check_label_count, encode_words
from seq2seq.text.open_vocabulary import CopyTable, OpenIds, close_ids, encode_open
from seq2seq.text.sides import TOKENIZER_FILES, load_tokenizers, read_model_file
from seq2seq.text.statistics import TextStatistics
from seq2seq.text.tokenizer import Tokenizer

Ids = list[list[int]]
_Encode = Callable[[Tokenizer, Sequence[str]], Ids]

_LABELS = "labels.txt"
_FEATURES = "features.txt"
_STATISTICS = "statistics.json"
_ACTIONS = "actions.json"


@dataclass(frozen=True)
class Codec:
    """The tokenizers and labels that encode the examples of one task.

    source: the tokenizer of the source.
    target: the tokenizer of the target. With a joint vocabulary, it shares the vocabulary of
        `source`. It is then the same object unless source and target differ in their normalisation.
    task: the task, which decides whether source and target hold text, labels or a vector.
    labels: the encoder of labels or vectors; None for a task without labels and vectors.
    features: the features of the sources; None for a model without features.
    statistics: statistics of the training text, which do not affect the equality of codecs. None
        for tasks with labels or without a source, and for model folders of earlier versions.
    actions: the model that turns targets into the actions of a transducer. None for other models.
    copies: whether the model copies tokens from the source (`decoder.copying`). Tokens that a
        vocabulary lacks then get ids of their own, as `seq2seq.text.open_vocabulary` explains.
    """

    source: Tokenizer
    target: Tokenizer
    task: Task = TRANSLATION
    labels: LabelSet | VectorFormat | None = None
    features: FeatureSet | None = None
    statistics: TextStatistics | None = field(default=None, compare=False)
    copies: bool = field(default=False, compare=False)
    actions: ActionModel | None = field(default=None, compare=False)

    @cached_property
    def copy_table(self) -> CopyTable:
        """The tokens that the model can copy from a source to a target."""
        return CopyTable(self.source, self.target, self.open_source[0], self.target_size)

    @property
    def target_size(self) -> int:
        """The number of target tokens, or of the actions of a transducer."""
        return len(self.target) * (2 if self.actions else 1)

    @property
    def open_source(self) -> tuple[int, int]:
        """The first id of an unknown token of a source, and the id of <unk>."""
        front = 0 if self.features is None or self.features.per_word else len(self.features)
        return len(self.source) + front, self.source.unk

    def encode(self, examples: Sequence[Example], threads: int = 1) -> dict[str, Ids]:
        """Encode the examples. Return the ids of each example in columns "source" and "target".

        Text becomes the ids of its most likely subwords, and labels become their numbers. If words
        have features, the column "features" holds the features of each token, [S · K].
        Raises UserError for an unknown label or a wrong number of labels.
        """
        if self.copies:
            return self._open_ids(examples)
        ids = self._ids(lambda tokenizer, lines: tokenizer.encode(lines, threads), examples)
        return {**ids, "target": self._act(ids["source"], ids["target"])}

    def sample(self, examples: Sequence[Example], strength: float) -> dict[str, Ids]:
        """Encode the examples as `encode` does, but with random subwords (`Tokenizer.sample`)."""
        return self._ids(lambda tokenizer, lines: tokenizer.sample(lines, strength), examples)

    def source_ids(self, sources: Sequence[str]) -> Ids:
        """Encode sources without targets, for inference. Return the ids of each source."""
        if self.copies:
            return [opened.ids for opened in self._open(sources)]
        return self._source_ids(lambda tokenizer, lines: tokenizer.encode(lines), sources)

    def close_source(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        """Return the ids of a source, with <unk> for each token that the vocabulary lacks."""
        tokens = np.asarray(ids, np.int64)
        return [*(close_ids(tokens, *self.open_source) if self.copies else tokens).tolist()]

    def target_ids(
        self, sources: Sequence[str], encoded: Sequence[np.ndarray], targets: Sequence[str]
    ) -> Ids:
        """Return the ids of targets, or the actions of a transducer that write the targets.

        If the model copies, a token of the source gets an id of its own.

        sources: The text of each source.
        encoded: The encoded sources.
        """
        if not self.copies:
            return self._act(encoded, self.target.encode(targets))
        opened = encode_open(self.target, targets, len(self.target))
        rows = zip(self._open(sources), encoded, opened, strict=True)
        written = [
            self.copy_table.target_ids(OpenIds(tokens_of(ids).tolist(), source.unknown), target)
            for source, ids, target in rows
        ]
        return self._act(encoded, written)

    def _act(self, sources: Sequence[np.ndarray] | Ids, targets: Ids) -> Ids:
        return self.actions.write(sources, targets) if self.actions else targets

    def written(self, ids: Sequence[int]) -> list[int]:
        """Return the target ids of a hypothesis: for a transducer, those that its actions write."""
        return self.actions.written(ids) if self.actions else list(ids)

    def writer(self, source: str, ids: np.ndarray, written: Sequence[int]) -> Tokenizer:
        """Return a tokenizer that decodes a target. It also decodes tokens copied from the source.

        source: The text of the source.
        ids: The encoded source, or a part of it.
        written: The ids of the target.
        """
        if max(written, default=0) < len(self.target):
            return self.target
        (opened,) = self._open([source])
        return self.copy_table.writer(OpenIds(tokens_of(ids).tolist(), opened.unknown))

    def _open(self, sources: Sequence[str]) -> list[OpenIds]:
        return encode_open(self.source, sources, self.open_source[0])

    def _ids(self, pieces: _Encode, examples: Sequence[Example]) -> dict[str, Ids]:
        if not self.task.has_target_text:
            for example in examples:
                check_label_count(self.task, example)
        targets = [example.target for example in examples]
        source = self._source_ids(pieces, [example.source for example in examples])
        if not self.task.has_target_text:
            return {"source": source, "target": self.require_labels().encode(targets)}
        return self._add_features(
            {"source": source, "target": pieces(self.target, targets)}, examples
        )

    def _open_ids(self, examples: Sequence[Example]) -> dict[str, Ids]:
        sources = [example.source for example in examples]
        columns = self._add_features({"source": self.source_ids(sources)}, examples)
        encoded = [np.asarray(ids, np.int64) for ids in columns["source"]]
        targets = self.target_ids(sources, encoded, [example.target for example in examples])
        return {**columns, "target": targets}

    def _add_features(self, columns: dict[str, Ids], examples: Sequence[Example]) -> dict[str, Ids]:
        if self.features is None:
            return columns
        source = columns["source"]
        encoded = [
            self.encode_source(example.source, ids, "".join(example.features))
            for example, ids in zip(examples, source, strict=True)
        ]
        if self.features.per_word:
            return {**columns, "features": [rows[:, 1:].ravel().tolist() for rows in encoded]}
        return {**columns, "source": [ids.tolist() for ids in encoded]}

    def encode_source(self, text: str, ids: Sequence[int], features: str = "") -> np.ndarray:
        """Return an encoded source (see `text.features`), [S] or [S, 1 + K] int64.

        text: the source.
        ids: the tokens of the source. If there are none, the features are left out, too.
        features: the features of the source. A model without features ignores them.
        """
        tokens = np.asarray(ids, np.int64)
        if self.features is None:
            return tokens
        return self.features.join(tokens, text, features, self.source)

    def _source_ids(self, pieces: _Encode, sources: Sequence[str]) -> Ids:
        if self.task.source == "condition":
            if isinstance(self.labels, LabelSet):
                for source in sources:
                    check_label_count(self.task, Example(source, ""))
            return self.require_labels().encode(sources)
        if self.task.labels_each_word:
            return encode_words(lambda words: pieces(self.source, words), sources, self.source.eos)
        return pieces(self.source, sources)

    def require_labels(self) -> LabelSet | VectorFormat:
        """Return the encoder of labels or vectors. Raises ValueError for a task without them."""
        if self.labels is None:
            raise ValueError(f"task {self.task.name!r} has no labels")
        return self.labels

    def files(self) -> dict[str, bytes]:
        """Return the contents of the codec's files in a model folder, by file name."""
        if self.source.shares_vocabulary(self.target):
            files = {"tokenizer.model": self.source.model}
        else:
            files = {
                "tokenizer.source.model": self.source.model,
                "tokenizer.target.model": self.target.model,
            }
        if isinstance(self.labels, LabelSet):
            files[_LABELS] = self.labels.to_bytes()
        parts = {_FEATURES: self.features, _STATISTICS: self.statistics, _ACTIONS: self.actions}
        return files | {name: part.to_bytes() for name, part in parts.items() if part is not None}

    def save(self, folder: Path) -> None:
        """Write the codec's files into an existing folder."""
        for name, content in self.files().items():
            write_new(folder / name, content)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Codec:
        """Read the codec that `save` wrote. Raises UserError for a missing or damaged file."""
        labels: LabelSet | VectorFormat | None = None
        if config.encoder.kind == "vector":
            labels = VectorFormat(config.encoder.vector_size)
        elif config.task.label_side is not None:
            path = folder / _LABELS
            labels = LabelSet.from_bytes(read_model_file(path), str(path))
        features, statistics, path = None, None, folder / _FEATURES
        if config.data.features is not None:
            features = FeatureSet.from_bytes(read_model_file(path), config.features, str(path))
        path = folder / _STATISTICS
        if path.exists():  # folders of earlier versions have none
            statistics = TextStatistics.from_bytes(read_model_file(path), str(path))
        both, copies = load_tokenizers(folder, config), config.decoder.copying
        codec = cls(*both, config.task, labels, features, statistics, copies)
        if not config.context.is_transducer:
            return codec
        path, sizes = folder / _ACTIONS, (codec.open_source[0], len(codec.target))
        content, ids = read_model_file(path), action_ids(*both)
        return replace(codec, actions=ActionModel.from_bytes(content, str(path), sizes, **ids))


def codec_files(folder: Path) -> set[str]:
    """Return the names of the files in a model folder that `Codec.load` may read."""
    names = [_LABELS, _STATISTICS, _FEATURES, _ACTIONS, *TOKENIZER_FILES]
    return {name for name in names if (folder / name).exists()}
