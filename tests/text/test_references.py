"""Further references of the validation and test sets."""

import pytest

from seq2seq.config.schema import Config
from seq2seq.config.toml import parse_config
from seq2seq.errors import UserError
from seq2seq.text.corpus import (
    locate_example,
    read_examples,
    read_table_file,
    validation_sets,
)
from seq2seq.text.data_files import input_files
from seq2seq.text.example import Example, further_references
from seq2seq.text.memory import MemoryData


def configured(tmp_path, **data: object) -> Config:
    """A configuration whose files are in `tmp_path`, with one further reference."""
    for split in ("train", "valid"):
        for side, text in (("en", "a"), ("fr", "b"), ("fr2", "c")):
            (tmp_path / f"{split}.{side}").write_text(f"{split} {text}\n\n", encoding="utf-8")
    sides = {"source": "en", "target": "fr", "references": ["fr2"]}
    paths = {split: str(tmp_path / split) for split in ("train", "valid")}
    values = {"data": {**sides, **paths, **data}, "training": {"epochs": 1}}
    return parse_config(values, "here")


def test_parallel_files_are_named_by_their_endings(tmp_path):
    data = configured(tmp_path).data
    assert list(read_examples(data, "train")) == [Example("train a", "train b"), Example("", "")]
    assert list(read_examples(data, "valid")) == [
        Example("valid a", "valid b", references=("valid c",)),
        Example("", "", references=("",)),
    ]
    names = [path.name for path in input_files(data, "valid")]
    assert names == ["valid.en", "valid.fr", "valid.fr2"]
    (tmp_path / "valid.fr2").write_text("only one line\n")
    with pytest.raises(UserError, match=r"has 2 lines and .*fr2 has 1"):
        list(read_examples(data, "valid"))


def test_two_files_have_no_further_references(tmp_path):
    files = [str(tmp_path / "valid.en"), str(tmp_path / "valid.fr")]
    with pytest.raises(UserError, match=r"data\.valid is a list of two files"):
        read_examples(configured(tmp_path, valid=files).data, "valid")


def test_a_table_without_a_header_has_numbers(tmp_path):
    (tmp_path / "a.tsv").write_text("x\ty\tz\n", encoding="utf-8")
    columns = {"source_column": 1, "target_column": 2, "references": [3]}
    data = configured(tmp_path, **columns).data
    assert list(read_table_file(data, tmp_path / "a.tsv")) == [Example("x", "y", (), ("z",))]


def test_rows_in_memory(tmp_path):
    config = configured(tmp_path)
    rows = [{"en": "x", "fr": "y", "fr2": "z"}]
    memory = MemoryData(config, {"valid": rows, "train": [{"en": "x", "fr": "y"}]})
    assert list(memory.read("valid")) == [Example("x", "y", references=("z",))]
    assert list(memory.read("train")) == [Example("x", "y")]


def g2p(path, text: str, **data: object) -> Config:
    """A configuration whose three sets are one TSV file without a header."""
    path.write_text(text, encoding="utf-8")
    sides = {"source": "w", "target": "p", "source_column": 1, "target_column": 2}
    splits = dict.fromkeys(("train", "valid", "test"), str(path))
    values = {"data": {**sides, **splits, **data}, "training": {"epochs": 1}}
    return parse_config(values, "here")


def test_rows_with_the_same_source_are_references_of_one_item(tmp_path):
    rows = "read\tR IY D\nred\tR EH D\nread\tR EH D\nread\tR IY D\n"
    data = g2p(tmp_path / "a.tsv", rows, merge_sources=True).data
    assert list(read_examples(data, "valid")) == [
        Example("read", "R IY D", references=("R EH D",)),
        Example("red", "R EH D"),
    ]
    assert list(read_examples(data, "test")) == list(read_examples(data, "valid"))
    assert list(read_table_file(data, tmp_path / "a.tsv")) == list(read_examples(data, "valid"))
    assert len(list(read_examples(data, "train"))) == 4
    assert len(list(read_examples(g2p(tmp_path / "a.tsv", rows).data, "valid"))) == 4


def test_alternatives_in_one_column(tmp_path):
    rows = "read\tR IY D; R EH D ;R IY D\nred\tR EH D\n"
    data = g2p(tmp_path / "a.tsv", rows, alternatives=";").data
    assert list(read_examples(data, "train")) == [
        Example("read", "R IY D"),
        Example("read", "R EH D"),
        Example("red", "R EH D"),
    ]
    assert list(read_examples(data, "valid")) == [
        Example("read", "R IY D", references=("R EH D",)),
        Example("red", "R EH D"),
    ]
    data = g2p(tmp_path / "a.tsv", "a\tA\nread\tR IY D;\n", alternatives=";").data
    for split in ("train", "valid"):
        with pytest.raises(UserError, match=r"a.tsv:2: one of .* in 'R IY D;' is empty"):
            list(read_examples(data, split))
    with pytest.raises(UserError, match=r"a\.tsv:2: one of"):
        list(read_table_file(data, tmp_path / "a.tsv"))


def test_a_pair_is_in_the_row_of_its_alternatives(tmp_path):
    data = g2p(tmp_path / "a.tsv", "a\tA; B\nb\tC\n", alternatives=";").data
    places = [locate_example(data, "target", number, None) for number in (1, 2, 3)]
    assert [place.rsplit(":", 1)[1] for place in places] == ["1", "1", "2"]


def test_a_pair_is_found_whatever_its_features_are(tmp_path):
    rows = "a\tA; B\t$(\nb\tC\tN\n"
    data = g2p(tmp_path / "a.tsv", rows, alternatives=";", features=3).data
    assert locate_example(data, "target", 3, None).endswith("a.tsv:2")


def test_alternatives_in_further_references(tmp_path):
    rows = "read\tR IY D;R EH D\tA;B\n"
    data = g2p(tmp_path / "a.tsv", rows, alternatives=";", references=[3]).data
    (one,) = read_examples(data, "valid")
    assert (one.target, *one.references) == ("R IY D", "R EH D", "A", "B")


def test_alternatives_in_memory(tmp_path):
    config = g2p(tmp_path / "a.tsv", "a\tA\n", alternatives=";")
    memory = MemoryData(config, {"train": [("a", "A;B")], "valid": [("a", "A;B")]})
    assert [one.target for one in read_examples(config.data, "train", memory)] == ["A", "B"]
    (one,) = read_examples(config.data, "valid", memory)
    assert one == Example("a", "A", references=("B",))


def test_lines_with_fewer_references_are_filled_with_blanks():
    examples = [Example("", "", references=given) for given in (("a", "b"), (), ("c",))]
    assert further_references(examples) == [["a", "", "c"], ["b", "", ""]]
    assert further_references([Example("", "")]) == further_references([]) == []


def test_the_chosen_set_comes_first(tmp_path):
    config = configured(tmp_path, valid={"one": "a", "two": "b"})
    assert [part.valid for part in validation_sets(config).values()] == ["a", "b"]
    validation = config.validation.model_copy(update={"set": "two"})
    config = config.model_copy(update={"validation": validation})
    assert list(validation_sets(config)) == ["two", "one"]
