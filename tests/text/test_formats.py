"""The formats in which people have their data: each is read as it is meant, or refused."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tempfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.config.data_paths import find_data
from seq2seq.config.data_section import DataConfig
from seq2seq.errors import UserError
from seq2seq.text.conllu import read_conllu
from seq2seq.text.corpus import read_examples
from seq2seq.text.data_files import input_files
from seq2seq.text.example import Example
from seq2seq.text.lines import decode_lines
from seq2seq.text.memory import MemoryData
from seq2seq.text.values import say_once


def data(**values: Any) -> DataConfig:
    return DataConfig.model_validate({"source": "de", "target": "en", **values})


def read(path: Path, **values: Any) -> list[tuple[str, str]]:
    examples = read_examples(data(train=str(path), **values), "train")
    return [(example.source, example.target) for example in examples]


def complaint(path: Path, **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(path, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


PACKERS = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


def pack(path: Path, content: str) -> Path:
    """Write a compressed file. The ending of its name says how."""
    raw = content.encode()
    if path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(raw)
        return path
    return write(path, PACKERS[path.suffix](raw))


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    say_once.cache_clear()
    caplog.set_level("INFO")
    return caplog


# --- compressed files


@pytest.mark.parametrize("suffix", [*PACKERS, ".zst"])
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    rows = [(f"q {n * n}", f"z {n}") for n in range(3000)]
    for side, name in enumerate(("de", "en")):
        pack(tmp_path / f"train.{name}{suffix}", "".join(f"{row[side]}\n" for row in rows))
    assert read(tmp_path / "train") == rows
    found = find_data(data(train="train"), tmp_path)
    assert [path.name for path in input_files(found, "train")] == [
        f"train.de{suffix}",
        f"train.en{suffix}",
    ]
    for name, text in {
        "t.tsv": "de\ten\n" + "".join(f"{a}\t{b}\n" for a, b in rows),
        "t.csv": "de,en\n" + "".join(f"{a},{b}\n" for a, b in rows),
        "t.jsonl": "".join(json.dumps({"de": a, "en": b}) + "\n" for a, b in rows),
    }.items():
        packed = pack(tmp_path / f"{name}{suffix}", text)
        assert read(packed) == rows
        assert read(tmp_path / name) == rows  # the name without the ending is enough
        packed.write_bytes(packed.read_bytes()[:-9])
        told = complaint(packed)
        assert f"{packed}: broken " in told
        packed.write_bytes(b"de\ten\na\tb\n")
        assert f"{packed}: broken " in complaint(packed)


@pytest.mark.parametrize("suffix", [*PACKERS, ".zst"])
def test_packed_bytes_are_not_text(tmp_path: Path, suffix: str) -> None:
    packed = pack(tmp_path / f"a{suffix}", "one\ntwo\n")
    hidden = packed.rename(tmp_path / "train.tsv")
    told = complaint(hidden)
    assert f"{hidden}: the text is compressed with" in told
    assert suffix in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Straße\n".encode("utf-16"), "encoded in UTF-16"),
        ("a line\n".encode("utf-16-le") * 3, "encoded in UTF-16"),
        ("a line\n".encode("utf-16-be") * 3, "encoded in UTF-16"),
        (b"PK\x03\x04\x14\0", "a ZIP archive"),
        (b"PAR1\x15\x04", "a Parquet file"),
    ],
)
def test_bytes_of_other_formats(content: bytes, words: str) -> None:
    with pytest.raises(UserError, match=f"here: the text is {words}"):
        list(decode_lines(io.BytesIO(content), "here"))


def test_text_is_not_taken_for_another_format() -> None:
    for line in ("BZh is a name", "PKK", "\0", "a\0b\0", "PAR2", "ÿþ"):
        assert list(decode_lines(io.BytesIO(line.encode()), "here")) == [line]


def test_a_configuration_with_a_byte_order_mark(tmp_path: Path) -> None:
    text = '[data]\r\nsource = "de"\r\ntarget = "en"\r\ntrain = "a"\r\nvalid = "b"\r\n'
    text += "[training]\r\nepochs = 1\r\n"
    path = write(tmp_path / "a.toml", text.encode("utf-8-sig"))
    assert toml.load_config(path).data.source == "de"
    write(path, text.encode("utf-16"))
    with pytest.raises(UserError, match=r"a\.toml: the file is encoded in UTF-16"):
        toml.load_config(path)


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.jsonl", "q.tsv"])
def test_a_byte_order_mark_is_not_part_of_a_column(tmp_path: Path, name: str) -> None:
    text = {"t.tsv": "de\ten\na\tb", "t.csv": "de,en\na,b", "t.jsonl": '{"de": "a", "en": "b"}'}
    content = text.get(name, '"de"\t"en"\n"a"\t"b"')
    assert read(write(tmp_path / name, content.encode("utf-8-sig"))) == [("a", "b")]


# --- CSV and quoted TSV

CELL = st.text(st.sampled_from('ab ,;"\n\t🎈é'), max_size=8)
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6)


def as_lines(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(a.rstrip("\n").replace("\n", " "), b.rstrip("\n").replace("\n", " ")) for a, b in rows]


@settings(max_examples=60)
@given(
    ROWS,
    st.sampled_from([("t.csv", ","), ("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", "\t")]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read(rows, kind, quoting, end) -> None:
    name, delimiter = kind
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([("id", "de", "en"), *((n, *row) for n, row in enumerate(rows))])
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, name), stream.getvalue())
        assert read(path, quoting="csv") == as_lines(rows)
        assert name == "t.tsv" or read(path) == as_lines(rows)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('de\ten\n"He said ""hi"""\tb\nc\td\n', [('He said "hi"', "b"), ("c", "d")]),
        ('de\ten\n"a\tb"\tc\n', [("a\tb", "c")]),
        ('de\ten\n"a\nb"\tc\n', [("a b", "c")]),
        ('"de"\t"en"\n"a"\t"b"\n', [("a", "b")]),
        ('"de"\t"n"\t"en"\n"a"\t3\t"b"\n', [("a", "b")]),
        # These are text: a mark within a value, a value that is cut, all as people type it.
        ('de\ten\n"Hi"\t"Hallo"\n', [('"Hi"', '"Hallo"')]),
        (
            'de\ten\n"He said ""hi"""\tb\n5" pipe\td\n',
            [('"He said ""hi"""', "b"), ('5" pipe', "d")],
        ),
        ('de\ten\n"Go\tb\non"\td\n', [('"Go', "b"), ('on"', "d")]),
        ('de\ten\n"Go" he said\tb\n', [('"Go" he said', "b")]),
        ('de\ten\n"Go\tb"\nx\ty\n', [('"Go', 'b"'), ("x", "y")]),
    ],
)
def test_quoted_tsv_is_detected(tmp_path: Path, said, text: str, rows: list) -> None:
    path = write(tmp_path / "t.tsv", text)
    assert read(path) == rows
    assert read(path) == rows
    quoted = not any('"' in cell for row in rows for cell in row) or 'said "hi"' in rows[0][0]
    told = [record.getMessage() for record in said.records]
    assert sum("the values are quoted" in line for line in told) == quoted
    if text.startswith("de") and "\n" not in text.split('"')[1]:
        assert read(path, quoting="none")[0][0] in text


