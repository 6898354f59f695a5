"""Features of sources: how they are flattened, numbered and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.config.features_section import FeaturesConfig
from seq2seq.errors import UserError
from seq2seq.text.batching import collate_examples, pad_sequences
from seq2seq.text.codec import Codec
from seq2seq.text.corpus import read_examples, read_table_file
from seq2seq.text.data_digest import data_digest
from seq2seq.text.example import Example
from seq2seq.text.features import (
    FeatureSet,
    feature_problem,
    flatten_features,
    read_source,
    write_source,
)
from seq2seq.text.memory import MemoryData
from seq2seq.text.preparation import prepare_data

LINE, WORD = FeaturesConfig(), FeaturesConfig(per="word", separator="|")
NAMES = st.text("ab1+. ", min_size=1, max_size=3).map(str.strip).filter(bool)


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("V;PRS", ["V", "PRS"]),
        (
            "N;ABL(PL;PSS(2,PL))",
            ["N", "ABL", "ABL(PL)", "ABL(PSS)", "ABL(PSS(2))", "ABL(PSS(PL))"],
        ),
        ("NOM(1,SG);ACC(2)", ["NOM", "NOM(1)", "NOM(SG)", "ACC", "ACC(2)"]),
        (" N ; PL ;;", ["N", "PL"]),
        ("a,b", ["a,b"]),
        ("(A)", ["(A)"]),
        ("A(B)C", ["A", "A(B)", "C"]),
        ("N;ABL(PL", ["N", "ABL(PL"]),
        ("N);(PL", ["N)", "(PL"]),
        ("", []),
    ],
)
def test_nested_features_keep_the_feature_before_the_bracket(text, features) -> None:
    assert list(flatten_features(text, ";")) == features


def test_another_separator() -> None:
    text = "Case=Nom|Number=Sing(a|b,c)"
    flat = ["Case=Nom", "Number=Sing", "Number=Sing(a)", "Number=Sing(b)", "Number=Sing(c)"]
    assert list(flatten_features(text, "|")) == flat


@st.composite
def _trees(draw: st.DrawFn, depth: int = 2) -> tuple[str, list[str]]:
    """Features as they are written, and the same as they are flattened."""
    written, flat = [], []
    for name in draw(st.lists(NAMES, min_size=1, max_size=3)):
        flat.append(name)
        if depth and draw(st.booleans()):
            inner, below = draw(_trees(depth - 1))
            written.append(f"{name}({inner})")
            flat += [f"{name}({one})" for one in below]
        else:
            written.append(name)
    separators = [";", " ;"] if depth == 2 else [";", "; ", ","]
    return draw(st.sampled_from(separators)).join(written), flat


@given(_trees())
def test_every_tree_of_features_can_be_read_back(tree: tuple[str, list[str]]) -> None:
    assert list(flatten_features(tree[0], ";")) == tree[1]


@given(st.text("ab;,() ", max_size=12), st.sampled_from([";", ",", "ab"]))
def test_any_text_has_features_without_white_space_around(text: str, separator: str) -> None:
    assert all(name and name == name.strip() for name in flatten_features(text, separator))


@given(st.permutations(["V", "PRS", "NOM(1,SG)", "XX"]))
def test_the_order_of_features_changes_nothing(order: list[str]) -> None:
    features = FeatureSet(["V", "PRS", "NOM", "NOM(1)", "NOM(SG)"], LINE)
    assert features.numbers(";".join([*order, "V"])) == (0, 1, 2, 3, 4)
    assert features.unknown(";".join(order)) == ["XX"]


def test_each_word_has_its_own_features() -> None:
    features = FeatureSet(["DET", "N", "Pl"], WORD)
    rows = features.rows("DET Pl|N X", [0, 1, 1, 2, 3])
    assert rows.tolist() == [[1, 0], [2, 3], [2, 3], [0, 0], [0, 0]]
    assert features.unknown("DET Pl|N X") == ["X"]


def test_a_file_of_features_is_read_back_and_damage_is_found() -> None:
    features = FeatureSet(["b", "a", "a(ü)"], LINE)
    content = features.to_bytes()
    assert FeatureSet.from_bytes(content, LINE, "f") == features
    for damaged in (b"", b"b\na\n", b"a\na\n", content[:-1], b"\n" * 100_001):
        with pytest.raises(UserError, match=r"^f: "):
            FeatureSet.from_bytes(damaged, LINE, "f")


def test_features_that_differ_in_each_row_are_refused() -> None:
    with pytest.raises(UserError, match=r"100,001 different features.*data\.features"):
        FeatureSet(map(str, range(100_001)), LINE)
    with pytest.raises(UserError, match="no features"):
        FeatureSet([], LINE)


def test_a_line_without_one_tab_has_a_problem() -> None:
    assert read_source("a", LINE)[:2] == ("a", "")
    assert "no features" in read_source("a", LINE)[2]
    assert read_source("a\tV\tb", LINE) == ("a", "V", "the text after the second tab is ignored")


def test_a_line_is_read_back() -> None:
    assert read_source("a b\tV;X", LINE) == ("a b", "V;X", "")
    assert read_source("\tV", LINE) == ("", "V", "")
    assert read_source(" \t ", LINE) == (" \t ", "", "")
    assert read_source("a\tb", None) == ("a\tb", "", "")
    assert write_source("a\tb", ("V",)) == "a b\tV"
    assert write_source("a\tb", ()) == "a\tb"


def test_words_without_features_are_counted() -> None:
    assert feature_problem("the  cat", "DET N", WORD) == ""
    assert feature_problem("see this (", "V D $(", WORD) == ""  # a tag for brackets
    problem = feature_problem("the cat", "D N V", WORD)
    assert "2 words, but the features are those of 3 words" in problem
    assert "the source has 1 word," in read_source("cat\tD N", WORD)[2]


@pytest.mark.parametrize("text", ["", " ", ";", " ; ;"])
def test_a_source_without_features_has_a_problem(text: str) -> None:
    assert "write at least one" in feature_problem("cat", text, LINE)
    assert "write at least one" in read_source(f"cat\t{text}", LINE)[2]
    assert feature_problem(" ", text, LINE) == ""


@pytest.mark.parametrize("text", ["N;ABL(PL", "N)", "ABL)PL("])
def test_a_bracket_without_a_partner_is_a_problem(text: str) -> None:
    assert f"a bracket in the features {text!r} has no partner" in feature_problem("c", text, LINE)
    assert feature_problem("c", "N;ABL(PL;PSS(2,PL))", LINE) == ""


def test_padding_has_no_features() -> None:
    tokens, lengths = pad_sequences([np.array([[7, 1, 2], [8, 3, 0]]), np.array([], int)], 0, 9)
    assert tokens.tolist() == [
        [[7, 1, 2], [8, 3, 0], [9, 0, 0]],
        [[9, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert lengths.tolist() == [3, 1]


def test_features_stand_in_front_of_the_tokens(parallel: Path) -> None:
    (parallel / "train.pos").write_text("N;PL\nV\nPL;N\n", encoding="utf-8")
    made = prepare_data(_config(parallel, "data.drop_duplicates=false"), parallel / "data")
    size = len(made.codec.source)
    assert [made.train.ids(row, "source")[:2].tolist() for row in (0, 2)] == [[size, size + 1]] * 2
    assert made.train.ids(1, "source")[0] == size + 2
    assert made.train.lengths[:, 0].tolist() == [2 + 9, 1 + 15, 2 + 9]
    assert list(made.codec.encode_source("", [], "N")) == []


def _config(folder: Path, *settings: str):
    (folder / "c.toml").write_text(
        '[data]\nsource = "de"\ntarget = "en"\nfeatures = "pos"\n'
        'train = "train"\nvalid = "train"\n[tokenizer]\nkind = "char"\n[training]\nepochs = 1\n',
        encoding="utf-8",
    )
    return toml.load_config(folder / "c.toml", settings)


@pytest.fixture
def parallel(tmp_path: Path) -> Path:
    """Three files: sources, targets, and the parts of speech of the words."""
    for side, lines in {
        "de": ["das Haus", "ein Hund bellt", "das Haus"],
        "en": ["the house", "a dog barks", "the house"],
        "pos": ["DET N", "DET N V", "DET X"],
    }.items():
        (tmp_path / f"train.{side}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_features_of_words_stand_beside_the_subwords(parallel: Path) -> None:
    config = _config(parallel, "features.per=word")
    made = prepare_data(config, parallel / "data")
    assert [example.features for example in made.train.examples()] == [
        ("DET N",),
        ("DET N V",),
        ("DET X",),
    ]
    assert made.codec.features is not None
    assert made.codec.features.names == ["DET", "N", "V", "X"]
    assert Codec.load(parallel / "data", config) == made.codec
    batch = collate_examples(made.train, np.array([0, 1]), made.codec)
    pieces = made.codec.source.pieces(batch.source[1, :, 0].tolist())
    numbers = batch.source[1, :, 1].tolist()
    assert pieces == [*"▁ein▁Hund▁bellt", "</s>"]
    assert numbers == [1] * 4 + [2] * 5 + [3] * 6 + [0]


def test_the_digest_depends_on_features(parallel: Path) -> None:
    digests = {data_digest(_config(parallel, *settings), None) for settings in ([],) * 2}
    digests.add(data_digest(_config(parallel, "features.separator=|"), None))
    (parallel / "train.pos").write_text("DET N\nDET N V\nDET N\n", encoding="utf-8")
    digests.add(data_digest(_config(parallel), None))
    assert len(digests) == 3


def test_a_line_whose_words_lack_features_is_named(parallel: Path) -> None:
    (parallel / "train.pos").write_text("DET N\nDET V\nDET N\n", encoding="utf-8")
    config = _config(parallel, "features.per=word", f"data.valid={parallel}/good")
    for side in ("de", "en", "pos"):
        (parallel / f"good.{side}").write_text("a\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.de:2: the source has 3 words.* of 2 words"):
        prepare_data(config, parallel / "data")


def test_a_missing_file_or_column_of_features_is_named(parallel: Path) -> None:
    (parallel / "train.pos").unlink()
    with pytest.raises(UserError, match=r"no such file: .*train\.pos"):
        list(read_examples(_config(parallel).data, "train"))
    table = parallel / "t.tsv"
    table.write_text("a\tb\tV\na\tb\n", encoding="utf-8")
    columns = ["data.source_column=1", "data.target_column=2", "data.features=3"]
    data = _config(parallel, f"data.train={table}", *columns).data
    with pytest.raises(UserError, match=r"t\.tsv:2: the line has 2 columns, but needs at least 3"):
        list(read_examples(data, "train"))


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl", "parquet"])
def test_features_from_tables(suffix: str, parallel: Path) -> None:
    import pandas

    rows = {"de": ["a", "b"], "pos": ["V;X", "N"], "en": ["c", "d"]}
    table, path = pandas.DataFrame(rows), parallel / f"t.{suffix}"
    match suffix:
        case "jsonl":
            table.to_json(path, orient="records", lines=True)
        case "parquet":
            table.to_parquet(path)
        case _:
            table.to_csv(path, sep="\t" if suffix == "tsv" else ",", index=False)
    data = _config(parallel, f"data.train={path}").data
    assert list(read_examples(data, "train")) == [
        Example("a", "c", ("V;X",)),
        Example("b", "d", ("N",)),
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("separator", "per", "line"),
    [(";", "line", "N;LOC(SG)"), ("|", "line", "N|LOC(SG)"), ("|", "word", "N LOC(SG)")],
)
def test_a_list_of_features(suffix, separator, per, line, parallel: Path) -> None:
    import pandas

    table = pandas.DataFrame({"de": ["a b"], "pos": [["N", "LOC(SG)"]], "en": ["c"]})
    path = parallel / f"t.{suffix}"
    if suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path)
    settings = [f"data.train={path}", f"features.separator={separator}", f"features.per={per}"]
    config = _config(parallel, *settings)
    examples = [Example("a b", "c", (line,))]
    assert list(read_examples(config.data, "train", features=config.features)) == examples
    for row in (("a b", "c", ["N", "LOC(SG)"]), table.to_dict("records")[0]):
        memory = MemoryData(config, {"train": [row]})
        assert list(read_examples(config.data, "train", memory, config.features)) == examples


def test_a_missing_column_of_features_names_its_key(parallel: Path) -> None:
    (parallel / "t.jsonl").write_text('{"de": "a", "en": "b"}\n', encoding="utf-8")
    data = _config(parallel, f"data.train={parallel / 't.jsonl'}").data
    with pytest.raises(UserError, match=r"t\.jsonl:1: no column 'pos'.* set data\.features$"):
        list(read_examples(data, "train"))
    with pytest.raises(UserError, match="trained on a column of this name") as error:
        list(read_table_file(data, parallel / "t.jsonl"))
    assert "data." not in str(error.value)


def test_a_row_with_a_wrong_number_of_features_is_named(parallel: Path) -> None:
    rows = 'de\tpos\ten\na\tN\t"b; c"\na\tN\t"""b"""\nc d\tN\t"e\nf"\nc d\tN\t"g"\n'
    (parallel / "t.tsv").write_text(rows, encoding="utf-8")
    table = f"{parallel}/t.tsv"
    settings = [f"data.{split}={table}" for split in ("train", "valid", "test")]
    settings += ["features.per=word", "data.alternatives=;", "data.merge_sources=true"]
    config = _config(parallel, *settings)
    wanted = r"t\.tsv:4: the source has 2 words, but the features are those of 1 word;"
    for split in ("train", "valid", "test"):
        with pytest.raises(UserError, match=wanted):
            list(read_examples(config.data, split, features=config.features))
    with pytest.raises(UserError, match=wanted):
        list(read_table_file(config.data, Path(table), config.features))


def test_rows_are_merged_only_if_their_features_are_equal(parallel: Path) -> None:
    data = _config(parallel, "data.merge_sources=true").data
    examples = list(read_examples(data, "valid"))
    assert [example.features for example in examples] == [("DET N",), ("DET N V",), ("DET X",)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["features.separator="], "features.*separator"),
        (["features.per=word", 'features.separator=" "'], "separator: with per = 'word'"),
        (["features.per=word", "tokenizer.kind=bpe", "tokenizer.sampling=0.1"], "sampling"),
        (["task=classification"], "has no section|does not read features"),
    ],
)
def test_settings_that_cannot_work(settings: list[str], message: str, parallel: Path) -> None:
    with pytest.raises(UserError, match=message):
        _config(parallel, *settings)
