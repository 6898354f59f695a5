"""How much every command says on stderr: `-v` and `-q`."""

from __future__ import annotations

import logging
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TextIO

import click

_log = logging.getLogger(__name__)
_PACKAGE = logging.getLogger("seq2seq")
_CHATTY = ("datasets", "httpx", "fsspec", "sacrebleu")


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at the time: a live line replaces it, and keeps itself below
    what is written."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def set_up_logging() -> None:
    """Send log messages to stderr as plain lines: information, warnings and errors."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    _PACKAGE.setLevel(logging.NOTSET)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


def add_verbosity_options(command: click.Command) -> click.Command:
    """Give a command, or a group and all commands in it, the options -v and -q."""
    if not any(isinstance(option, _Verbosity) for option in command.params):
        command.params += [
            _Verbosity(["-v", "--verbose"], logging.DEBUG, help="Say more on stderr."),
            _Verbosity(
                ["-q", "--quiet"],
                logging.WARNING,
                help="Say nothing on stderr but warnings and errors.",
            ),
        ]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_verbosity_options(inner)
    return command


class _Verbosity(click.Option):
    """A flag that sets the level of what is logged, before other options are looked at."""

    def __init__(self, names: list[str], level: int, help: str) -> None:
        super().__init__(
            names, is_flag=True, is_eager=True, expose_value=False, help=help, callback=self._apply
        )
        self.level = level

    def _apply(self, context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if not wanted:
            return
        if context.meta.setdefault(__name__, self.level) != self.level:
            raise click.UsageError("-v and -q: leave out either of them")
        _PACKAGE.setLevel(self.level)
        if self.level > logging.INFO:  # other packages too
            logging.getLogger().setLevel(self.level)
        _log.debug("Python %s, %s", platform.python_version(), ", ".join(map(_release, _NAMED)))


_NAMED = ("seq2seq", "torch", "sentencepiece", "sacrebleu")


def _release(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:  # run from its sources
        return package