def test_mistakes_in_csv(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'de,en\na,b\n"c,d\ne,f\n')
    assert f"{path}:3: the row that starts here is not valid CSV" in complaint(path)
    write(path, 'de,en\n"a\nb",c\n"d"e,f\n')
    assert f"{path}:4: the row that starts here is not valid CSV" in complaint(path)
    write(path, "de,en\na,b\nc\n")
    assert f"{path}:3: the line has 1 column, but needs at least 2; separate" in complaint(path)
    write(path, "german,english\na,b\n")
    assert "'german', 'english'" in complaint(path)
    assert read(path, source_column="german", target_column="english") == [("a", "b")]
    assert read(path, source_column=2, target_column=1) == [("english", "german"), ("b", "a")]
    assert "there are no examples" in complaint(write(path, ""))


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    for name, comma in (("t.csv", ","), ("t.tsv", "\t")):
        path = write(tmp_path / name, f"de{comma}en\na{comma}b\n\n\n")
        assert read(path) == [("a", "b")]
        assert read(path, source="", target="de") == [("", "a")]
        write(path, f"de{comma}en\na{comma}b\n\nc{comma}d\n")
        assert f"{path}:3: the line has 1 column, but needs at least 2" in complaint(path)
        assert f"{path}:3: the line has 1 column, but needs at least 2" in complaint(
            path, source="", target="de"
        )
        write(path, "de\na\n\nb\n")  # a blank line is a row of a single column
        assert read(path, source="", target="de") == [("", "a"), ("", ""), ("", "b")]


# --- a table without the ending of one


