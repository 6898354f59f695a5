"""Raw parallel text, read strictly and one pair at a time: no line is lost, added or shifted.

Whatever cannot be read as it stands is refused with its file and line. Two things alone are mended
in silence: a byte order mark at the beginning of a file is dropped, and a newline inside a value of
a table is a space. Memory does not grow with the corpus.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from seq2seq.config import Data
from seq2seq.errors import UserError, nearest

if TYPE_CHECKING:  # both are slow to import, and many commands need neither
    import datasets
    import pyarrow as pa

Pair = tuple[str, str]
Split = Literal["train", "valid", "test"]
_Columns = tuple[str | int, str | int]  # source and target, by name or counted from 1

_TABLES = (".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")
_SAVED_TO_DISK = ("dataset_dict.json", "state.json")  # what datasets' save_to_disk leaves
_ROWS = 1024  # of an Arrow table that are turned into Python strings at a time


def read_pairs(data: Data, split: Split) -> Iterator[Pair]:
    r"""The pairs of a split, (source, target), in the order of the file and with nothing dropped.

    Reads the files that `data.<split>` names, or `data.hub` where it names none or they are not
    there. Neither side holds a "\n": one inside a JSON, Parquet or hub value becomes a space.

    Raises UserError at once for a split that is not set or not found; while iterating for an
    empty or broken file, bad UTF-8, files of different length, a column that is not there or a
    value that is no text, and a dataset that cannot be had.
    """
    files = _find_files(data, split)
    columns = (
        data.source if data.source_column is None else data.source_column,
        data.target if data.target_column is None else data.target_column,
    )
    if not files:
        where = f"data.hub {data.hub!r}, split {data.hub_splits[split]!r}"
        pairs = _hub(data, data.hub_splits[split], _names(columns, where), where)
    elif len(files) == 2:
        where = f"{files[0]} and {files[1]}"
        pairs = _parallel(*files)
    else:
        path, where = files[0], str(files[0])
        if where.endswith((".tsv", ".tsv.gz")):
            pairs = _tsv(path, columns)
        else:
            reader = _parquet if path.suffix == ".parquet" else _jsonl
            pairs = reader(path, _names(columns, where))
    return _refuse_empty(pairs, where)


def has_split(data: Data, split: Split) -> bool:
    """Whether the configuration names such a split: as files, or as one of its hub dataset's."""
    return getattr(data, split) is not None or (data.hub is not None and split in data.hub_splits)


def input_files(data: Data, split: Split) -> list[Path]:
    """The local files that hold a split, to hash what artifacts were made from.

    Where the split is read from `data.hub`: all files of it if it is a local folder, else none.
    Raises UserError for a split that is not set or not found.
    """
    files = _find_files(data, split)
    if not files and data.hub is not None:
        return sorted(path for path in Path(data.hub).rglob("*") if path.is_file())
    return files


def read_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    r"""The lines of a stream without their "\n", which alone ends a line; the last may lack it.

    "\r", U+2028, U+0085 and NUL stay inside a line; a byte order mark at the beginning is dropped.
    Raises UserError for bytes that are not UTF-8, with `name`, line and byte, counted from 1.
    """
    for number, line in enumerate(stream, 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}:{number}: not UTF-8 at byte {error.start + 1} of the line "
                f"(0x{line[error.start]:02x}); convert it, for example with iconv -t UTF-8"
            ) from None
        if number == 1:
            text = text.removeprefix("\ufeff")
            if not text:  # a mark and nothing after it, not even the end of a line
                return
        yield text.removesuffix("\n")


