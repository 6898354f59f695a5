"""The options that decide how a source line is prepared before the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from seq2seq.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The options that prepare source lines.

    split_sentences: split each line into sentences, translate each sentence alone and join the
        translations with the white space of the line. Needs the package sentencex.
    source_prefix: a text, such as the tag `<2de>`, that is put before each line and before each
        part of a split line, followed by a space. A line that already starts with this text is not
        changed. Several texts are only recognised, not added: if a line starts with one of them,
        each part of the line starts with the same text.
    protect: take placeholders (`{0}`, `%s`), tags (`<b>`), URLs, e-mail addresses and numbers out
        of each line before it is translated, and put them into the translation.

    If most lines of the training text started with a tag, the tag of a line is repeated in each of
    its parts, even without `source_prefix`. Raises UserError for an empty prefix.
    """

    split_sentences: bool = False
    source_prefix: str | Sequence[str] = ()
    protect: bool = False

    def __post_init__(self) -> None:
        if not all(prefix.strip() for prefix in self.prefixes):
            raise UserError("the source prefix is empty: write at least one character")

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Return the source prefixes without white space around them."""
        texts = self.source_prefix
        if isinstance(texts, str):
            return (texts.strip(),) if texts else ()
        return tuple(text.strip() for text in texts)

    def separate(self, text: str, tags: Sequence[str]) -> tuple[str, str, int]:
        """Divide a line into its prefix and the rest.

        tags: the tags of the training text and the symbols of the tokenizer that count as a prefix.

        Returns three values: the prefix including the white space after it, the rest of the line,
        and the number of characters of the prefix that the line itself contains. If the line
        has no prefix, or consists only of a prefix, the prefix is empty.
        """
        if self.prefixes:
            prefix = next((one for one in self.prefixes if text.startswith(one)), "")
            if not prefix and len(self.prefixes) == 1:
                return f"{self.prefixes[0]} ", text, 0
        else:
            prefix = leading_tags(text, tags)
        rest = text[len(prefix) :].lstrip()
        if not (prefix and rest):
            return "", text, 0
        size = len(text) - len(rest)
        return text[:size], rest, size


def leading_tags(text: str, tags: Sequence[str]) -> str:
    """Return the tags at the start of a text, with the white space between them."""
    end = 0
    while True:
        start = len(text) - len(text[end:].lstrip())
        tag = next((tag for tag in tags if text.startswith(tag, start)), None)
        if tag is None:
            return text[:end]
        end = start + len(tag)


def changed_settings(options: SourceOptions) -> dict[str, object]:
    """Return the options that differ from their defaults, by name."""
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) not in ((), field.default)
    }
