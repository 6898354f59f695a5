"""The command line: parses options and prints results. Other packages do the work."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
from pathlib import Path

import click

from seq2seq import __version__
from seq2seq.cli.verbosity import add_verbosity_options, set_up_logging
from seq2seq.errors import UserError, did_you_mean
from seq2seq.signals import stop_cleanly

# The module of each command. A module is imported when its command is called, so that `--help`
# does not wait for torch.
_COMMANDS = {
    "config": "config",
    "train": "train",
    "translate": "translate",
    "bulk": "bulk",
    "score": "translate",
    "perplexity": "language",
    "generate": "language",
    "classify": "label",
    "tag": "label",
    "embed": "embed",
    "evaluate": "evaluate",
    "export": "export",
    "serve": "serve",
    "results": "evaluate",
    "plot": "plot",
    "tokenizer": "tokenizer",
}
_KINDS = {"plot": "group", "tokenizer": "group"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Commands(click.Group):
    """A click group that imports the module of a command only when the command is used."""

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
            hint = (
                did_you_mean(args[0], _COMMANDS)
                or "; run seq2seq --help for a list of all commands"
            )
            raise UserError(f"unknown command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="seq2seq")
def cli() -> None:
    """Train, use and evaluate recurrent sequence-to-sequence models and language models."""


add_verbosity_options(cli)


def main() -> None:
    """Run the command line.

    The exit code is 0 for success, 2 for a mistake of the user, and 128 + n if signal n stopped the
    program. It is 1 if the reader of stdout closed the pipe early (as `head` does).
    """
    if sys.stderr is None:  # stderr is closed: messages must not go to stdout instead
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open until the program ends
    _use_utf8()
    set_up_logging()
    # pydantic would look for plugins in every installed package, which takes 50 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # huggingface_hub reads this variable when it is imported.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if sys.stdin is None:  # stdin is closed: treat it as empty
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - open until the end
    if sys.stdout is None:
        _refuse("stdout is closed, so the output would be lost; redirect it to a file or /dev/null")
    stop_cleanly()
    try:
        cli.main(standalone_mode=False)
    except UserError as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:  # exports run without these packages
        if error.name not in ("torch", "datasets", "pyarrow", "safetensors", "matplotlib"):
            raise
        _refuse(
            f"the package {error.name} is not installed: run pip install seq2seq-rnn, or use a "
            "model that seq2seq export wrote"
        )
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
    except click.ClickException as error:
        _refuse(" ".join(error.format_message().split()))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)
    except MemoryError as error:
        _refuse(f"this process is out of memory ({error or 'MemoryError'}); free some memory")
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        reason, path = error.strerror or str(error), error.filename
        if path is None and error.errno in _FULL:  # the writes to files name their files
            path = "stdout"
        if path is not None:
            reason = f"{path}: {reason}; check the path, the permissions and the disk space"
        _refuse(reason)


def _use_utf8() -> None:
    """Use UTF-8 for arguments, stdin, stdout and stderr, whatever the locale is.

    Text files, models and pipes are always UTF-8, so another encoding would garble text or stop at
    the first letter that it lacks. In a locale with another encoding, Python has decoded the
    arguments with it, so this function starts the program again in Python's UTF-8 mode.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        arguments = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execv(sys.executable, list(map(os.fsencode, arguments)))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # PYTHONIOENCODING may set another encoding for these streams alone.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="utf-8", errors=stream.errors)


def _refuse(message: str) -> None:
    """Print an error message on one line of stderr, and exit with code 2."""
    print("error: " + " ".join(message.splitlines()), file=sys.stderr)
    sys.exit(2)
