"""seq2seq plot curves | attention | lengths | costs"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from seq2seq.cli import line_io
from seq2seq.errors import UserError

if TYPE_CHECKING:
    from seq2seq.evaluation.cost_plot import Cost


@click.group()
def plot_group() -> None:
    """Draw pictures (.png, .svg, .pdf)."""


@plot_group.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: RUN/curves.png]")
def curves(run: Path, output: Path | None) -> None:
    """Losses and validation BLEU of the run folder RUN."""
    from seq2seq.evaluation.plots import plot_curves

    plot_curves(run / "metrics.jsonl", output or run / "curves.png")


@plot_group.command()
@click.argument("alignments", type=click.Path(path_type=Path))
@click.option("--line", type=click.IntRange(1), default=1, show_default=True, help="Which one.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def attention(alignments: Path, line: int, output: Path) -> None:
    """What a translation looked at: a line of what `translate --alignments FILE.jsonl` wrote."""
    from seq2seq.evaluation.attention_plot import plot_attention

    plot_attention(alignments, line, output)


@plot_group.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--variants", default="", metavar="PREFIX", help="Those that begin with this.")
@click.option("--split", default="val", show_default=True)
@click.option("--decoding", default="greedy", show_default=True, help="As RESULTS.md says it.")
@click.option("--metric", default="BLEU", show_default=True)
@click.option(
    "--against",
    type=click.Choice(["minutes", "parameters"]),
    default="minutes",
    show_default=True,
)
@click.option("--name", "named", multiple=True, help="A variant to name beside the best.")
@click.option(
    "--lowest", type=float, help="Where the axis begins; what is below stands at its foot."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def costs(
    results: Path,
    variants: str,
    split: str,
    decoding: str,
    metric: str,
    against: Cost,
    named: tuple[str, ...],
    lowest: float | None,
    output: Path,
) -> None:
    """The variants in RESULTS (a results.jsonl): a score against what it costs."""
    from seq2seq.evaluation import cost_plot as study
    from seq2seq.evaluation.result_rows import read_rows

    variant_costs = study.select_variants(
        read_rows(results),
        prefix=variants,
        split=split,
        decoding=decoding,
        metric=metric,
        cost=against,
    )
    study.plot_costs(
        variant_costs,
        output,
        metric=f"{metric} on {split}",
        cost=against,
        named=named,
        lowest=lowest,
    )


@plot_group.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("systems", nargs=-1, required=True, metavar="NAME=FILE...")
@click.option(
    "--language", default="", help="Of REFERENCE, where no spaces part its words: zh, ..."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def lengths(
    source: Path, reference: Path, systems: tuple[str, ...], language: str, output: Path
) -> None:
    """BLEU by source length of one system's translations or several."""
    from seq2seq.evaluation.lengths import bleu_by_length
    from seq2seq.evaluation.plots import plot_lengths
    from seq2seq.text.languages import bleu_tokenizer

    sources, references = line_io.read_all_lines(source), line_io.read_all_lines(reference)
    buckets = {}
    for system in systems:
        name, equals, file = system.partition("=")
        if not equals:
            raise UserError(f"{system}: write NAME=FILE, the name to show and the translations")
        buckets[name] = bleu_by_length(
            sources, line_io.read_all_lines(Path(file)), references, tokens=bleu_tokenizer(language)
        )
    plot_lengths(buckets, output)
