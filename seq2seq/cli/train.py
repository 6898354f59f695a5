"""The command `seq2seq train`."""

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
    help="Override one value of the configuration. Repeat the option for several values.",
)
@click.option(
    "--from",
    "start_from",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Start from the weights and the vocabulary of the model folder MODEL, with a fresh "
    "optimiser. If CONFIG does not set a key of the tokenizer or of the network, the value of "
    "MODEL is used.",
)
@click.option(
    "--resume", is_flag=True, help="Resume the run from the last checkpoint in the run folder."
)
@click.option(
    "--profile",
    is_flag=True,
    help="Measure how long each part of the training takes, and write the times to profile.txt in "
    "the run folder.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the model, the checkpoints and the logs to this run folder.  "
    "[default: runs/<folder of CONFIG>/<name of CONFIG>]",
)
def train_command(
    config: Path,
    settings: tuple[str, ...],
    start_from: Path | None,
    resume: bool,
    profile: bool,
    out: Path | None,
) -> None:
    """Train the model that the configuration file CONFIG (TOML) describes.

    The command first learns a subword vocabulary and encodes the data. If the run folder already
    holds the vocabulary and the encoded data, the command reuses them. Ctrl-C saves the run and
    stops the training. --resume continues exactly where the training stopped. To train with N
    processes, run:
    torchrun --nproc-per-node N -m seq2seq train CONFIG
    """
    from seq2seq.config import toml
    from seq2seq.training.run_folder import default_folder
    from seq2seq.training.run_training import train_model
    from seq2seq.training.start import open_start
    from seq2seq.training.stopping import Interrupted

    folder = out or default_folder(config)
    start = open_start(start_from, folder, resume=resume)
    loaded = toml.load_config(config, settings, base=None if start is None else start.base)
    command = shlex.join(["seq2seq", *sys.argv[1:]])
    try:
        train_model(loaded, folder, resume=resume, profiled=profile, command=command, start=start)
    except Interrupted as stop:
        click.echo(str(stop), err=True)
        sys.exit(128 + stop.number)
