"""Error rates of symbol sequences such as phones: word error rate, symbol error rate, confusions.

The word error rate is the percentage of items whose output equals none of their references, as in
the SIGMORPHON shared tasks (Ashby et al. 2021). Edit distances are those of Levenshtein (1966).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seq2seq.config.schema import Config
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.evaluation.scores import Score, require_equal_lengths
from seq2seq.text.compared_form import PLAIN_FORM, ComparedForm
from seq2seq.text.segmentation import Segmentation, chosen_segmentation

SYMBOL_EDGES = (3, 5, 7, 9, 12, 16, 24)
_OF_TEXT, _OF_SYMBOLS = ("bleu", "chrf", "ter"), ("wer", "ser")  # values of validation.metric

Symbols = list[str]


@dataclass(frozen=True)
class SymbolSplitter:
    """The way in which the scores split a text into symbols.

    unit: The name of a symbol in signatures.
    split: A function that returns the symbols of a text.
    """

    unit: str
    split: Callable[[str], Symbols]


@dataclass(frozen=True)
class SymbolErrors:
    """The errors of a set of items. Each item is compared with the nearest of its references.

    items: The number of items.
    wrong: The number of items with at least one error.
    edits: The number of insertions, deletions and substitutions.
    symbols: The number of symbols in the nearest references.
    """

    items: int
    wrong: int
    edits: int
    symbols: int

    @property
    def word_error_rate(self) -> float:
        """The percentage of items with at least one error."""
        return 100 * self.wrong / self.items

    @property
    def symbol_error_rate(self) -> float:
        """The number of edits per 100 symbols of the references."""
        return 100 * self.edits / max(1, self.symbols)

    @property
    def mean_distance(self) -> float:
        """The mean number of edits per item."""
        return self.edits / self.items


@dataclass(frozen=True)
class SymbolLengthBucket:
    """The errors of the items whose sources have `low` to `high` symbols.

    high: None if there is no upper limit.
    """

    low: int
    high: int | None
    errors: SymbolErrors


@dataclass(frozen=True)
class Confusion:
    """A symbol of the references that outputs replace by another symbol, insert, or leave out.

    reference: The symbol in the references, or "" if the outputs insert a symbol.
    output: The symbol in the outputs, or "" if the outputs leave the symbol out.
    count: The number of times that this confusion occurs.
    """

    reference: str
    output: str
    count: int


def symbol_splitter(settings: TokenizerConfig) -> SymbolSplitter:
    """Return the splitter that the scores use for a text, given the settings of its tokenizer.

    If the tokens are subwords, the scores split the text into characters.
    """
    if settings.kind == "word":
        return SymbolSplitter("word", str.split)
    segmentation = chosen_segmentation(settings)
    if segmentation is None:
        return SymbolSplitter("code point", list)
    if settings.kind == "symbols":
        return SymbolSplitter(f"symbol|separator:{settings.separator!r}", segmentation.split)
    return SymbolSplitter("grapheme", Segmentation().split)


def scored_by_text(config: Config) -> bool:
    """Return whether translations are scored by BLEU, chrF and TER."""
    kind, metric = config.tokenizer.of("target").kind, config.validation.metric
    if kind == "char" and metric in _OF_SYMBOLS:  # such as single words, too short for BLEU
        return False
    return kind != "symbols" or metric in _OF_TEXT


def scored_by_symbols(config: Config) -> bool:
    """Return whether translations are scored by error rates of symbols."""
    kind, metric = config.tokenizer.of("target").kind, config.validation.metric
    return kind == "symbols" or metric in _OF_SYMBOLS


class SymbolComparison:
    """A comparison of a model's outputs, each with the nearest of its references."""

    def __init__(
        self,
        hypotheses: Sequence[str],
        references: Sequence[str],
        splitter: SymbolSplitter,
        *,
        form: ComparedForm = PLAIN_FORM,
        more_references: Sequence[Sequence[str]] = (),
    ) -> None:
        """Split all lines into symbols, and find the nearest reference of each hypothesis.

        hypotheses: The outputs of the model.
        references: One reference for each hypothesis.
        form: The form in which outputs and references are compared.
        more_references: Lists of further references, each with one line for each hypothesis. An
            empty line is no reference.
        Raises UserError if the numbers of lines differ or if there are no lines.
        """
        streams = require_equal_lengths(hypotheses, references, more_references)
        self._unit, self._form = splitter.unit, form
        self._references = len(streams)

        def symbols(line: str) -> Symbols:
            return splitter.split(form.apply(line))

        self._pairs: list[tuple[Symbols, Symbols, int]] = []
        for hypothesis, first, *others in zip(hypotheses, *streams, strict=True):
            output = symbols(hypothesis)
            known = [symbols(first), *(symbols(line) for line in others if line.strip())]
            distances = [0] if output in known else [edit_distance(one, output) for one in known]
            least = min(distances)
            nearest = output if output in known else known[distances.index(least)]
            self._pairs.append((nearest, output, least))

    def errors(self, rows: Sequence[int] | None = None) -> SymbolErrors:
        """Return the errors of the items with the numbers `rows`, or of all items."""
        pairs = self._pairs if rows is None else [self._pairs[row] for row in rows]
        return SymbolErrors(
            len(pairs),
            sum(distance > 0 for _, _, distance in pairs),
            sum(distance for _, _, distance in pairs),
            sum(len(reference) for reference, _, _ in pairs),
        )

    def scores(self) -> list[Score]:
        """Return the word error rate, the symbol error rate and the mean edit distance."""
        errors = self.errors()
        counted = f"unit:{self._unit}|lines:{errors.items}"
        signature = f"nrefs:{self._references}|{self._form.signature}|{counted}"
        return [
            Score("WER", errors.word_error_rate, signature),
            Score("SER", errors.symbol_error_rate, signature),
            Score("edit distance", errors.mean_distance, signature),
        ]

    def confusions(self, most: int) -> list[Confusion]:
        """Return the most frequent confusions. The maximum number of confusions is `most`."""
        counts: Counter[tuple[str, str]] = Counter()
        for reference, output, distance in self._pairs:
            if distance:
                pairs = align_symbols(reference, output)
                counts.update(pair for pair in pairs if pair[0] != pair[1])
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [Confusion(*pair, count) for pair, count in ranked[:most]]

    def by_length(self, lengths: Sequence[int]) -> list[SymbolLengthBucket]:
        """Return the errors by source length, without empty buckets.

        lengths: The length of each source, in symbols.
        """
        parts: list[list[int]] = [[] for _ in range(len(SYMBOL_EDGES) + 1)]
        for row, length in enumerate(lengths):
            parts[bisect_left(SYMBOL_EDGES, length)].append(row)
        lows = (0, *(edge + 1 for edge in SYMBOL_EDGES))
        return [
            SymbolLengthBucket(low, high, self.errors(rows))
            for low, high, rows in zip(lows, (*SYMBOL_EDGES, None), parts, strict=True)
            if rows
        ]


