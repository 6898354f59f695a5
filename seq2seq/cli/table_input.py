"""Read the input of a command from a column of a table instead of lines of text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from seq2seq.text.delimited import Columns


def input_column(model: Path) -> Columns:
    """Return the column of a table that a model reads, once as source and once as target column.

    The column is the source column of the training data, or the text column of a language model. It
    is a name or a number. A TSV or CSV file has a header unless the column is a number.
    """
    from seq2seq.decoding.load import load_any_config
    from seq2seq.text.memory import data_columns

    source, _ = data_columns(load_any_config(model).data)
    return source, source


@contextmanager
def open_column(path: Path, model: Path) -> Iterator[IO[bytes]]:
    """Yield the column of a table that a model reads, and its features, as a file of lines.

    The lines are in a temporary file, which takes as much disk space as the column.
    Raises UserError for a table that cannot be read and for a missing column.
    """
    from seq2seq.decoding.load import load_any_config
    from seq2seq.text.features import write_source
    from seq2seq.text.memory import data_columns
    from seq2seq.text.references import with_features
    from seq2seq.text.tables import read_table

    data = load_any_config(model).data
    rows = with_features(
        data,
        read_table(path, input_column(model), data.quoting),
        lambda side: read_table(path, data_columns(side), data.quoting),
    )
    with tempfile.TemporaryFile() as file:
        for example in rows:
            file.write(write_source(example.source, example.features).encode() + b"\n")
        file.seek(0)
        yield file


def conllu_columns(model: Path) -> tuple[str, str]:
    """Return the CoNLL-U columns that a tagger reads and writes.

    These are the columns of its training data. If these are not columns of CoNLL-U, the result is
    "form" for the words and "upos" for the tags.
    """
    from seq2seq.decoding.load import load_any_config
    from seq2seq.text.conllu import CONLLU_COLUMNS, WRITABLE_COLUMNS
    from seq2seq.text.memory import data_columns

    source, target = data_columns(load_any_config(model).data)
    return (
        str(source) if source in CONLLU_COLUMNS else "form",
        str(target) if target in WRITABLE_COLUMNS else "upos",
    )
