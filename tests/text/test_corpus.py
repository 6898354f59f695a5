"""What must hold of reading: nothing lost, nothing shifted, every mistake named in a line."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from seq2seq.config.data_section import DataConfig
from seq2seq.errors import UserError
from seq2seq.text.corpus import read_examples
from seq2seq.text.data_files import has_split, input_files
from seq2seq.text.example import Example
from seq2seq.text.lines import decode_lines

# Characters that other readers take for the end of a line, or trip over.
ODD = "\r\t\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff\"'\\{}, é日🎈"
ANY_LINE = st.text(st.characters(exclude_characters="\n", codec="utf-8") | st.sampled_from(ODD))
LINE = ANY_LINE.map(lambda text: text.rstrip("\r"))
CELL = LINE.map(lambda text: text.replace("\t", "").rstrip("\r"))


def examples_of(side: st.SearchStrategy[str]) -> st.SearchStrategy[list[Example]]:
    example = st.tuples(side, side).map(lambda sides: Example(*sides))
    return st.lists(example, min_size=1, max_size=6)


EXAMPLES = examples_of(LINE)
WITH_FILES = settings(max_examples=50)
PARALLEL = [Example("a", "b"), Example("c", "d"), Example("e", "f")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path_factory.getbasetemp() / "datasets-cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)


def data(**values: Any) -> DataConfig:
    return DataConfig.model_validate({"source": "de", "target": "en", **values})


def read(**values: Any) -> list[Example]:
    return list(read_examples(data(**values), "train"))


def complaint(**values: Any) -> str:
    """What a user is told; always one line."""
    with pytest.raises(UserError) as caught:
        read(**values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)
    return path


def write_parallel(
    folder: Path, examples: list[Example], ending: str = "", last: str = "\n"
) -> str:
    for side, language in enumerate(("de", "en")):
        lines = "\n".join(example[side] for example in examples) + last
        write(folder / f"train.{language}{ending}", lines)
    return str(folder / "train")


def translations(examples: list[Example]) -> dict[str, list[dict[str, str]]]:
    return {"translation": [{"de": source, "en": target} for source, target, *_ in examples]}


def unmarked(examples: list[Example]) -> list[Example]:
    """As a file without a byte order mark of its own begins: the first line loses one."""
    first = Example(*(text.removeprefix("\ufeff") for text in examples[0][:2]))
    return [first, *examples[1:]]


# --- what is written is read


@WITH_FILES
@given(EXAMPLES, st.sampled_from(["", ".gz"]))
def test_parallel_files_round_trip(examples: list[Example], ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        train = write_parallel(Path(folder), examples, ending)
        assert read(train=train) == unmarked(examples)
        assert read(train=[f"{train}.de{ending}", f"{train}.en{ending}"]) == unmarked(examples)


@WITH_FILES
@given(
    examples_of(CELL),
    st.sampled_from(["t.tsv", "t.tsv.gz"]),
    st.booleans(),
)
def test_tsv_round_trips(examples: list[Example], name: str, header: bool) -> None:
    rows = [f"{number}\t{target}\t{source}" for number, (source, target, *_) in enumerate(examples)]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, name)
        if header:
            write(table, "\n".join(["id\ten\tde", *rows]))
            assert read(train=str(table), quoting="none") == examples
        else:
            write(table, "\n".join(rows) + "\n")
            columns = {"source_column": 3, "target_column": 2}
            assert read(train=str(table), quoting="none", **columns) == examples


@WITH_FILES
@given(EXAMPLES, st.sampled_from(["t.jsonl", "t.jsonl.gz"]), st.booleans())
def test_jsonl_round_trips(examples: list[Example], name: str, ascii_only: bool) -> None:
    rows = [
        json.dumps({"id": 1, "pair": {"de": source}, "en": target}, ensure_ascii=ascii_only)
        for source, target, *_ in examples
    ]
    with tempfile.TemporaryDirectory() as folder:
        table = write(Path(folder, name), "\n".join(rows))
        assert read(train=str(table), source_column="pair.de") == examples


@WITH_FILES
@given(EXAMPLES)
def test_parquet_round_trips(examples: list[Example]) -> None:
    sides = {
        "de": [example.source for example in examples],
        "en": [example.target for example in examples],
    }
    nested = {"source_column": "translation.de", "target_column": "translation.en"}
    with tempfile.TemporaryDirectory() as folder:
        table = str(Path(folder, "t.parquet"))
        parquet.write_table(pa.table({"id": list(range(len(examples))), **sides}), table)
        assert read(train=table) == examples
        parquet.write_table(pa.table(translations(examples)), table, row_group_size=2)
        assert read(train=table, **nested) == examples


@settings(max_examples=8)
@given(examples=EXAMPLES)
def test_a_local_dataset_round_trips(examples: list[Example]) -> None:
    nested = {"source_column": "translation.de", "target_column": "translation.en"}
    with tempfile.TemporaryDirectory() as folder:
        parquet.write_table(pa.table(translations(examples)), Path(folder, "train.parquet"))
        assert read(hub=folder, **nested) == examples
    with tempfile.TemporaryDirectory() as folder:
        dataset = datasets.Dataset.from_dict(translations(examples))
        datasets.DatasetDict({"train": dataset}).save_to_disk(folder)
        assert read(hub=folder, **nested) == examples


def test_more_rows_than_are_converted_at_a_time(tmp_path: Path) -> None:
    examples = [Example(f"s {row}", f"t {row}") for row in range(2500)]
    table = pa.table(
        {
            "de": [example.source for example in examples],
            "en": [example.target for example in examples],
        }
    )
    parquet.write_table(table, tmp_path / "train.parquet")
    assert read(train=str(tmp_path / "train.parquet")) == examples
    assert read(hub=str(tmp_path)) == examples
    bad = table.append_column("fr", pa.array(["x"] * 2400 + [None] + ["x"] * 99))
    parquet.write_table(bad, tmp_path / "train.parquet")
    assert "row 2401" in complaint(train=str(tmp_path / "train.parquet"), target_column="fr")


@given(st.lists(ANY_LINE, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_a_newline_ends_a_line(rows: list[str], end: str) -> None:
    text = end.join(rows)
    *lines, last = text.removeprefix("\ufeff").split("\n")
    expected = [*lines, last] if last else lines  # after the last "\n" there is no line
    expected = [line.rstrip("\r") for line in expected]
    assert list(decode_lines(io.BytesIO(text.encode()), "in")) == expected
    if not text.startswith("\ufeff"):
        assert list(decode_lines(io.BytesIO(text.encode("utf-8-sig")), "in")) == expected


def test_line_ends_of_other_systems(tmp_path: Path) -> None:
    train = write_parallel(
        tmp_path, [Example("a\r", "b\x85\rc\r"), Example("\u2028", "\0")], last=""
    )
    assert read(train=train) == [Example("a", "b\x85\rc"), Example("\u2028", "\0")]
    for name, content in {
        "dos.tsv": "de\ten\r\na\tb\r\n",
        "half.tsv": "de\ten\na\tb\r\n",
        "dos.csv": "de,en\r\na,b\r\n",
        "quoted.tsv": '"de"\t"en"\r\n"a"\t"b"\r\n',
        "dos.jsonl": '{"de": "a\\r\\n", "en": "b\\r"}\r\n',
    }.items():
        write(tmp_path / name, content)
        assert read(train=str(tmp_path / name)) == [Example("a", "b")], name
    numbered = str(write(tmp_path / "numbered.tsv", "1\ta\tpos\r\n2\tb\tneg\r\n"))
    labels = read(train=numbered, source_column=2, target_column=3)
    assert labels == [Example("a", "pos"), Example("b", "neg")]


def test_a_newline_in_a_value_becomes_a_space(tmp_path: Path) -> None:
    write(tmp_path / "t.jsonl", '{"de": "a\\nb", "en": "c"}')
    assert read(train=str(tmp_path / "t.jsonl")) == [Example("a b", "c")]


# --- where a split is looked for


def test_files_come_before_the_hub(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    write(hub / "train.jsonl", '{"de": "from", "en": "the hub"}\n')
    train = str(tmp_path / "train")
    both = data(train=train, hub=str(hub))
    assert list(read_examples(both, "train")) == [Example("from", "the hub")]
    assert input_files(both, "train") == [hub / "train.jsonl"]
    write_parallel(tmp_path, PARALLEL)
    assert list(read_examples(both, "train")) == PARALLEL
    assert input_files(both, "train") == [tmp_path / "train.de", tmp_path / "train.en"]
    assert input_files(data(hub="owner/name"), "train") == []


def test_half_a_pair_of_files_is_refused_even_with_a_hub(tmp_path: Path) -> None:
    write(tmp_path / "train.de", "a\n")
    told = complaint(train=str(tmp_path / "train"), hub="owner/name")
    assert "train.en or" in told
    assert "train.en.gz" in told
    assert "train.de" not in told


def test_missing_files_name_all_that_was_looked_for(tmp_path: Path) -> None:
    told = complaint(train=str(tmp_path / "train"))
    for part in ("data.train", "train.de", "train.de.gz", "train.en", "$SEQ2SEQ_DATA"):
        assert part in told
    assert "t.tsv" in complaint(train=str(tmp_path / "t.tsv"))
    assert "here.x" in complaint(train=[str(tmp_path / "here.x"), str(tmp_path / "here.y")])
    with pytest.raises(UserError, match=r"x\.de"):
        input_files(data(train=str(tmp_path / "x")), "train")


def test_which_splits_there_are() -> None:
    files = data(train="x")
    assert has_split(files, "train")
    assert not has_split(files, "test")
    for refuses in (read_examples, input_files):
        with pytest.raises(UserError, match=r"data\.test is not set; .*data\.hub"):
            refuses(files, "test")
    hub = data(hub="owner/name", hub_splits={"train": "train[:90%]"})
    assert has_split(hub, "train")
    assert not has_split(hub, "valid")
    with pytest.raises(UserError, match=r"data\.valid is not set; .*data\.hub_splits\.valid"):
        read_examples(hub, "valid")


# --- mistakes in files


@pytest.mark.parametrize(("de", "en"), [(3, 4), (4, 3), (0, 2), (5, 1)])
def test_unequal_files_name_both_counts(tmp_path: Path, de: int, en: int) -> None:
    write(tmp_path / "train.de", "x\n" * de)
    write(tmp_path / "train.en", "x\n" * en)
    told = complaint(train=str(tmp_path / "train"))
    assert f"train.de has {de} lines" in told
    assert f"train.en has {en}" in told


def test_all_pairs_before_the_missing_line_are_read(tmp_path: Path) -> None:
    write(tmp_path / "train.de", "a\nb\nc\n")
    write(tmp_path / "train.en", "d\ne\n")
    examples = read_examples(data(train=str(tmp_path / "train")), "train")
    assert [next(examples), next(examples)] == [Example("a", "d"), Example("b", "e")]
    with pytest.raises(UserError, match="3 lines"):
        next(examples)


@pytest.mark.parametrize(
    "name", ["t.tsv", "t.tsv.gz", "t.jsonl", "t.jsonl.gz", "header.tsv", "mark.jsonl"]
)
def test_empty_tables(tmp_path: Path, name: str) -> None:
    content = {"header.tsv": "de\ten\n", "mark.jsonl": "\ufeff"}.get(name, "")
    told = complaint(train=str(write(tmp_path / name, content)))
    assert name in told
    assert "empty" in told


def test_empty_parallel_files_and_parquet(tmp_path: Path) -> None:
    train = write_parallel(tmp_path, [], last="")
    assert "train.de and" in complaint(train=train)
    assert "empty" in complaint(train=train)
    parquet.write_table(
        pa.table({"de": pa.array([], pa.string()), "en": []}), tmp_path / "t.parquet"
    )
    assert "empty" in complaint(train=str(tmp_path / "t.parquet"))


def test_bad_utf8_is_named_to_the_byte(tmp_path: Path) -> None:
    write(tmp_path / "train.de", "one\ntwo\nthree\n")
    write(tmp_path / "train.en", b"one\nd\xc3\xa9j\xe0\n")
    assert "train.en:2: not UTF-8 at byte 5 " in complaint(train=str(tmp_path / "train"))
    with pytest.raises(UserError, match=r"stdin:1: not UTF-8 at byte 4 .*0xff"):
        list(decode_lines(io.BytesIO(b"\xef\xbb\xbf\xff\n"), "stdin"))


@pytest.mark.parametrize("damage", ["cut", "bits", "plain"])
def test_broken_gzip(tmp_path: Path, damage: str) -> None:
    raw = bytearray(gzip.compress(b"".join(b"line %d\n" % (n * n) for n in range(3000))))
    if damage == "bits":
        raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "train.de.gz").write_bytes({"cut": raw[:-20], "plain": b"text\n"}.get(damage, raw))
    write(tmp_path / "train.en", "x\n" * 3000)
    told = complaint(train=str(tmp_path / "train"))
    assert "train.de.gz: broken gzip" in told or (damage == "bits" and "train.de.gz:" in told)


def test_tsv_columns(tmp_path: Path) -> None:
    table = str(write(tmp_path / "t.tsv", "german\tenglish\na\tb\nc\n"))
    told = complaint(train=table, source_column="germn", target_column="english")
    for part in ("t.tsv", "'germn'", "'german', 'english'", "did you mean 'german'?"):
        assert part in told
    told = complaint(train=table, source_column="german", target_column="english")
    assert "t.tsv:3: the line has 1 column, but needs at least 2" in told
    assert "t.tsv:1: " in complaint(train=table, source_column=1, target_column=3)
    assert "start at 1" in complaint(train=table, source_column=0, target_column=1)
    assert "both be names" in complaint(train=table, source_column=1, target_column="english")
    twice = str(write(tmp_path / "twice.tsv", "de\ten\ten\n"))
    assert "2 columns are named 'en'" in complaint(train=twice)


def test_numbers_are_for_tsv(tmp_path: Path) -> None:
    table = str(write(tmp_path / "t.jsonl", '{"de": "a", "en": "b"}\n'))
    assert "use two numbers only for a TSV or CSV file" in complaint(
        train=table, source_column=1, target_column=2
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"de": "a", "en": ', "invalid JSON"),
        ("", "invalid JSON"),
        ("[" * 100_000, "invalid JSON"),
        ('["a", "b"]', "write a JSON object, not list"),
        ('{"de": "a", "eng": "b"}', "no column 'en'; existing columns: 'de', 'eng'"),
        ('{"de": "a", "en": {"x": "b"}}', "existing columns: 'de', 'en.x'"),
        ('{"de": "a", "en": null}', "'en' is null"),
        ('{"de": NaN, "en": "b"}', "'de' is nan"),
        ('{"de": ["a", null], "en": "b"}', "'de' is a list that contains null"),
        ('{"de": ["a b"], "en": "b"}', "'a b' is not a single word"),
        ('{"de": "\\ud83d", "en": "b"}', "half a surrogate pair"),
    ],
)
def test_mistakes_in_jsonl(tmp_path: Path, line: str, words: str) -> None:
    table = write(tmp_path / "t.jsonl", '{"de": "a", "en": "b"}\n' + line + "\n")
    told = complaint(train=str(table))
    assert "t.jsonl:2: " in told
    assert words in told


def test_mistakes_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns: dict[str, Any] = {"de": ["a", "b"], "en": ["c", None], "year": [1, 2]}
    columns["bad"] = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")]
    )
    parquet.write_table(pa.table(columns), path)
    table = str(path)
    assert "t.parquet, row 2: column 'en' is null" in complaint(train=table)
    assert read(train=table, target_column="year") == [Example("a", "1"), Example("b", "2")]
    assert "invalid UTF-8 in rows 1 to 2" in complaint(train=table, target_column="bad")
    told = complaint(train=table, target_column="yaer")
    assert "'de', 'en', 'year', 'bad'" in told
    assert "did you mean 'year'?" in told
    for content in ("no parquet at all", ""):
        assert "t.parquet: cannot be read as Parquet" in complaint(train=str(write(path, content)))


# --- datasets


def test_a_jsonl_folder_and_its_mistakes(tmp_path: Path) -> None:
    rows = ['{"id": 1, "translation": {"de": "a", "en": "b"}}', '{"id": 2, "translation": null}']
    write(tmp_path / "train.jsonl", rows[0] + "\n")
    write(tmp_path / "test.jsonl", "\n".join(rows) + "\n")
    folder = data(hub=str(tmp_path), source_column="translation.de", target_column="translation.en")
    assert list(read_examples(folder, "train")) == [Example("a", "b")]
    assert input_files(folder, "train") == [tmp_path / "test.jsonl", tmp_path / "train.jsonl"]
    with pytest.raises(UserError, match=r"'test', row 2: column 'translation\.de' is null"):
        list(read_examples(folder, "test"))
    with pytest.raises(UserError, match=r"'validation'.* one of \['train', 'test'\]"):
        list(read_examples(folder, "valid"))
    told = complaint(hub=str(tmp_path), source_column="translation.dee")
    for part in (str(tmp_path), "split 'train'", "'translation.dee'", "mean 'translation.de'?"):
        assert part in told
    assert "Available: ['default']" in complaint(hub=str(tmp_path), hub_config="fr-en")


def test_saved_datasets_and_their_mistakes(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_dict({"de": ["a", "b", "c"], "en": ["d", "e", "f"]})
    dataset.select([2, 0]).save_to_disk(tmp_path / "one")
    one = data(hub=str(tmp_path / "one"))
    assert list(read_examples(one, "train")) == [Example("c", "f"), Example("a", "d")]
    with pytest.raises(UserError, match="'validation': no such split; choose one of 'train'"):
        list(read_examples(one, "valid"))
    parts = datasets.DatasetDict({"dev": dataset, "heldout": dataset.select([1])})
    parts.save_to_disk(tmp_path / "two")
    two = data(hub=str(tmp_path / "two"), hub_splits={"valid": "dev", "test": "heldout"})
    assert list(read_examples(two, "valid")) == [
        Example("a", "d"),
        Example("b", "e"),
        Example("c", "f"),
    ]
    assert list(read_examples(two, "test")) == [Example("b", "e")]
    told = complaint(hub=str(tmp_path / "two"))
    assert "choose one of 'dev', 'heldout'" in told


def test_folders_that_cannot_be_loaded(tmp_path: Path) -> None:
    assert "data files" in complaint(hub=str(tmp_path))
    write(tmp_path / "train.jsonl", "{nonsense")
    told = complaint(hub=str(tmp_path))
    assert "cannot be loaded" in told
    assert "JSON parse error" in told
    write(tmp_path / "state.json", "{}")
    assert "cannot be loaded" in complaint(hub=str(tmp_path))


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    told = complaint(hub="nobody/nothing-of-this-name")
    for part in ("nobody/nothing-of-this-name", "cannot be reached", "$SEQ2SEQ_DATA"):
        assert part in told


def test_the_slow_libraries_are_imported_when_needed() -> None:
    code = "import sys, seq2seq.text.corpus; print({'datasets', 'pyarrow'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
