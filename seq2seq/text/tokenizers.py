"""All that turns a pair of texts into ids: a tokenizer a side, or labels in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.config import Config, Shape
from seq2seq.errors import UserError
from seq2seq.text.labels import Labels, Numbers
from seq2seq.text.tokenizer import Tokenizer

Ids = list[list[int]]
Pieces = Callable[[Tokenizer, Sequence[str]], Ids]

_LABELS = "labels.txt"
# Which side of a pair is labels: 0 the source, 1 the target.
LABELLED: dict[Shape, int] = {"classification": 1, "tagging": 1, "generation": 0}


@dataclass(frozen=True)
class Tokenizers:
    """source, target: the tokenizer of each side, the same object twice where the vocabulary is
    joint; labels: what stands for one side where the shape has labels there (`LABELLED`)."""

    source: Tokenizer
    target: Tokenizer
    shape: Shape = "translation"
    labels: Labels | Numbers | None = None

    @property
    def labelled_target(self) -> bool:
        """Whether the targets are labels."""
        return LABELLED.get(self.shape) == 1

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
        self, pieces: Pieces, sources: Sequence[str], targets: Sequence[str]
    ) -> tuple[Ids, Ids]:
        if isinstance(self.labels, Labels):  # a model in use has the one side alone
            one_side = [""] * len(sources) if self.shape == "generation" else targets
            for source, target in zip(sources, one_side, strict=False):
                require_count(self.shape, source, target)
        if self.shape == "generation":
            return self.require_labels().encode(sources), pieces(self.target, targets)
        if self.shape == "tagging":
            ids = self._words(lambda words: pieces(self.source, words), sources)
        else:
            ids = pieces(self.source, sources)
        if self.labels is None:
            return ids, pieces(self.target, targets)
        return ids, self.labels.encode(targets)

    def source_ids(self, sources: Sequence[str]) -> Ids:
        """Of sources alone: what a model in use is given."""
        return self.encode(sources, [])[0]

    def require_labels(self) -> Labels | Numbers:
        """Raises ValueError for a shape that has none."""
        if self.labels is None:
            raise ValueError(f"shape {self.shape!r} has no labels")
        return self.labels

    def contents(self) -> dict[str, bytes]:
        """The files of a model folder that hold all this, by name."""
        if self.source is self.target:
            files = {"tokenizer.model": self.source.model}
        else:
            files = {
                "tokenizer.source.model": self.source.model,
                "tokenizer.target.model": self.target.model,
            }
        if isinstance(self.labels, Labels):
            files[_LABELS] = self.labels.text()
        return files

    def save(self, folder: Path) -> None:
        """Write `contents` into a folder that is there."""
        for name, content in self.contents().items():
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Tokenizers:
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
        labels: Labels | Numbers | None = None
        if config.shape in LABELLED:
            numbers = config.encoder.kind == "vector"
            labels = (
                Numbers(config.encoder.numbers)
                if numbers
                else Labels.parse(_read(folder / _LABELS))
            )
        return cls(loaded[0], loaded[-1], config.shape, labels)

    def _words(self, encode: Callable[[Sequence[str]], Ids], lines: Sequence[str]) -> Ids:
        """Word by word, EOS behind each: pieces never cross the words that are to be tagged."""
        rows = []
        for line in lines:
            pieces = encode(line.split(" "))
            rows.append([i for word in pieces for i in (*word, self.source.eos)])
        return rows


def require_count(shape: Shape, source: str, target: str) -> None:
    """Raises UserError where the side with labels has not as many as the other needs: one, or one a
    word. Of shapes without labels nothing is asked."""
    if shape not in LABELLED:
        return
    line, text = (source, target) if LABELLED[shape] == 0 else (target, source)
    wanted = len(text.split(" ")) if shape == "tagging" else 1
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
