"""Format the output of `seq2seq evaluate`, as JSON or as text."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seq2seq.errors import counted
from seq2seq.evaluation.confusion_labels import confusion_labels
from seq2seq.evaluation.evaluation_result import EvaluationResult


def as_json(name: str, result: EvaluationResult, lines: int) -> dict[str, object]:
    """Return the result of an evaluation as a dictionary for JSON.

    name: The name of the data set.
    lines: The number of lines in the data set.
    """
    values: dict[str, object] = {
        "set": name,
        "lines": lines,
        "seconds": result.seconds,
        "scores": [asdict(score) for score in result.scores],
    }
    if result.bleu_tokens is not None:
        values["bleu_tokenizer"] = result.bleu_tokens.name
    if result.by_length:
        values["by_length"] = [asdict(bucket) for bucket in result.by_length]
    if result.symbols_by_length:
        values["errors_by_length"] = [
            {
                "low": bucket.low,
                "high": bucket.high,
                "lines": bucket.errors.items,
                "wer": bucket.errors.word_error_rate,
                "ser": bucket.errors.symbol_error_rate,
            }
            for bucket in result.symbols_by_length
        ]
        values["confusions"] = [asdict(one) for one in result.confusions]
    if result.confusion is not None:
        values |= {"labels": result.names, "confusion": result.confusion.tolist()}
    return values


def print_report(name: str, result: EvaluationResult, lines: int) -> None:
    """Print the scores and, for a translator, a table of BLEU or error rates by source length.

    For symbols, also print a table of the most frequent confusions.

    name: The name of the data set.
    lines: The number of lines in the data set.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{name}: {counted(lines, 'line')}, {lines / result.seconds:,.0f} lines per second"
    )
    for score in result.scores:
        console.print(f"{score.name} {score.value:.2f}   {score.signature}", markup=False)
    if result.bleu_tokens is not None:
        name, reason = result.bleu_tokens.name, result.bleu_tokens.reason
        console.print(
            f"BLEU tokenizer: {name} ({reason}; --tokenize chooses another)", markup=False
        )
    if result.by_length:
        _print_bleu(console, result)
    if result.symbols_by_length:
        _print_symbols(console, result)


def _print_bleu(console: Console, result: EvaluationResult) -> None:
    table = Table(title="BLEU by source length", title_justify="left")
    for heading in ("words", "lines", "BLEU", "length ratio"):
        table.add_column(heading, justify="right")
    for bucket in result.by_length:
        words = f"{bucket.low}+" if bucket.high is None else f"{bucket.low}-{bucket.high}"
        table.add_row(
            words, f"{bucket.lines:,}", f"{bucket.bleu:.2f}", f"{bucket.length_ratio:.3f}"
        )
    console.print(table)


def _print_symbols(console: Console, result: EvaluationResult) -> None:
    table = Table(title="Errors by source length", title_justify="left")
    for heading in ("symbols", "lines", "WER", "SER"):
        table.add_column(heading, justify="right")
    for bucket in result.symbols_by_length:
        errors = bucket.errors
        length = f"{bucket.low}+" if bucket.high is None else f"{bucket.low}-{bucket.high}"
        rates = (f"{errors.word_error_rate:.2f}", f"{errors.symbol_error_rate:.2f}")
        table.add_row(length, f"{errors.items:,}", *rates)
    console.print(table)
    if not result.confusions:
        return
    table = Table(title="Most frequent confusions", title_justify="left")
    for heading in ("reference", "output", "count"):
        table.add_column(heading, justify="right" if heading == "count" else "left")
    labels = confusion_labels(result.confusions)
    for (reference, output), one in zip(labels, result.confusions, strict=True):
        table.add_row(Text(reference), Text(output), f"{one.count:,}")
    console.print(table)
