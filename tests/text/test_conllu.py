"""CoNLL-U: what is read comes back, and what is broken is named with its line."""

import gzip

import pytest

from seq2seq.errors import UserError
from seq2seq.text.columns import Columns
from seq2seq.text.conllu import read_conllu
from seq2seq.text.example import Example
from seq2seq.text.tables import read_table

TEXT = """# sent_id = 1
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\t_\t_\t_\t_\t_\t_
2\tn't\tnot\tPART\t_\t_\t_\t_\t_\t_
3\t1 000\t_\tNUM\t_\t_\t_\t_\t_\t_
3.1\tgo\t_\tVERB\t_\t_\t_\t_\t_\t_

# sent_id = 2
1\tHi\t_\tINTJ\t_\t_\t_\t_\t_\t_

"""


def test_sentences_and_their_columns():
    one, other = read_conllu(TEXT.split("\n")[:-1], "x")
    assert one.column("form") == ["do", "n't", "1\u00a0000"]
    assert other.column("upos") == ["INTJ"]
    assert (
        one.with_column("upos", ["AUX", "PART", "NUM"]) + other.with_column("upos", ["INTJ"])
        == TEXT
    )
    assert "3\t1 000\t_\tX\t" in one.with_column("upos", ["A", "B", "X"])
    assert (
        len(list(read_conllu(TEXT.rstrip("\n").split("\n"), "x"))) == 2
    )  # no blank line at the end


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\ta\tb", "x:1: the line has 3 columns, but CoNLL-U needs 10"),
        ("# c\n2\ta" + "\t_" * 8, "x:2: the word has id '2', but the next id must be 1"),
        (
            "1\ta" + "\t_" * 8 + "\none\tb" + "\t_" * 8,
            "x:2: the word has id 'one', but the next id must be 2",
        ),
        ("1\t " + "\t_" * 8, "x:1: the second column .form. of the word is empty"),
        ("# only\n\n", "x:2: the sentence that ends here has no word"),
        ("# only", "x: the last sentence has no word"),
    ],
)
def test_mistakes(text, said):
    with pytest.raises(UserError, match=said):
        list(read_conllu(text.split("\n"), "x"))


@pytest.mark.parametrize("ending", [".conllu", ".conllu.gz"])
def test_as_examples(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    data = TEXT.encode()
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    examples = list(read_table(path, Columns("form", "upos")))
    assert examples == [Example("do n't 1\u00a0000", "AUX PART NUM"), Example("Hi", "INTJ")]
    with pytest.raises(
        UserError, match=r"no column 'upo'; existing columns: .* did you mean 'upos'"
    ):
        list(read_table(path, Columns("form", "upo")))
