"""The codec, which encodes source and target as ids, using tokenizers or a set of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.tasks import TRANSLATION, Task
from seq2seq.text.example import Example
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.normalization import text_sides
from seq2seq.text.statistics import TextStatistics
from seq2seq.text.tokenizer import Tokenizer

Ids = list[list[int]]
_Encode = Callable[[Tokenizer, Sequence[str]], Ids]

_LABELS = "labels.txt"
_STATISTICS = "statistics.json"


@dataclass(frozen=True)
class Codec:
    """The tokenizers and labels that encode the examples of one task.

    source: the tokenizer of the source.
    target: the tokenizer of the target. With a joint vocabulary, it shares the vocabulary of
        `source`. It is then the same object unless the sides differ in their normalisation.
    task: the task, which decides whether a side holds text, labels or a vector.
    labels: the encoder of labels or vectors; None for a task without labels and vectors.
    statistics: statistics of the training text, which do not affect the equality of codecs. None
        for tasks with labels or without a source, and for model folders of earlier versions.
    """

    source: Tokenizer
    target: Tokenizer
    task: Task = TRANSLATION
    labels: LabelSet | VectorFormat | None = None
    statistics: TextStatistics | None = field(default=None, compare=False)

    def encode(self, examples: Sequence[Example], threads: int = 1) -> dict[str, Ids]:
        """Encode the examples. Return the ids of each example in columns "source" and "target".

        Text becomes the ids of its most likely subwords, and labels become their numbers.
        Raises UserError for an unknown label or a wrong number of labels.
        """
        return self._ids(lambda tokenizer, lines: tokenizer.encode(lines, threads), examples)

    def sample(self, examples: Sequence[Example], strength: float) -> dict[str, Ids]:
        """Encode the examples with randomly sampled subwords (see `Tokenizer.sample`).

        The result has the same columns as the result of `encode`.
        """
        return self._ids(lambda tokenizer, lines: tokenizer.sample(lines, strength), examples)

    def source_ids(self, sources: Sequence[str]) -> Ids:
        """Encode sources without targets, for inference. Return the ids of each source."""
        return self._source_ids(lambda tokenizer, lines: tokenizer.encode(lines), sources)

    def _ids(self, pieces: _Encode, examples: Sequence[Example]) -> dict[str, Ids]:
        if not self.task.has_target_text:
            for example in examples:
                check_label_count(self.task, example)
        targets = [example.target for example in examples]
        source = self._source_ids(pieces, [example.source for example in examples])
        if self.task.has_target_text:
            return {"source": source, "target": pieces(self.target, targets)}
        return {"source": source, "target": self.require_labels().encode(targets)}

    def _source_ids(self, pieces: _Encode, sources: Sequence[str]) -> Ids:
        if self.task.source == "condition":
            if isinstance(self.labels, LabelSet):
                for source in sources:
                    check_label_count(self.task, Example(source, ""))
            return self.require_labels().encode(sources)
        if self.task.labels_each_word:
            return self._words(lambda words: pieces(self.source, words), sources)
        return pieces(self.source, sources)

    def require_labels(self) -> LabelSet | VectorFormat:
        """Return the encoder of labels or vectors.

        Raises ValueError for a task without labels and vectors.
        """
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
        if self.statistics is not None:
            files[_STATISTICS] = self.statistics.to_bytes()
        return files

    def save(self, folder: Path) -> None:
        """Write the codec's files into an existing folder."""
        for name, content in self.files().items():
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Codec:
        """Read the codec that `save` wrote. Raises UserError for a missing or damaged file."""
        names = {"tokenizer.model": text_sides(config)[0]}
        if not config.tokenizer.joint:
            names = {f"tokenizer.{side}.model": side for side in SIDES}
        tokenizers = []
        for path, side in ((folder / name, side) for name, side in names.items()):
            try:
                tokenizers.append(load_tokenizer(_read(path), config.tokenizer.of(side)))
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
        labels: LabelSet | VectorFormat | None = None
        if config.task.label_side is not None:
            labels = (
                VectorFormat(config.encoder.vector_size)
                if config.encoder.kind == "vector"
                else LabelSet.from_bytes(_read(folder / _LABELS))
            )
        statistics, path = None, folder / _STATISTICS
        if path.exists():  # folders of earlier versions have none
            statistics = TextStatistics.from_bytes(_read(path), str(path))
        return cls(*for_both_sides(tokenizers, config), config.task, labels, statistics)

    def _words(self, encode: Callable[[Sequence[str]], Ids], lines: Sequence[str]) -> Ids:
        """Encode each word separately, followed by EOS, so that no subword spans two words."""
        rows = []
        for line in lines:
            pieces = encode(line.split(" "))
            rows.append([i for word in pieces for i in (*word, self.source.eos)])
        return rows


def load_tokenizer(model: bytes, settings: TokenizerConfig) -> Tokenizer:
    """Return the tokenizer that uses a SentencePiece model and the settings of one side.

    Raises UserError if `model` is not a valid model.
    """
    return Tokenizer(model, lowercase=settings.lowercase, kind=settings.kind)


def for_both_sides(tokenizers: Sequence[Tokenizer], config: Config) -> tuple[Tokenizer, Tokenizer]:
    """Return the tokenizers of source and target, with the normalisation of each side.

    A side without text gets the tokenizer of the other side.

    tokenizers: The one tokenizer of a joint vocabulary, or the tokenizers of source and target.
    """
    settings, sides = config.tokenizer, text_sides(config)
    source, target = (
        tokenizer.with_normalization(settings.normalization_of(side if side in sides else sides[0]))
        for tokenizer, side in ((tokenizers[0], SIDES[0]), (tokenizers[-1], SIDES[1]))
    )
    if tokenizers[0] is tokenizers[-1] and source == target:
        return source, source
    return source, target


def label_column(task: Task) -> str | None:
    """Return the column that holds labels or vectors, "source" or "target".

    Return None for a task without labels and vectors.
    """
    return None if task.label_side is None else ("source", "target")[task.label_side]


def check_label_count(task: Task, example: Example) -> None:
    """Check that an example has the right number of labels: one per text, or one per word.

    Do nothing for a task without labels. Raises UserError for a wrong number of labels.
    """
    column = label_column(task)
    if column is None:
        return
    line, text = example.source, example.target
    if column == "target":
        line, text = text, line
    expected = len(text.split(" ")) if task.labels_each_word else 1
    if len(line.split(" ")) != expected:
        number = f"{expected} label{'s' * (expected > 1)}"
        place = f" for {text[:60]!r}" if text else ""
        raise UserError(
            f"expected {number}{place}, but found {line!r}; separate labels by a single space, and "
            "use no space inside a label"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: the model folder is not complete; copy the folder again"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the permissions of the file"
        ) from None
