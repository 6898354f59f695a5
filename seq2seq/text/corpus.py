"""Raw parallel text, read strictly and one pair at a time: no line is lost, added or shifted.

Whatever cannot be read as it stands is refused with its file and line. Three things alone are
mended in silence: a byte order mark at the beginning of a file is dropped, a newline inside a value
of a table is a space, and the lines of a TSV end as its header does. Memory does not grow with
the corpus.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from seq2seq.config.schema import DataConfig
from seq2seq.errors import UserError
from seq2seq.text.lines import decode_lines, read_lines
from seq2seq.text.tables import TABLE_SUFFIXES, Pair, read_hub, read_table

__all__ = [
    "Pair",
    "Split",
    "decode_lines",
    "filter_pairs",
    "has_split",
    "input_files",
    "is_table",
    "length_problem",
    "pair_digest",
    "read_pairs",
    "read_pairs_of_table",
]

Split = Literal["train", "valid", "test"]


def read_pairs(data: DataConfig, split: Split) -> Iterator[Pair]:
    r"""The pairs of a split, (source, target), in the order of the file and with nothing dropped;
    without `data.source`, the source of each is empty.

    Reads the files that `data.<split>` names, or `data.hub` where it names none or they are not
    there. Neither side holds a "\n": one inside a JSON, Parquet or hub value becomes a space.

    Raises UserError at once for a split that is not set or not found; while iterating for an
    empty or broken file, bad UTF-8, files of different length, a column that is not there or a
    value that is no text, and a dataset that cannot be had.
    """
    files = _find_files(data, split)
    if not files:
        where = f"data.hub {data.hub!r}, split {data.hub_splits[split]!r}"
        hub_split = data.hub_splits[split]
        pairs = read_hub(str(data.hub), data.hub_config, hub_split, _columns(data), where)
    elif len(files) == 2:
        where = f"{files[0]} and {files[1]}"
        pairs = _parallel(*files)
    elif is_table(files[0]):
        return read_pairs_of_table(data, files[0])
    else:
        where = str(files[0])
        pairs = (("", line) for line in read_lines(files[0]))
    return _refuse_empty(_without_source(data, pairs), where)


def is_table(path: Path) -> bool:
    """Whether the file holds both sides, by its name."""
    return path.name.endswith(TABLE_SUFFIXES)


def read_pairs_of_table(data: DataConfig, path: Path) -> Iterator[Pair]:
    """The pairs of one table, from the columns that `data` names, as `read_pairs` gives them."""
    pairs = read_table(path, _columns(data))
    return _refuse_empty(_without_source(data, pairs), str(path))


def has_split(data: DataConfig, split: Split) -> bool:
    """Whether the configuration names such a split: as files, or as one of its hub dataset's."""
    return getattr(data, split) is not None or (data.hub is not None and split in data.hub_splits)


def input_files(data: DataConfig, split: Split) -> list[Path]:
    """The local files that hold a split, to hash what artifacts were made from.

    Where the split is read from `data.hub`: all files of it if it is a local folder, else none.
    Raises UserError for a split that is not set or not found.
    """
    files = _find_files(data, split)
    if not files and data.hub is not None:
        return sorted(path for path in Path(data.hub).rglob("*") if path.is_file())
    return files


def filter_pairs(
    pairs: Iterable[Pair], *, drop_duplicates: bool, counts: Counter[str]
) -> Iterator[Pair]:
    """The pairs that can be learned from; a pair is dropped whole, never one side of it.

    Dropped is a pair with a side that is blank after strip() and, with `drop_duplicates`, an exact
    repeat of an earlier one. Adds to `counts`: "read" (all), "empty" and "duplicate" (dropped).

    Remembers 16 bytes of digest for each pair that it keeps, in a set: 90 to 140 bytes of memory a
    pair as Python stores them, so 0.9 to 1.4 GB for ten million. Two different pairs are taken for
    repeats with a probability below 1e-24 then.
    """
    seen: set[bytes] = set()
    for pair in pairs:
        counts["read"] += 1
        if not (pair[0].strip() and pair[1].strip()):
            counts["empty"] += 1
            continue
        if drop_duplicates:
            digest = pair_digest(pair)
            if digest in seen:
                counts["duplicate"] += 1
                continue
            seen.add(digest)
        yield pair


