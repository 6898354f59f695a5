"""The options that decide how a source line is prepared before the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from seq2seq.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The options for source lines.

    split_sentences: split each line into sentences, translate each sentence alone and join the
    translations with the white space of the line. Needs the package sentencex.
    source_prefix: a text, such as the tag `<2de>`, that each line and each part of a split line
    starts with. A line that does not start with it gets it, followed by a space. If several texts
    are given, a line keeps the one that it starts with, and no text is added to other lines.
    protect: take placeholders (`{0}`, `%s`), tags (`<b>`), URLs, e-mail addresses and numbers out
    of each line before it is translated, and put each of them into the translation.

    Tags that started most lines of the training text are repeated in each part without any option.
    Raises UserError for a prefix without text.
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

        tags: the tags of the training text, and symbols of the tokenizer, that count as a prefix.

        Returns the prefix with the white space behind it, the rest, and how many characters of the
        prefix the line itself has. The prefix is empty if the line has no prefix, or nothing else.
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
    """Return the longest start of a text that consists of tags, with white space between them."""
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