def edit_distance(reference: Sequence[str], output: Sequence[str]) -> int:
    """Return the smallest number of symbol edits that change `reference` into `output`.

    An edit is an insertion, a deletion or a substitution.
    """
    start, ends = 0, (len(reference), len(output))
    while start < min(ends) and reference[start] == output[start]:
        start += 1
    while min(ends) > start and reference[ends[0] - 1] == output[ends[1] - 1]:
        ends = (ends[0] - 1, ends[1] - 1)
    return _distances(reference[start : ends[0]], output[start : ends[1]])[-1][-1]


def align_symbols(reference: Sequence[str], output: Sequence[str]) -> list[tuple[str, str]]:
    """Return the symbols of `reference`, each paired with its symbol in `output`.

    The pairs have the smallest number of edits. Inserted symbols are paired with "", and so are
    deleted symbols.
    """
    table = _distances(reference, output)
    i, j, pairs = len(reference), len(output), []
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + (reference[i - 1] != output[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((reference[i], output[j]))
        elif i and table[i][j] == table[i - 1][j] + 1:
            i -= 1
            pairs.append((reference[i], ""))
        else:
            j -= 1
            pairs.append(("", output[j]))
    return pairs[::-1]


def _distances(reference: Sequence[str], output: Sequence[str]) -> list[list[int]]:
    """Return a table whose entry [i][j] is the edit distance of the first i and first j symbols."""
    table = [list(range(len(output) + 1))]
    for i, symbol in enumerate(reference, start=1):
        above, row = table[-1], [i]
        for j, other in enumerate(output):
            row.append(min(above[j] + (symbol != other), above[j + 1] + 1, row[j] + 1))
        table.append(row)
    return table
