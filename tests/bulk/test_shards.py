"""Shards: what is read, what is written, and when a finished one is kept. Without a cluster."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import json
import lzma
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import seq2seq
from seq2seq.bulk.shards import Shard, find_shards
from seq2seq.bulk.worker import BulkOptions, ShardTranslator
from seq2seq.decoding.options import GreedyOptions
from seq2seq.errors import UserError
from seq2seq.text.lines import read_lines


@pytest.fixture
def options(trained: Path) -> BulkOptions:
    return BulkOptions(
        folders=(trained / "model",),
        search=GreedyOptions(),
        source=seq2seq.SourceOptions(),
        column="en",
        new_column="translated",
    )


@pytest.fixture(scope="module")
def expected(trained: Path, toy) -> dict[str, str]:
    """The translation of each line of the toy's test set."""
    lines = toy.lines("test.en")
    translator = seq2seq.Translator.load(trained / "model", device="cpu")
    return dict(zip(lines, translator.translate(lines, beam=1), strict=True))


def shard(folder: Path, name: str) -> Shard:
    found = {shard.name: shard for shard in find_shards(folder / "in", folder / "out")}
    return found[name]


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


PACKERS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_text_keeps_its_lines_and_its_compression(suffix, options, expected, tmp_path):
    texts = [*expected, "", " ", *list(expected)[:3]]
    content = ("\n".join(texts) + "\n").encode()
    write(tmp_path / "in" / "deep" / f"a.en{suffix}", PACKERS[suffix](content))
    result = ShardTranslator(options).run(shard(tmp_path, f"deep/a.en{suffix}"))
    assert (result.lines, result.error) == (len(texts), "")
    written = list(read_lines(tmp_path / "out" / "deep" / f"a.en{suffix}"))
    assert written == [expected.get(text, "") for text in texts]


def test_invalid_bytes_and_a_missing_line_end_are_a_line(options, expected, tmp_path):
    first = next(iter(expected))
    write(tmp_path / "in" / "a", f"{first}\n".encode() + b"\xff\xfe\x00\n\n" + b"the cat")
    result = ShardTranslator(options).run(shard(tmp_path, "a"))
    assert result.lines == 4
    assert "line 2: invalid UTF-8; invalid bytes are read as U+FFFD" in result.notes
    lines = (tmp_path / "out" / "a").read_bytes().split(b"\n")
    assert (len(lines), lines[0].decode(), lines[2]) == (5, expected[first], b"")