def drop_unusable(
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


def fits(
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


def _find_files(data: Data, split: Split) -> list[Path]:
    """Two parallel files, one table, or nothing where the hub is to be read."""
    value: str | list[str] | None = getattr(data, split)
    if value is None:
        if not has_split(data, split):
            also = "data.hub" if data.hub is None else f"data.hub_splits.{split}"
            raise UserError(f"data.{split} is not set; name its files there, or set {also}")
        return []
    if isinstance(value, list):
        wanted = [[Path(name)] for name in value]
    elif value.endswith(_TABLES):
        wanted = [[Path(value)]]
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


def _file_lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield from read_lines(cast(IO[bytes], stream), str(path))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: broken gzip: {error}; make or fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def _parallel(source: Path, target: Path) -> Iterator[Pair]:
    sides = (_file_lines(source), _file_lines(target))
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


def _names(columns: _Columns, where: str) -> tuple[str, str]:
    source, target = columns
    if isinstance(source, str) and isinstance(target, str):
        return source, target
    raise UserError(
        f"{where}: data.source_column and data.target_column must both be names; "
        "numbers are for TSV without a header, and then for both"
    )


def _check_columns(names: Iterable[str], there: list[str], where: str) -> None:
    for name in names:
        if name not in there:
            raise UserError(
                f"{where}: no column {name!r}, only {', '.join(map(repr, there)) or 'none'}; set "
                f"data.source_column and data.target_column{nearest(name, there)}"
            )
        if there.count(name) > 1:
            raise UserError(f"{where}: {there.count(name)} columns {name!r}; rename all but one")


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        raise UserError(f"{where}: column {column!r} is {kind}, not text; mend or remove the row")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can spell half a character: "\ud83d"
        raise UserError(f"{where}: column {column!r} holds half a surrogate pair") from None
    return value.replace("\n", " ")


def _tsv(path: Path, columns: _Columns) -> Iterator[Pair]:
    lines = enumerate(_file_lines(path), 1)
    source, target = columns
    if isinstance(source, int) and isinstance(target, int):
        if min(source, target) < 1:
            raise UserError(f"{path}: column {min(source, target)}; columns count from 1")
        first, second = source - 1, target - 1
    else:
        names = _names(columns, str(path))
        _, header = next(lines, (0, None))
        if header is None:
            return
        there = header.removesuffix("\r").split("\t")
        _check_columns(names, there, str(path))
        first, second = map(there.index, names)
    needed = max(first, second) + 1
    for number, line in lines:
        row = line.split("\t")
        if len(row) < needed:
            raise UserError(
                f"{path}:{number}: {len(row)} columns where at least {needed} are needed; "
                "one tab separates two columns"
            )
        yield row[first], row[second]


def _jsonl(path: Path, names: tuple[str, str]) -> Iterator[Pair]:
    for number, line in enumerate(_file_lines(path), 1):
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: invalid JSON: {error}; write one object a line") from None
        if not isinstance(record, dict):
            raise UserError(f"{where}: a JSON {type(record).__name__}; write one object a line")
        values = dict(_dotted(record))
        _check_columns(names, list(values), where)
        source, target = (_text(values[name], name, where) for name in names)
        yield source, target


def _dotted(record: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", below) for inner, below in _dotted(value))
        else:
            yield key, value


def _parquet(path: Path, names: tuple[str, str]) -> Iterator[Pair]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            _check_columns(names, _flat(file.schema_arrow.empty_table()).column_names, str(path))
            batches = file.iter_batches(_ROWS, columns=list(names))
            tables = (pa.Table.from_batches([batch]) for batch in batches)
            yield from _table_pairs(tables, names, str(path))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None


def _hub(data: Data, split: str, names: tuple[str, str], where: str) -> Iterator[Pair]:
    dataset = _load_hub(str(data.hub), data.hub_config, split, where)
    schema = dataset.features.arrow_schema
    _check_columns(names, _flat(schema.empty_table()).column_names, where)
    # As Arrow tables: rows come from the memory-mapped file, other columns are never decoded.
    yield from _table_pairs(dataset.with_format("arrow").iter(_ROWS), names, where)


def _load_hub(hub: str, config: str | None, split: str, where: str) -> datasets.Dataset:
    import datasets

    try:
        if not any((Path(hub) / mark).is_file() for mark in _SAVED_TO_DISK):
            return datasets.load_dataset(hub, config, split=split)
        saved = datasets.load_from_disk(hub)
    except ConnectionError:
        raise UserError(
            f"{where}: the Hugging Face hub cannot be reached; check the network, or put the "
            "files under $SEQ2SEQ_DATA and name them in [data]"
        ) from None
    # The library lets through whatever its network, file systems and formats raise; nearly all
    # of it is about the name that the user gave, and the cause stays attached for the rest.
    except Exception as error:
        causes = [_first_line(cause) for cause in (error, error.__cause__) if cause is not None]
        raise UserError(f"{where}: cannot be loaded: {': '.join(causes)}") from error
    if isinstance(saved, datasets.Dataset):
        saved = {str(saved.split or "train"): saved}
    if split not in saved:
        there = ", ".join(map(repr, saved))
        raise UserError(f"{where}: no such split, only {there}; set data.hub_splits")
    return saved[split]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _flat(table: pa.Table) -> pa.Table:
    """The table with the fields of its structs as columns, named with dots."""
    import pyarrow as pa

    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table


def _table_pairs(tables: Iterable[pa.Table], names: Sequence[str], where: str) -> Iterator[Pair]:
    before = 0
    for table in map(_flat, tables):
        try:
            sides = [table.column(name).to_pylist() for name in names]
        except UnicodeDecodeError:
            rows = f"rows {before + 1} to {before + table.num_rows}"
            raise UserError(f"{where}: not UTF-8 somewhere in {rows}") from None
        for row, values in enumerate(zip(*sides, strict=True), before + 1):
            place = f"{where}, row {row}"
            source, target = (_text(*each, place) for each in zip(values, names, strict=True))
            yield source, target
        before += table.num_rows
