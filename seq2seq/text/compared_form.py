"""The form in which outputs and references are compared by exact match and by error rates.

A model whose targets are normalised to NFC writes only NFC, so it can never write a reference in
NFD, although both look the same. Exact match, WER, SER and edit distance therefore compare both in
the Unicode form of the model. BLEU, chrF and TER compare the raw texts, as sacreBLEU does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seq2seq.config.schema import Config
from seq2seq.config.section import Side
from seq2seq.config.tokenizer_section import Normalization, TokenizerConfig
from seq2seq.text.example import Example
from seq2seq.text.normalization import UNICODE_FORMS, TextRules, normalize_text

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparedForm:
    """The form of two texts that are compared. White space at their ends does not count.

    lowercase: Whether case is ignored.
    normalization: "nfc" or "nfd" to compare both texts in this Unicode form; "identity" to compare
        them as they are.
    """

    lowercase: bool = False
    normalization: Normalization = "identity"

    @classmethod
    def of(cls, tokenizer: TokenizerConfig) -> ComparedForm:
        """Return the form for the outputs of a model, given the section `[tokenizer]`.

        Only NFC and NFD are used: all other normalisations can make different texts equal.
        """
        rule = tokenizer.normalization_of("target")
        lowercase = tokenizer.of("target").lowercase
        return cls(lowercase, rule if rule in UNICODE_FORMS else "identity")

    @property
    def signature(self) -> str:
        """The part of a signature that names the form, such as "case:mixed|norm:nfc"."""
        case = "case:lc" if self.lowercase else "case:mixed"
        return case if self.normalization == "identity" else f"{case}|norm:{self.normalization}"

    def apply(self, text: str) -> str:
        """Return a text in this form."""
        text = text.lower() if self.lowercase else text
        return normalize_text(text, self.normalization).strip()


PLAIN_FORM = ComparedForm()


def report_changed_references(
    examples: Sequence[Example], config: Config, place: Callable[[Side, int], str]
) -> None:
    """Log how many items have a reference that the normalisation of the target changes.

    If the scores compare the normalised references, this is a message. Otherwise it is a warning,
    because the model cannot write such a reference. Both name the first one.

    examples: The items of a validation or test set.
    place: A function that returns the place of the target with a number, which counts from 1.
    """
    rule = config.tokenizer.normalization_of("target")
    if config.task.report != "translation scores" or rule == "identity":
        return
    rules = TextRules(normalization=rule, symbols=config.tokenizer.symbols)
    changed: list[tuple[int, int]] = []  # the numbers of the item and of its reference, from 1
    for number, example in enumerate(examples, start=1):
        for which, reference in enumerate((example.target, *example.references), start=1):
            if rules.prepare(reference).strip() != reference.strip():
                changed.append((number, which))
                break
    if not changed:
        return
    number, which = changed[0]
    where = place("target", number) + (f", reference {which}" if which > 1 else "")
    items = f"{len(changed):,} of {len(examples):,} items"
    if ComparedForm.of(config.tokenizer).normalization == rule:
        _log.info(
            "%s: the references of %s are not in Unicode %s; exact match, WER and SER compare them "
            "in this form, because the model writes only %s (tokenizer.target.normalization)",
            where,
            items,
            rule.upper(),
            rule.upper(),
        )
        return
    _log.warning(
        "%s: the references of %s are not normalised, but the model writes only normalised text "
        "(%s, tokenizer.target.normalization); such a reference never counts as an exact match; "
        "normalise the file, or train with another normalization",
        where,
        items,
        rule,
    )