def length_problem(
    source_length: int, target_length: int, *, max_tokens: int, max_ratio: float
) -> str | None:
    """None for a pair to keep, else why not: "too long" or "length ratio".

    Lengths in subwords, at most `max_tokens` each; `max_ratio` is the most that the longer may be
    of the shorter, 0 for no limit.
    """
    shorter, longer = sorted((source_length, target_length))
    if longer > max_tokens:
        return "too long"
    # A quotient: a product would round 1.15 * 100 down and drop a pair that is just at the limit.
    if max_ratio and (longer / shorter if shorter else math.inf) > max_ratio:
        return "length ratio"
    return None


def pair_digest(pair: Pair) -> bytes:
    """16 bytes (BLAKE2b) that tell a pair from others, the same on every machine."""
    source, target = (text.encode() for text in pair)
    # The length keeps ("ab", "c") apart from ("a", "bc").
    return hashlib.blake2b(b"%d %b%b" % (len(source), source, target), digest_size=16).digest()


def _columns(data: DataConfig) -> tuple[str | int, str | int]:
    target = data.target if data.target_column is None else data.target_column
    source = data.source if data.source_column is None else data.source_column
    return target if source == "" else source, target


def _without_source(data: DataConfig, pairs: Iterator[Pair]) -> Iterator[Pair]:
    return pairs if data.source else (("", target) for _, target in pairs)


def _find_files(data: DataConfig, split: Split) -> list[Path]:
    """Two parallel files, one table or text, or nothing where the hub is to be read."""
    value: str | list[str] | None = getattr(data, split)
    if value is None:
        if not has_split(data, split):
            also = "data.hub" if data.hub is None else f"data.hub_splits.{split}"
            raise UserError(f"data.{split} is not set; name its files there, or set {also}")
        return []
    if isinstance(value, list):
        wanted = [[Path(name)] for name in value]
    elif is_table(Path(value)):
        wanted = [[Path(value)]]
    elif not data.source:
        wanted = [[Path(value), Path(f"{value}.gz")]]
    else:
        sides = (data.source, data.target)
        wanted = [[Path(f"{value}.{side}"), Path(f"{value}.{side}.gz")] for side in sides]
    found = [[path for path in paths if path.is_file()] for paths in wanted]
    if all(found):
        return [paths[0] for paths in found]
    # One file of two is a mistake even where there is a hub: its owner meant it to be read.
    if not any(found) and data.hub is not None and split in data.hub_splits:
        return []
    missing = [
        " or ".join(map(str, paths))
        for paths, there in zip(wanted, found, strict=True)
        if not there
    ]
    raise UserError(
        f"data.{split}: no such file: {' and '.join(missing)}; put it there or under $SEQ2SEQ_DATA"
    )


def _refuse_empty(pairs: Iterator[Pair], where: str) -> Iterator[Pair]:
    first = next(pairs, None)
    if first is None:
        raise UserError(f"{where}: empty; a split needs at least one pair")
    yield first
    yield from pairs


def _parallel(source: Path, target: Path) -> Iterator[Pair]:
    sides = (read_lines(source), read_lines(target))
    for read, (one, other) in enumerate(zip_longest(*sides)):
        if one is None or other is None:
            lines = [read, read]
            longer = 0 if other is None else 1
            lines[longer] += 1 + sum(1 for _ in sides[longer])
            raise UserError(
                f"{source} has {lines[0]} lines and {target} has {lines[1]}; "
                "line n of one must be the translation of line n of the other"
            )
        yield one, other
