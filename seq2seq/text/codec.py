"""The codec: raw text to ids, a tokenizer or a set of labels for each side of an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.tasks import TRANSLATION, Task
from seq2seq.text.example import Example
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.statistics import TextStatistics
from seq2seq.text.tokenizer import Tokenizer

Ids = list[list[int]]
_Encode = Callable[[Tokenizer, Sequence[str]], Ids]

_LABELS = "labels.txt"
_STATISTICS = "statistics.json"


@dataclass(frozen=True)
class Codec:
    """Everything that encodes the examples of one task.

    source, target: the tokenizer of each side, the same object twice where the vocabulary is joint.
    labels: what encodes the side of the task that holds labels or a vector (`Task.label_side`).
    statistics: what is known of the training text; None for models of text alone, and for model
    folders of earlier versions. Codecs with different statistics are equal.
    """

    source: Tokenizer
    target: Tokenizer
    task: Task = TRANSLATION
    labels: LabelSet | VectorFormat | None = None
    statistics: TextStatistics | None = field(default=None, compare=False)

    def encode(self, examples: Sequence[Example], threads: int = 1) -> dict[str, Ids]:
        """Encode each example: the ids of the most likely pieces, and of labels, in the columns
        "source" and "target".

        Raises UserError for an unknown label, and for a wrong number of labels.
        """
        return self._ids(lambda tokenizer, lines: tokenizer.encode(lines, threads), examples)

    def sample(self, examples: Sequence[Example], strength: float) -> dict[str, Ids]:
        """Encode with pieces drawn at random: see `Tokenizer.sample`."""
        return self._ids(lambda tokenizer, lines: tokenizer.sample(lines, strength), examples)

    def source_ids(self, sources: Sequence[str]) -> Ids:
        """Encode sources without targets, for a model in use."""
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
        """The labels. Raises ValueError for a task without labels."""
        if self.labels is None:
            raise ValueError(f"task {self.task.name!r} has no labels")
        return self.labels

    def files(self) -> dict[str, bytes]:
        """The files of a model folder that hold all this, by name."""
        if self.source is self.target:
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
        """Write `files` into a folder that is there."""
        for name, content in self.files().items():
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Codec:
        """Read what `save` wrote. Raises UserError for a missing or broken file."""
        names = ["tokenizer.model"]
        if not config.tokenizer.joint:
            names = ["tokenizer.source.model", "tokenizer.target.model"]
        tokenizers = []
        for name in names:
            path = folder / name
            model = _read(path)
            try:
                tokenizer = Tokenizer(
                    model, lowercase=config.tokenizer.lowercase, kind=config.tokenizer.kind
                )
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
            tokenizers.append(tokenizer)
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
        return cls(tokenizers[0], tokenizers[-1], config.task, labels, statistics)

    def _words(self, encode: Callable[[Sequence[str]], Ids], lines: Sequence[str]) -> Ids:
        """Word by word, EOS behind each: pieces never cross the words that are to be tagged."""
        rows = []
        for line in lines:
            pieces = encode(line.split(" "))
            rows.append([i for word in pieces for i in (*word, self.source.eos)])
        return rows


def label_column(task: Task) -> str | None:
    """The column of an example that holds labels or a vector; None for a task without labels."""
    return None if task.label_side is None else ("source", "target")[task.label_side]


def check_label_count(task: Task, example: Example) -> None:
    """Raises UserError where the column with labels does not hold as many labels as the other one
    needs: one, or one per word. Does nothing for a task without labels."""
    column = label_column(task)
    if column is None:
        return
    line, text = example.source, example.target
    if column == "target":
        line, text = text, line
    expected = len(text.split(" ")) if task.labels_each_word else 1
    if len(line.split(" ")) != expected:
        number = f"{expected} label{'s' * (expected > 1)}"
        needed = f", as {text[:60]!r} needs" if text else ""
        raise UserError(
            f"{line!r} is not {number}{needed}: a label holds no space, and one stands between two "
            "of them"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the model folder is not complete") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
