"""A hash of everything that determines the prepared data of a run."""

from __future__ import annotations

import hashlib
from typing import Any

from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.text import corpus, data_files
from seq2seq.text.dataset import SCHEMA_VERSION
from seq2seq.text.memory import MemoryData


def data_digest(config: Config, memory: MemoryData | None, codec_digest: str = "") -> str:
    """Return a hash of everything that determines the prepared data.

    The hash covers the settings, the input data and the version of the file schema.
    """
    hashed = hashlib.blake2b(b"schema %d " % SCHEMA_VERSION, digest_size=16)
    paths = {"train", "valid", "test"}  # the content of the files is hashed below
    # Leave out default values, so that the hash equals the hash of earlier versions.
    paths |= {
        key
        for key in ("references", "alternatives", "merge_sources", "features")
        if not getattr(config.data, key)
    }
    task = config.task
    if task.label_side is not None or task.same_length:
        hashed.update(f"{task.name} {config.encoder.kind} {config.encoder.vector_size}".encode())
    hashed.update(config.data.model_dump_json(exclude=paths).encode())
    if config.data.features is not None:
        hashed.update(config.features.model_dump_json().encode())
    same = {"sampling": 0.0, "model": None}  # sha256 stands for the content of the model
    settings = config.tokenizer.model_copy(update=same)
    hashed.update(settings.model_dump_json(exclude=_later_keys(settings)).encode())
    if config.decoder.copying:  # unknown tokens then have other ids
        hashed.update(b"copying")
    if config.context.is_transducer:  # the targets are then stored as actions
        hashed.update(b"transducer")
    hashed.update(codec_digest.encode())
    for split in ("train", "valid", "test"):
        if memory is not None and split in memory:
            hashed.update(split.encode() + memory.digest(split))
        elif data_files.has_split(config.data, split):
            sets = corpus.validation_sets(config) if split == "valid" else {"": config.data}
            for name, data in sets.items():
                hashed.update(split.encode() + name.encode())
                for path in data_files.input_files(data, split):
                    with path.open("rb") as file:
                        hashed.update(hashlib.file_digest(file, "blake2b").digest())
    return hashed.hexdigest()


def _later_keys(settings: TokenizerConfig) -> dict[str, Any]:
    """Return the keys that earlier versions did not have and that have their default values.

    The hash leaves these keys out, so that it equals the hash of an earlier version.
    """
    common = TokenizerConfig()
    unused: dict[str, Any] = {
        key: True for key in ("separator", "unit") if getattr(settings, key) == getattr(common, key)
    }
    for side in SIDES:
        own = getattr(settings, side).model_dump()
        unused[side] = {key for key in own if key != "normalization" and own[key] is None}
    return unused
