"""The command line: no logic, only what a shell says and hears."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import click

from seq2seq import __version__
from seq2seq.cli.verbosity import add_verbosity_options, set_up_logging
from seq2seq.errors import UserError, did_you_mean

# Commands by the module that holds them, imported when called: `--help` need not wait for torch.
_COMMANDS = {
    "config": "config",
    "train": "train",
    "translate": "translate",
    "score": "translate",
    "perplexity": "language",
    "generate": "language",
    "classify": "label",
    "tag": "label",
    "evaluate": "evaluate",
    "results": "evaluate",
    "plot": "plot",
    "tokenizer": "tokenizer",
}
_KINDS = {"plot": "group", "tokenizer": "group"}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"seq2seq.cli.{_COMMANDS[name]}")
        command: click.Command = getattr(module, f"{name}_{_KINDS.get(name, 'command')}")
        return add_verbosity_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            raise UserError(f"no command {args[0]!r}{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="seq2seq")
def cli() -> None:
    """Recurrent sequence-to-sequence models and language models: train, use, score."""


add_verbosity_options(cli)


def main() -> None:
    """Run the command line: 0 done, 2 a mistake of the user's, 128 + n stopped by signal n, 1 a
    reader that has left (`| head`), of which click says nothing more."""
    if sys.stderr is None:  # closed: else what is said would go to stdout
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the program
    set_up_logging()
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # it sets its logger up when it is imported
    if sys.stdin is None:  # closed: there is nothing to read
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - as long as the program
    if sys.stdout is None:
        _refuse("stdout is closed: what is written would be lost; send it to a file or /dev/null")
    try:
        cli.main(standalone_mode=False)
    except UserError as error:
        _refuse(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
    except click.ClickException as error:
        _refuse(" ".join(error.format_message().split()))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        _refuse(f"{where}{error.strerror or error}")


def _refuse(message: str) -> None:
    print("error: " + " ".join(message.splitlines()), file=sys.stderr)
    sys.exit(2)
