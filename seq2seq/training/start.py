"""Start a run from the weights and the vocabulary of a trained model (`seq2seq train --from`)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seq2seq.config import toml
from seq2seq.config.base import Base
from seq2seq.config.schema import Config
from seq2seq.errors import UserError, file_error
from seq2seq.files import write_atomically
from seq2seq.models.folder import WEIGHTS_FILE, Model, load_model
from seq2seq.text.codec import Codec
from seq2seq.text.model_codec import ModelCodec

_log = logging.getLogger(__name__)

ORIGIN_FILE = "origin.json"
_SECTIONS = ("features", "tokenizer", "encoder", "context", "decoder")
# The keys of these sections that may differ, because the weights and the vocabulary fit any value.
_FREE = frozenset(
    {"dropout", "embedding_dropout", "variational", "weight_dropout", "sampling", "sample_lines"}
)


@dataclass(frozen=True)
class Origin:
    """The model that a run started from, as origin.json in the run folder records it.

    name: name of the model, without an absolute path.
    weights: SHA-256 checksum of the model's file of weights, in hexadecimal.
    vocabulary: hash of the model's tokenizers and labels, in hexadecimal.
    """

    name: str
    weights: str
    vocabulary: str

    def save(self, run: Path) -> None:
        """Write origin.json in the run folder. Raise UserError if it cannot be written."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        write_atomically(run / ORIGIN_FILE, text.encode())


@dataclass(frozen=True)
class Start:
    """The start of a run: the model whose weights and vocabulary the run takes over.

    origin: the record of the model.
    config: the configuration of the model.
    model: the model, or None if the run resumes from a checkpoint and does not need it.
    folder: the model folder, or None if the user did not name it.
    """

    origin: Origin
    config: Config
    model: Model | None
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name of the model in messages: its folder, or a short name if unknown."""
        return self.origin.name if self.folder is None else str(self.folder)

    @property
    def base(self) -> Base:
        """The values of the model for the keys that a new configuration leaves out."""
        included = {"task", *_SECTIONS} - self.config.unused_sections
        values = self.config.model_dump(mode="json", exclude_none=True, include=included)
        for name in ("model", "sha256"):  # the file that only the first training needs
            values["tokenizer"].pop(name, None)
        return Base(self.name, values)

    @property
    def codec(self) -> ModelCodec:
        """The tokenizers and labels of the model, for the preparation of the data."""
        codec = None if self.model is None else self.model.codec
        return ModelCodec(codec, self.origin.vocabulary, self.name)

    def check(self, config: Config) -> None:
        """Raise UserError if the weights or the vocabulary do not fit a configuration.

        Warn if the configuration swaps the source and the target of the model.
        """
        new = config.model_dump(mode="json", exclude_none=True)
        if (reads := self.config.data.features is not None) != (config.data.features is not None):
            wanted = "set" if reads else "leave out"
            raise UserError(
                f"cannot start from the model {self.name}: it reads {'' if reads else 'no '}"
                f"features; {wanted} data.features"
            )
        if differ := list(_differences(self.base.values, new)):
            raise UserError(
                f"cannot start from the model {self.name}: {'; '.join(differ)}. Remove "
                "these keys from the configuration, or set them to the values of the model"
            )
        old_sides = (self.config.data.source, self.config.data.target)
        new_sides = (config.data.source, config.data.target)
        if old_sides != new_sides and old_sides == new_sides[::-1]:
            _log.warning(
                "the model %s translates from %s to %s, but this configuration trains from %s to "
                "%s",
                self.name,
                *old_sides,
                *new_sides,
            )


def open_start(model: str | Path | None, run: Path, *, resume: bool) -> Start | None:
    """Return the start of a run; None if the run starts with random weights.

    model: the model folder to start from, or None.
    run: the run folder.
    resume: whether a run in this folder may be resumed.

    A run that resumes from a checkpoint does not need `model`, because its folder records the
    model. Raise UserError if the folder is not a model folder, or if the run started from another
    model.
    """
    written = run / "config.toml"
    record = _read_origin(run) if resume and written.exists() else None
    if model is None:
        if record is None:
            return None
        if not any((run / "checkpoints").glob("update-*")):
            raise UserError(
                f"{run} started from the model {record.name} and has no checkpoint yet; name the "
                "model again with --from"
            )
        return Start(record, _read_config(written), None)
    loaded = load_model(Path(model))
    origin = Origin(
        _name_model(Path(model)), _digest_weights(Path(model)), digest_codec(loaded.codec)
    )
    if resume and written.exists():
        if record is None:
            raise UserError(f"{run} did not start from a model; resume it without --from")
        if record.weights != origin.weights:
            raise UserError(
                f"{run} started from the model {record.name} with the weights SHA-256 "
                f"{record.weights[:12]}…, but the model of --from has the weights "
                f"{origin.weights[:12]}…; resume the run without --from, or start another run "
                "with --out"
            )
    return Start(origin, loaded.config, loaded, Path(model))


def digest_codec(codec: Codec) -> str:
    """Return a hash of the tokenizers and labels of a model, in hexadecimal."""
    hashed = hashlib.sha256()
    for name, content in sorted(codec.files().items()):
        hashed.update(f"{name} {len(content)} ".encode() + content)
    return hashed.hexdigest()


def _read_origin(run: Path) -> Origin | None:
    path = run / ORIGIN_FILE
    if not path.exists():
        return None
    try:
        origin = Origin(**json.loads(path.read_text(encoding="utf-8")))
        if not all(type(value) is str for value in asdict(origin).values()):
            raise TypeError("all values in the file must be strings")
        return origin
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: the file cannot be read ({error}); start another run with --out"
        ) from None


def _read_config(path: Path) -> Config:
    try:
        return toml.read_config(path)
    except OSError as error:
        raise file_error("read", path, error) from None


def _name_model(folder: Path) -> str:
    """Return a name for a model folder: RECIPE/VARIANT for runs/RECIPE/VARIANT/model."""
    folder = folder.resolve()
    if folder.name == "model":
        return "/".join(folder.parts[-3:-1])
    return folder.name


def _digest_weights(folder: Path) -> str:
    with (folder / WEIGHTS_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a text for each key whose value differs between a model and a configuration."""
    for name in sorted(old.keys() | (new.keys() if prefix else set())):
        was, now = old.get(name), new.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _differences(was, now, f"{prefix}{name}.")
        elif was != now and name not in _FREE:
            yield f"{prefix}{name} is {was!r} in the model, but {now!r} in the configuration"