def test_parquet_gets_one_more_column(options, expected, tmp_path):
    texts: list[str | None] = [*expected, "", None, "the\ncat"]
    table = pa.table(
        {
            "id": pa.array(range(len(texts)), pa.int16()),
            "en": pa.array(texts, pa.large_string()),
            "pair": [{"de": "x", "en": text} for text in texts],
        }
    )
    path = write(tmp_path / "in" / "a.parquet", b"")
    parquet.write_table(table, path, row_group_size=7)
    result = ShardTranslator(options).run(shard(tmp_path, "a.parquet"))
    assert (result.lines, result.error) == (len(texts), "")
    written = parquet.read_table(tmp_path / "out" / "a.parquet")
    assert written.drop_columns("translated").equals(table)
    found = written.column("translated").to_pylist()
    assert found[:-3] == list(expected.values())
    assert found[-3:-1] == ["", None]
    assert "\n" not in found[-1]
    assert parquet.ParquetFile(tmp_path / "out" / "a.parquet").num_row_groups == -(-len(texts) // 7)
    nested = dataclasses.replace(options, column="pair.en", new_column="fr")
    again = ShardTranslator(nested).run(shard(tmp_path, "a.parquet"))
    assert again.stale == "changed since: columns"
    assert parquet.read_table(tmp_path / "out" / "a.parquet").column("fr").to_pylist() == found


def test_an_empty_file_stays_empty(options, tmp_path):
    write(tmp_path / "in" / "a.gz", gzip.compress(b""))
    schema = pa.schema([("en", pa.string())])
    parquet.write_table(schema.empty_table(), tmp_path / "in" / "b.parquet")
    translator = ShardTranslator(options)
    assert [translator.run(shard(tmp_path, name)).lines for name in ("a.gz", "b.parquet")] == [0, 0]
    assert gzip.decompress((tmp_path / "out" / "a.gz").read_bytes()) == b""
    assert parquet.read_table(tmp_path / "out" / "b.parquet").num_rows == 0


def test_a_finished_shard_is_kept_until_what_made_it_changes(options, trained, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(trained / "model", model)
    options = dataclasses.replace(options, folders=(model,))
    path = write(tmp_path / "in" / "a", b"the cat\n")
    output, receipt = tmp_path / "out" / "a", tmp_path / "out" / "_receipts" / "a.json"

    def run(**changes: object) -> str:
        changed = dataclasses.replace(options, **changes)  # type: ignore[arg-type]
        result = ShardTranslator(changed).run(shard(tmp_path, "a"))
        assert not result.error
        return "kept" if result.done_before else result.stale

    assert [run(), run(), run(batch_size=3, column="x")] == ["", "kept", "kept"]
    path.write_bytes(b"the dog\n")
    assert [run(), run()] == ["changed since: input", "kept"]
    assert run(search=GreedyOptions(max_length=3)) == "changed since: search"
    assert run() == "changed since: search"
    (model / "README.md").write_text("another card")
    assert run() == "kept"
    with (model / "config.toml").open("a") as file:
        file.write("# a comment\n")
    (model / "manifest.json").unlink()
    assert [run(), run()] == ["changed since: model", "kept"]
    output.write_bytes(b"le chat")
    assert [run(), run()] == ["its output was changed", "kept"]
    output.unlink()
    assert [run(), run()] == ["its output is missing", "kept"]
    receipt.write_text("{")
    assert [run(), run()] == ["its receipt is damaged", "kept"]
    receipt.unlink()
    assert [run(), run()] == ["its receipt is missing", "kept"]
    assert json.loads(receipt.read_text())["version"] == seq2seq.__version__


def test_files_of_a_dead_worker_are_deleted(options, tmp_path):
    write(tmp_path / "in" / "a[1]", b"the cat\n")
    left = write(tmp_path / "out" / ".a[1].elsewhere-17.part", b"le")
    other = write(tmp_path / "out" / ".a1.elsewhere-17.part", b"le")
    ShardTranslator(options).run(shard(tmp_path, "a[1]"))
    assert (left.exists(), other.exists()) == (False, True)


def test_notes_on_many_lines_are_in_the_receipt(options, tmp_path):
    write(tmp_path / "in" / "a", b"\xff cat\n" * 12)
    result = ShardTranslator(options).run(shard(tmp_path, "a"))
    assert len(result.notes) == 10
    notes = json.loads((tmp_path / "out" / "_receipts" / "a.json").read_text("utf-8"))["notes"]
    assert len(notes) == 10 + result.more_notes >= 12


def test_a_shard_that_cannot_be_read_says_why(options, tmp_path):
    write(tmp_path / "in" / "a.gz", gzip.compress(b"the cat\n" * 99)[:-9])
    write(tmp_path / "in" / "b", b"PAR1")
    write(tmp_path / "in" / "c.parquet", b"PAR1")
    parquet.write_table(pa.table({"en": [1], "fr": ["x"]}), tmp_path / "in" / "d.parquet")
    parquet.write_table(pa.table({"eng": ["x"]}), tmp_path / "in" / "e.parquet")
    parquet.write_table(pa.table({"en": ["x"], "fr": ["x"]}), tmp_path / "in" / "f.parquet")
    translator = ShardTranslator(dataclasses.replace(options, new_column="fr"))
    errors = [translator.run(shard(tmp_path, name)).error for name in ("a.gz", "b", "c.parquet")]
    assert "a.gz: broken gzip file" in errors[0]
    assert "b: the text is a Parquet file" in errors[1]
    assert "c.parquet: cannot be read as Parquet" in errors[2]
    translator = ShardTranslator(options)
    errors = [translator.run(shard(tmp_path, f"{name}.parquet")).error for name in "de"]
    assert "the column 'en' has type int64, not string" in errors[0]
    assert "no column 'en'; existing columns: 'eng'; choose one with --column" in errors[1]
    translator = ShardTranslator(dataclasses.replace(options, new_column="fr"))
    error = translator.run(shard(tmp_path, "f.parquet")).error
    assert "the column 'fr' already exists; choose another name for the new" in error
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_translated_is_one_line(options, tmp_path):
    (tmp_path / "in" / "_skipped").mkdir(parents=True)
    write(tmp_path / "in" / "_skipped" / "a", b"x\n")
    write(tmp_path / "in" / ".hidden", b"x\n")

    def refused(source: str, output: str) -> str:
        with pytest.raises(UserError) as raised:
            find_shards(tmp_path / source, tmp_path / output)
        return str(raised.value)

    assert "in: the folder holds no files to translate" in refused("in", "out")
    assert "none: does not exist" in refused("none", "out")
    assert "is not a folder" in refused("in/.hidden", "out")
    for output in ("in", "in/out", "."):
        assert "must not contain each other" in refused("in", output)
    for name in ("a.csv", "a.jsonl.gz", "a.zip"):
        path = write(tmp_path / "in" / name, b"")
        assert f"{name}: bulk translation does not read the format" in refused("in", "out")
        path.unlink()
    write(tmp_path / "in" / "small", b"x\n")
    write(tmp_path / "in" / "large", b"x\nx\n")
    assert "out: is not a folder" in refused("in", str(write(tmp_path / "out", b"")))
    found = find_shards(tmp_path / "in", tmp_path / "other")
    assert [shard.name for shard in found] == ["large", "small"]
