"""The command `seq2seq config`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from seq2seq.cli.options import output_option
from seq2seq.errors import UserError

_log = logging.getLogger(__name__)


@click.command()
@click.argument("task", required=False)
@output_option("Write the configuration to this new file instead of stdout.")
@click.option(
    "--markdown",
    is_flag=True,
    help="Print a Markdown page that explains the keys of all tasks, instead of a configuration.",
)
def config_command(task: str | None, output: Path | None, markdown: bool) -> None:
    """Print a complete configuration for TASK, with an explanation of every key.

    The default TASK is translation. Save the output in a file, adapt its [data] section to
    your data, and pass the file to `seq2seq train`.
    """
    from seq2seq.config import reference
    from seq2seq.files import write_atomically
    from seq2seq.tasks import TRANSLATION, find_task

    if markdown and task is not None:
        raise UserError(f"--markdown describes all tasks; leave out the task {task!r}")
    try:
        wanted = TRANSLATION if task is None else find_task(task)
    except ValueError as error:
        raise UserError(str(error)) from None
    text = reference.render_page() if markdown else reference.render_toml(wanted)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists() or output.is_symlink():
        raise UserError(f"{output}: the file already exists; delete it or choose another name")
    write_atomically(output, text.encode())
    _log.info("wrote %s", output)
