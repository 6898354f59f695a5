"""The commands `seq2seq plot curves`, `attention`, `costs` and `lengths`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from seq2seq.cli import line_io
from seq2seq.cli.options import output_option
from seq2seq.errors import UserError

if TYPE_CHECKING:
    from seq2seq.evaluation.cost_plot import Cost


@click.group()
def plot_group() -> None:
    """Plot training curves, attention weights and scores to a .png, .svg or .pdf file."""


@plot_group.command()
@click.argument("run", type=click.Path(path_type=Path))
@output_option("Write the picture to this file.  [default: RUN/curves.png]")
def curves(run: Path, output: Path | None) -> None:
    """Plot the training loss, validation loss and validation score of the run folder RUN."""
    from seq2seq.evaluation.plots import plot_curves

    plot_curves(run / "metrics.jsonl", output or run / "curves.png")


@plot_group.command()
@click.argument("alignments", type=click.Path(path_type=Path))
@click.option(
    "--line",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of the input line to plot, counted from 1.",
)
@output_option("Write the picture to this file.", required=True)
def attention(alignments: Path, line: int, output: Path) -> None:
    """Plot the attention weights of one translation.

    ALIGNMENTS is a file that `seq2seq translate --alignments FILE.jsonl` wrote.
    """
    from seq2seq.evaluation.attention_plot import plot_attention

    plot_attention(alignments, line, output)


@plot_group.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--variants",
    default="",
    metavar="PREFIX",
    help="Plot only the models whose variant name in RESULTS.md begins with PREFIX.  [default: "
    "all]",
)
@click.option(
    "--split", default="val", show_default=True, help="Data set whose scores are plotted."
)
@click.option(
    "--decoding",
    default="greedy",
    show_default=True,
    help='Search settings whose scores are plotted, as the column "decoding" of RESULTS.md '
    "names them.",
)
@click.option(
    "--metric", default="BLEU", show_default=True, help="Metric to plot, as RESULTS.md names it."
)
@click.option(
    "--against",
    type=click.Choice(["minutes", "parameters"]),
    default="minutes",
    show_default=True,
    help="Cost on the horizontal axis: minutes of training or number of parameters.",
)
@click.option(
    "--name",
    "named",
    multiple=True,
    help="Also write the name of this variant beside its point. Without this option, only "
    "variants that score above every cheaper variant are named. Repeat the option for several "
    "variants.",
)
@click.option(
    "--lowest",
    type=float,
    help="Lowest score on the vertical axis. A variant with a lower score is drawn at the bottom "
    "of the plot and labelled with its score.",
)
@output_option("Write the picture to this file.", required=True)
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
    """Plot score against cost, with one point for each variant in RESULTS, a results.jsonl file."""
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
    "--language",
    default="",
    help="Language of the texts in REFERENCE, as a code such as zh. BLEU needs the code only for a "
    "language that does not separate words by spaces.",
)
@output_option("Write the picture to this file.", required=True)
def lengths(
    source: Path, reference: Path, systems: tuple[str, ...], language: str, output: Path
) -> None:
    """Plot BLEU by source length for one or several systems.

    SOURCE and REFERENCE are text files. NAME is the name of a system, and FILE holds the
    translations of this system.
    """
    from seq2seq.evaluation.length_plots import plot_lengths
    from seq2seq.evaluation.lengths import bleu_by_length
    from seq2seq.text.scripts import choose_bleu_tokenizer

    sources, references = line_io.read_all_lines(source), line_io.read_all_lines(reference)
    tokens = choose_bleu_tokenizer(references, language).name
    buckets = {}
    for system in systems:
        name, equals, file = system.partition("=")
        if not equals:
            raise UserError(
                f"{system}: not of the form NAME=FILE; give the name of the system and the file "
                "with its translations"
            )
        buckets[name] = bleu_by_length(
            sources, line_io.read_all_lines(Path(file)), references, tokens=tokens
        )
    plot_lengths(buckets, output)
