"""The command `seq2seq export`."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import click

from seq2seq.cli.options import output_option

_log = logging.getLogger(__name__)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@output_option("Folder to write the export to. An older export there is replaced.", required=True)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp32"]),
    default="int8",
    show_default=True,
    help="Number format of the matrix products. `int8` is faster and smaller, and its results do "
    "not depend on the batch. `fp32` gives the same results as PyTorch, up to rounding.",
)
@click.option(
    "--shortlist",
    is_flag=True,
    help="Let the model write only frequent subwords and likely translations of the source "
    "subwords. The training pairs, which must be readable, show which translations are likely. "
    "Translation is faster, and some translations change a little.",
)
@click.option(
    "--web",
    is_flag=True,
    help="Write a folder with a web page that runs MODEL in the browser. Any web server can offer "
    "the folder. MODEL can be a model folder or an export. This option needs the npm package "
    "onnxruntime-web in the folder node_modules of the current folder.",
)
def export_command(model: Path, output: Path, precision: Any, shortlist: bool, web: bool) -> None:
    """Write MODEL as an export: ONNX graphs that run without PyTorch.

    Every command that takes a model folder also takes an export. The export is compared with MODEL,
    and the difference is printed.
    """
    from seq2seq.errors import UserError
    from seq2seq.export.artifact import is_export, load_export
    from seq2seq.export.writer import export_model
    from seq2seq.models.folder import load_model
    from seq2seq.serve.web_export import (
        find_runtime,
        is_web_folder,
        require_web_model,
        write_web_folder,
    )

    if web:
        if shortlist:
            raise UserError(
                "--web cannot be combined with --shortlist: leave out one of the two options"
            )
        if output.exists() and not is_web_folder(output):
            raise UserError(
                f"{output}: this folder exists and seq2seq export --web did not write it; choose "
                "another folder"
            )
        loaded = None if is_export(model) else load_model(model, locate_data=True)
        require_web_model(loaded or load_export(model), model)
        runtime = find_runtime(Path())
        with tempfile.TemporaryDirectory() as aside:
            export = model
            if loaded is not None:
                export = Path(aside) / "export"
                export_model(loaded, export, precision)
            write_web_folder(export, output, runtime, model.resolve().name)
        click.echo(f"wrote {output}: try it with python -m http.server --directory {output}")
        return
    if output.exists() and not is_export(output):
        raise UserError(f"{output}: this folder exists and is not an export; choose another folder")
    difference = export_model(
        load_model(model, locate_data=True), output, precision, shortlist=shortlist
    )
    click.echo(
        f"wrote {output}: over {difference.tokens:,} predictions, the largest difference of a "
        f"log-probability is {difference.largest:.2g} nats, the mean divergence "
        f"{difference.divergence:.2g} nats, and the most likely token is the same in "
        f"{100 * difference.agreement:.1f} %"
    )
