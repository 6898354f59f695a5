"""Logging to stderr, and the options `-v` and `-q`, which set how much a command logs."""

from __future__ import annotations

import logging
import platform
import sys
from typing import TextIO

import click

from seq2seq import __version__

_log = logging.getLogger(__name__)
_PACKAGE = logging.getLogger("seq2seq")
_CHATTY = ("datasets", "httpx", "fsspec", "sacrebleu")


class _StderrHandler(logging.StreamHandler[TextIO]):
    """A log handler that looks up `sys.stderr` again for every message.

    While a progress bar is shown, `sys.stderr` is another object, which prints messages above the
    bar.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def set_up_logging() -> None:
    """Send log messages of level INFO and above to stderr as plain lines."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    _PACKAGE.setLevel(logging.NOTSET)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


def add_verbosity_options(command: click.Command) -> click.Command:
    """Add the options -v and -q to a command. For a group, also add them to all its commands."""
    if not any(isinstance(option, _Verbosity) for option in command.params):
        command.params += [
            _Verbosity(["-v", "--verbose"], logging.DEBUG, help="Print more messages to stderr."),
            _Verbosity(
                ["-q", "--quiet"],
                logging.WARNING,
                help="Print only warnings and errors to stderr.",
            ),
        ]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_verbosity_options(inner)
    return command


class _Verbosity(click.Option):
    """The option -v or -q. It sets the log level before click processes all other options."""

    def __init__(self, names: list[str], level: int, help: str) -> None:
        super().__init__(
            names, is_flag=True, is_eager=True, expose_value=False, help=help, callback=self._apply
        )
        self.level = level

    def _apply(self, context: click.Context, _: click.Parameter, wanted: bool) -> None:
        """Set the log level if the option was given.

        Raises UsageError if both -v and -q were given.
        """
        if not wanted:
            return
        if context.meta.setdefault(__name__, self.level) != self.level:
            raise click.UsageError("-v and -q contradict each other; use only one of them")
        _PACKAGE.setLevel(self.level)
        if self.level > logging.INFO:  # --quiet silences other packages too
            logging.getLogger().setLevel(self.level)
        if not _log.isEnabledFor(logging.DEBUG):
            return
        releases = ", ".join(map(_release, ("torch", "sentencepiece", "sacrebleu")))
        _log.debug("Python %s, seq2seq %s, %s", platform.python_version(), __version__, releases)


def _release(package: str) -> str:
    """Return the name and version of a package."""
    from importlib.metadata import PackageNotFoundError, version  # takes 50 ms

    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"