def test_pairs_in_a_txt_file(tmp_path: Path) -> None:
    path = write(tmp_path / "fra.txt", "Go.\tVa !\tCC-BY\nHi.\tSalut.\tCC-BY\n")
    told = complaint(path)
    assert f"{path}: no column 'de'; existing columns: 'Go.', 'Va !'" in told
    assert "numbers such as 1 and 2 if a TSV or CSV file has no header" in told
    assert read(path, source_column=1, target_column=2) == [("Go.", "Va !"), ("Hi.", "Salut.")]
    assert read(write(path, "de\ten\r\na\tb\r\n")) == [("a", "b")]
    assert "its first line has no tab" in complaint(write(path, "a line of text\n"))
    pack(tmp_path / "deu.txt.gz", "de\ten\na\tb\n")
    assert read(tmp_path / "deu.txt") == [("a", "b")]
    text = data(source="", train=str(path))  # a language model reads the lines
    assert [example.target for example in read_examples(text, "train")] == ["a line of text"]


# --- numbers, labels and lists


def test_values_that_are_not_text(tmp_path: Path, said) -> None:
    rows = [{"de": "x", "en": 1}, {"de": 2.0, "en": True}, {"de": ["a", "b"], "en": [3, 0]}]
    path = write(tmp_path / "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert read(path) == [("x", "1"), ("2", "true"), ("a b", "3 0")]
    read(path)
    told = [record.getMessage() for record in said.records]
    assert [line for line in told if "'en' has type int" in line] == [
        f"{path}: column 'en' has type int; its values are read as text"
    ]


FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["neg", "very good"]),
        "tokens": datasets.Sequence(datasets.Value("string")),
        "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"])),
        "deep": {"label": datasets.ClassLabel(names=["no", "yes"])},
        "stars": datasets.Value("int32"),
        "vector": datasets.Sequence(datasets.Value("float32")),
    }
)
DATASET = datasets.Dataset.from_dict(
    {
        "text": ["a", "b"],
        "label": [1, 0],
        "tokens": [["Ann", "ran"], ["Go"]],
        "tags": [[1, 0], [0]],
        "deep": [{"label": 1}, {"label": 0}],
        "stars": [5, 1],
        "vector": [[0.5, -1.0], [2.0, 0.25]],
    },
    features=FEATURES,
)
COLUMNS = [
    ("text", "label", [("a", "very_good"), ("b", "neg")]),
    ("text", "deep.label", [("a", "yes"), ("b", "no")]),
    ("text", "stars", [("a", "5"), ("b", "1")]),
    ("tokens", "tags", [("Ann ran", "B-PER O"), ("Go", "O")]),
    ("vector", "text", [("0.5 -1", "a"), ("2 0.25", "b")]),
]


@pytest.mark.parametrize(("source", "target", "pairs"), COLUMNS)
def test_columns_of_datasets(tmp_path: Path, source: str, target: str, pairs: list) -> None:
    columns = {"source_column": source, "target_column": target}
    DATASET.save_to_disk(tmp_path / "hub")
    saved = read_examples(data(hub=str(tmp_path / "hub"), **columns), "train")
    assert list(saved) == [Example(*pair) for pair in pairs]
    DATASET.to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", **columns) == pairs
    values = {"task": "classification", "data": {"source": "a", "target": "b", **columns}}
    config = toml.parse_config({**values, "training": {"epochs": 1}}, "here", needs_files=False)
    for train in (DATASET, DATASET.to_iterable_dataset()):
        memory = MemoryData(config, {"train": train})
        assert list(memory.read("train")) == [Example(*pair) for pair in pairs]


def test_a_row_without_a_label(tmp_path: Path) -> None:
    features = datasets.Features({"de": datasets.Value("string"), "en": FEATURES["label"]})
    rows = datasets.Dataset.from_dict({"de": ["a", "b"], "en": [0, -1]}, features=features)
    rows.to_parquet(tmp_path / "t.parquet")
    told = complaint(tmp_path / "t.parquet")
    assert "row 2: column 'en' has the label number -1, but the labels are numbered from" in told


def test_rows_in_memory() -> None:
    pandas = pytest.importorskip("pandas")
    sides = {"source": "de", "target": "en"}
    config = toml.parse_config(
        {"data": sides, "training": {"epochs": 1}}, "here", needs_files=False
    )

    def rows(train: Any) -> list[tuple[str, str]]:
        return [
            tuple(example[:2]) for example in MemoryData(config, {"train": train}).read("train")
        ]

    assert rows([("a\r\n", 1), ("b", np.int64(2)), ("c", np.float32(0.5))]) == [
        ("a", "1"),
        ("b", "2"),
        ("c", "0.5"),
    ]
    assert rows([(["a", "b"], np.array([1, 2])), {"de": ("c",), "en": [True]}]) == [
        ("a b", "1 2"),
        ("c", "true"),
    ]
    assert rows(pandas.DataFrame({"de": ["a"], "en": [1.0], "no": [None]})) == [("a", "1")]
    with pytest.raises(UserError, match="train, row 1: column 'en' is nan"):
        rows([("a", float("nan"))])
    with pytest.raises(UserError, match="train, row 1: column 'en' is a list that contains null"):
        rows([("a", [None])])


