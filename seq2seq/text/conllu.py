"""Read CoNLL-U, the file format of Universal Dependencies.

Each line describes one word in ten columns. A blank line ends a sentence, and a line that starts
with "#" is a comment. Multiword tokens (with an id such as 1-2) and empty nodes (with an id such
as 1.1) stay in the file, but they do not count as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seq2seq.errors import UserError, counted

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
WRITABLE_COLUMNS = CONLLU_COLUMNS[2:]  # without the id and the form of a word


@dataclass(frozen=True)
class ConlluSentence:
    """A sentence of a CoNLL-U file.

    lines: the unchanged lines of the sentence, including its comments, without the final blank
        line.
    words: the indices, from 0, of the lines that describe a word.
    """

    lines: list[str]
    words: list[int]

    def column(self, name: str) -> list[str]:
        """Return the value of one column for each word. `name` is one of CONLLU_COLUMNS.

        A space inside a value becomes a no-break space, so that a word stays one word.
        """
        column = CONLLU_COLUMNS.index(name)
        return [self.lines[i].split("\t")[column].replace(" ", "\u00a0") for i in self.words]

    def with_column(self, name: str, values: Sequence[str]) -> str:
        """Return the text of the sentence with new values in one column, one value per word.

        The text ends with the blank line that follows a sentence. A no-break space in a value
        becomes a space, because `column` replaces spaces by no-break spaces.
        """
        lines, column = list(self.lines), CONLLU_COLUMNS.index(name)
        for i, value in zip(self.words, values, strict=True):
            cells = lines[i].split("\t")
            cells[column] = value.replace("\u00a0", " ")
            lines[i] = "\t".join(cells)
        return "".join(f"{line}\n" for line in [*lines, ""])


def read_conllu(lines: Iterable[str], name: str) -> Iterator[ConlluSentence]:
    """Yield the sentences of a CoNLL-U file, in order.

    Args:
        lines: The lines of the file, without line ends.
        name: The name of the file for error messages.

    Raises UserError, with the file name and line number, for text that is not valid CoNLL-U.
    """
    sentence_lines: list[str] = []
    words: list[int] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            if sentence_lines and not words:
                raise UserError(
                    f"{name}:{number}: the sentence that ends here has no word; add a word, or "
                    "delete the sentence"
                )
            if sentence_lines:
                yield ConlluSentence(sentence_lines, words)
            sentence_lines, words = [], []
            continue
        if not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != len(CONLLU_COLUMNS):
                raise UserError(
                    f"{name}:{number}: the line has {counted(len(cells), 'column')}, but CoNLL-U "
                    f"needs {len(CONLLU_COLUMNS)}; separate columns by tabs, and put a blank line "
                    "after each sentence"
                )
            if cells[0] == str(len(words) + 1):
                if not cells[1].strip():
                    raise UserError(
                        f"{name}:{number}: the second column (form) of the word is empty; fill in "
                        "the form"
                    )
                words.append(len(sentence_lines))
            elif not re.fullmatch(r"\d+[-.]\d+", cells[0]):
                raise UserError(
                    f"{name}:{number}: the word has id {cells[0]!r}, but the next id must be "
                    f"{len(words) + 1}; number the words of a sentence from 1"
                )
        sentence_lines.append(line)
    if words:
        yield ConlluSentence(sentence_lines, words)
    elif sentence_lines:
        raise UserError(
            f"{name}: the last sentence has no word; add a word, or delete the sentence"
        )
