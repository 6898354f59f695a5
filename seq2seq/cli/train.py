"""seq2seq train"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Lay a value over the configuration's; may be repeated.",
)
@click.option("--resume", is_flag=True, help="Go on with the run that the folder holds.")
@click.option("--profile", is_flag=True, help="Write where the time goes: profile.txt in the run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The run's folder  [default: runs/<folder of CONFIG>/<name of CONFIG>]",
)
def train_command(
    config: Path, settings: tuple[str, ...], resume: bool, profile: bool, out: Path | None
) -> None:
    """Train the model that CONFIG (TOML) describes.

    The subword vocabulary and the encoded data are made first when they are missing. Ctrl-C saves
    and leaves; --resume continues as if it had never stopped. On many processes or machines:
    torchrun --nproc-per-node N -m seq2seq train CONFIG.
    """
    from seq2seq.config import toml
    from seq2seq.training.run_folder import default_folder
    from seq2seq.training.run_training import train_model
    from seq2seq.training.stopping import Interrupted

    loaded = toml.load_config(config, settings)
    folder = out or default_folder(config)
    command = shlex.join(["seq2seq", *sys.argv[1:]])
    try:
        train_model(loaded, folder, resume=resume, profiled=profile, command=command)
    except Interrupted as stop:
        click.echo(str(stop), err=True)
        sys.exit(128 + stop.number)