def test_conllu_with_windows_line_ends(tmp_path: Path) -> None:
    cells = "\t".join("_" * 5)
    text = f"# c\n1\tthe\tthe\tDET\tDT\t{cells}\n2\tcat\tcat\tNOUN\tNN\t{cells}\n\n"
    path = write(tmp_path / "t.conllu", text.replace("\n", "\r\n"))
    columns = {"source_column": "form", "target_column": "misc"}
    assert read(path, **columns) == [("the cat", "_ _")]
    assert read(path, source_column="form", target_column="xpos") == [("the cat", "DT NN")]
    (sentence,) = read_conllu(decode_lines(io.BytesIO(path.read_bytes()), "t"), "t")
    assert sentence.with_column("misc", ["x", "y\u00a0z"]).split("\n")[1:3] == [
        "1\tthe\tthe\tDET\tDT\t_\t_\t_\t_\tx",
        "2\tcat\tcat\tNOUN\tNN\t_\t_\t_\t_\ty z",
    ]


# --- TMX


def tmx(*units: str, head: str = '<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd">') -> str:
    body = "\n".join(f"<tu>{unit}</tu>" for unit in units)
    return f'{head}\n<tmx version="1.4"><header srclang="en"/><body>\n{body}\n</body></tmx>\n'


def tuv(language: str, text: str) -> str:
    return f'<tuv xml:lang="{language}"><prop type="x">no</prop><seg>{text}</seg></tuv>'


def test_tmx(tmp_path: Path, said) -> None:
    text = tmx(
        tuv("en-US", "A &amp; B") + tuv("DE", "A und B"),
        tuv("de", "Der <bpt i='1'>&lt;b></bpt>rote<ept i='1'>&lt;/b></ept> <hi>Hund</hi>")
        + tuv("en", "\n  the\n  dog  \n"),
        tuv("en", "alone") + tuv("fr", "seul"),
    )
    path = write(tmp_path / "t.tmx", text)
    pairs = [("A und B", "A & B"), ("Der rote Hund", "the dog")]
    assert read(path) == pairs
    told = " ".join(record.getMessage() for record in said.records)
    assert "1 of 3 translation units lack one of the languages de, en" in told
    assert "inline tags were removed from 1 segments" in told
    assert read(pack(tmp_path / "p.tmx.xz", text)) == pairs
    wide = tmx(tuv("de", "ä"), head='<?xml version="1.0" encoding="UTF-16"?>')
    assert read(write(path, wide.encode("utf-16")), source="de", target="de") == [("ä", "ä")]
    told = complaint(path)
    assert "no translation unit has 'de' and 'en'; the languages of the file are: de" in told
    text = tmx(tuv("en-GB", "colour") + tuv("en-US", "color") + tuv("pt", "cor"))
    write(path, text)
    assert read(path, source="en", target="pt-BR") == [("colour", "cor")]
    assert read(path, source="en_us", target="pt") == [("color", "cor")]
    assert [e.target for e in read_examples(data(source="", train=str(path)), "train")] == [
        "colour"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<tmx><body><tu>", ":1: not valid XML"),
        ("no xml", ":1: not valid XML"),
        ("<html></html>", ":1: the root element is 'html', not 'tmx'"),
        ("<tmx>\n<tuv><seg>a</seg></tuv></tmx>", ":2: the element tuv has no attribute xml:lang"),
        ("<!DOCTYPE tmx [<!ENTITY a 'b'>]>\n<tmx>&a;</tmx>", ":1: the file defines the entity 'a'"),
        (
            "<!DOCTYPE tmx [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><tmx>&a;</tmx>",
            "the file defines the entity 'a'",
        ),
        ("<tmx>" + "<a>" * 200, "more than 100 elements inside each other"),
        (tmx(tuv("de", "a" * (1 << 20) + "a")), "a segment has more than 1,048,576 characters"),
        (tmx(), "the languages of the file are: none"),
        ("", ":1: not valid XML"),
    ],
)
def test_mistakes_in_tmx(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "t.tmx", text)
    told = complaint(path)
    assert str(path) in told
    assert words in told
