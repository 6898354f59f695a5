"""CoNLL-U, the format of Universal Dependencies: sentences of words with ten columns each.

A blank line ends a sentence, "#" begins a comment. Ranges of words that are written as one (1-2)
and words that are not written (1.1) are kept in the file and are no words here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seq2seq.errors import UserError

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


@dataclass(frozen=True)
class ConlluSentence:
    """The lines as they stand in the file, and the numbers of those that are words."""

    lines: list[str]
    words: list[int]

    def column(self, name: str) -> list[str]:
        """One of CONLLU_COLUMNS of each word; a space inside of one is a no-break space."""
        column = CONLLU_COLUMNS.index(name)
        return [self.lines[i].split("\t")[column].replace(" ", "\u00a0") for i in self.words]

    def with_column(self, name: str, values: Sequence[str]) -> str:
        """The text of the sentence with other values in a column, the blank line at its end too."""
        lines, column = list(self.lines), CONLLU_COLUMNS.index(name)
        for i, value in zip(self.words, values, strict=True):
            cells = lines[i].split("\t")
            cells[column] = value
            lines[i] = "\t".join(cells)
        return "".join(f"{line}\n" for line in [*lines, ""])


def read_conllu(lines: Iterable[str], name: str) -> Iterator[ConlluSentence]:
    """Read the sentences of a file, in order. Raises UserError, with `name` and line, for what is
    no CoNLL-U."""
    sentence_lines: list[str] = []
    words: list[int] = []
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        if not line:
            if sentence_lines and not words:
                raise UserError(f"{name}:{number}: a sentence without a word ends here")
            if sentence_lines:
                yield ConlluSentence(sentence_lines, words)
            sentence_lines, words = [], []
            continue
        if not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != len(CONLLU_COLUMNS):
                raise UserError(
                    f"{name}:{number}: {len(cells)} columns where CoNLL-U has "
                    f"{len(CONLLU_COLUMNS)}, with tabs between them; a blank line ends a sentence"
                )
            if cells[0] == str(len(words) + 1):
                if not cells[1].strip():
                    raise UserError(f"{name}:{number}: the word has no form")
                words.append(len(sentence_lines))
            elif not re.fullmatch(r"\d+[-.]\d+", cells[0]):
                raise UserError(
                    f"{name}:{number}: the word has number {cells[0]!r} where {len(words) + 1} "
                    "comes next"
                )
        sentence_lines.append(line)
    if words:
        yield ConlluSentence(sentence_lines, words)
    elif sentence_lines:
        raise UserError(f"{name}: the last sentence has no word")
