"""The codec: raw text to ids, a tokenizer or a set of labels for each side of an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.tasks import TRANSLATION, Task
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.tokenizer import Tokenizer

Ids = list[list[int]]
_Encode = Callable[[Tokenizer, Sequence[str]], Ids]

_LABELS = "labels.txt"


@dataclass(frozen=True)
class Codec:
    """Everything that encodes the examples of one task.

    source, target: the tokenizer of each side, the same object twice where the vocabulary is joint.
    labels: what encodes the side of the task that holds labels or a vector (`Task.label_side`).
    """

    source: Tokenizer
    target: Tokenizer
    task: Task = TRANSLATION
    labels: LabelSet | VectorFormat | None = None

    def encode(
        self, sources: Sequence[str], targets: Sequence[str], threads: int = 1
    ) -> tuple[Ids, Ids]:
        """The ids of the most likely pieces, and of labels, of each pair.

        Raises UserError for a label that is none, and where there are not as many as are wanted.
        """
        return self._ids(lambda side, lines: side.encode(lines, threads), sources, targets)

    def sample(
        self, sources: Sequence[str], targets: Sequence[str], strength: float
    ) -> tuple[Ids, Ids]:
        """The same with pieces that are drawn at random: see `Tokenizer.sample`."""
        return self._ids(lambda side, lines: side.sample(lines, strength), sources, targets)

    def _ids(
        self, pieces: _Encode, sources: Sequence[str], targets: Sequence[str]
    ) -> tuple[Ids, Ids]:
        if isinstance(self.labels, LabelSet):  # a model in use has the one side alone
            texts = [""] * len(sources) if self.task.has_target_text else targets
            for source, target in zip(sources, texts, strict=False):
                check_label_count(self.task, source, target)
        if self.task.source == "condition":
            return self.require_labels().encode(sources), pieces(self.target, targets)
        if self.task.labels_each_word:
            ids = self._words(lambda words: pieces(self.source, words), sources)
        else:
            ids = pieces(self.source, sources)
        if self.labels is None:
            return ids, pieces(self.target, targets)
        return ids, self.labels.encode(targets)

    def source_ids(self, sources: Sequence[str]) -> Ids:
        """Of sources alone: what a model in use is given."""
        return self.encode(sources, [])[0]

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
        loaded = []
        for name in names:
            path = folder / name
            model = _read(path)
            try:
                made = Tokenizer(
                    model, lowercase=config.tokenizer.lowercase, kind=config.tokenizer.kind
                )
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
            loaded.append(made)
        labels: LabelSet | VectorFormat | None = None
        if config.task.label_side is not None:
            numbers = config.encoder.kind == "vector"
            labels = (
                VectorFormat(config.encoder.vector_size)
                if numbers
                else LabelSet.from_bytes(_read(folder / _LABELS))
            )
        return cls(loaded[0], loaded[-1], config.task, labels)

    def _words(self, encode: Callable[[Sequence[str]], Ids], lines: Sequence[str]) -> Ids:
        """Word by word, EOS behind each: pieces never cross the words that are to be tagged."""
        rows = []
        for line in lines:
            pieces = encode(line.split(" "))
            rows.append([i for word in pieces for i in (*word, self.source.eos)])
        return rows


def check_label_count(task: Task, source: str, target: str) -> None:
    """Raises UserError where the side with labels does not hold as many labels as the other side
    needs: one, or one a word. Does nothing for a task without labels."""
    if task.label_side is None:
        return
    line, text = (source, target) if task.label_side == 0 else (target, source)
    wanted = len(text.split(" ")) if task.labels_each_word else 1
    if len(line.split(" ")) != wanted:
        number = f"{wanted} label{'s' * (wanted > 1)}"
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
