"""The command `seq2seq bulk`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from seq2seq.cli.options import (
    SOURCE_OPTIONS,
    model_folders,
    with_model_options,
    with_search_options,
    with_source_options,
)


@click.command()
@click.argument("model")
@click.argument("input_folder", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Write the translated files to this folder, under the names of the input files.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    help="Number of worker processes. 0 uses all cores, or all GPUs, of this machine or of the "
    "cluster.  [default: 0]",
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    show_envvar=True,
    help="Address HOST:PORT of a Ray cluster, or auto for the cluster that this machine belongs "
    "to. Without an address, the workers run on this machine.",
)
@click.option(
    "--column",
    help="Column of a Parquet file that holds the texts to translate. Write a field of a struct "
    "column as COLUMN.FIELD.  [default: the source column of the training data]",
)
@click.option(
    "--new-column",
    default="translated",
    show_default=True,
    help="Name of the new column for the translations in a Parquet file.",
)
@with_source_options
@with_search_options
@with_model_options
def bulk_command(
    model: str,
    input_folder: Path,
    output: Path,
    workers: int,
    address: str | None,
    column: str | None,
    new_column: str,
    device: str,
    precision: str,
    threads: int,
    batch_size: int,
    **options: Any,
) -> None:
    """Translate all files of the folder INPUT with MODEL, on one or on many machines.

    A text file is translated line by line into a text file. A Parquet file is copied with one more
    column, which holds the translations. To continue after an interruption, run the same command
    again. It keeps the files that are finished. It translates a file again if the file, the model
    or an option has changed. --threads is the number of threads of each worker (default: 1).
    """
    from seq2seq.bulk.dispatch import translate_folder
    from seq2seq.bulk.worker import BulkOptions
    from seq2seq.cli.table_input import input_column
    from seq2seq.decoding.options import search_options
    from seq2seq.decoding.source_options import SourceOptions
    from seq2seq.errors import UserError, counted

    source = SourceOptions(**{name: options.pop(name) for name in SOURCE_OPTIONS})
    folders = model_folders(model)
    bulk = BulkOptions(
        folders=tuple(folder.resolve() for folder in folders),
        search=search_options(**options),
        source=source,
        column=column or str(input_column(folders[0])),
        new_column=new_column,
        device=device,
        precision=precision,
        batch_size=batch_size,
        threads=threads or 1,
    )
    done = translate_folder(input_folder, output, bulk, workers=workers, address=address)
    click.echo(
        f"{output}: {counted(done.translated, 'file')} translated ({counted(done.lines, 'line')}), "
        f"{done.finished:,} finished before, {len(done.failed):,} failed"
    )
    if done.failed:
        total = done.translated + done.finished + len(done.failed)
        raise UserError(
            f"{len(done.failed):,} of {counted(total, 'file')} not translated, for the reasons "
            "above; run the same command again to translate the rest"
        )
