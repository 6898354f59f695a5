"""The command `seq2seq serve`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from seq2seq.cli.options import MODEL_OPTIONS, model_folders, with_model_options
from seq2seq.errors import UserError

_PACKAGES = ("httptools", "prometheus_client", "py3langid", "python_multipart", "starlette")


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="NAME=MODEL...")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address that the server listens on. 0.0.0.0 means all addresses of this machine.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port that the server listens on. 0 lets the system choose a free port.",
)
@click.option(
    "--jobs",
    type=click.IntRange(0),
    default=0,
    help="Number of worker processes. Each worker process opens all models. 0 means one process "
    "per CPU core if all models are exports, and a single process otherwise.  [default: 0]",
)
@click.option(
    "--beam",
    type=click.IntRange(1, 16),
    default=5,
    show_default=True,
    help="Beam size for requests that do not set a beam size. 1 means greedy search.",
)
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    help="TOML file with a table for each client, which holds the API key of the client. The "
    "environment variable SEQ2SEQ_API_KEYS may hold further keys, separated by commas. If the "
    "server has API keys, every request that uses a model must send one of these keys.",
)
@click.option(
    "--no-key",
    is_flag=True,
    help="Let the server run without API keys on an address that other machines can reach. "
    "Everybody who can reach this address can then use the models.",
)
@click.option(
    "--max-characters",
    type=click.IntRange(0),
    default=200_000,
    show_default=True,
    help="Maximum number of characters in a request. 0 means no limit.",
)
@click.option(
    "--max-texts",
    type=click.IntRange(0),
    default=2000,
    show_default=True,
    help="Maximum number of texts in a request. 0 means no limit.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(0),
    default=0,
    help="Maximum number of requests per minute for each API key, or for each client address if "
    "the server has no API keys. 0 means no limit.  [default: 0]",
)
@click.option(
    "--max-waiting",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    help="Maximum number of text lines that may wait for a worker process. If more lines wait, the "
    "server refuses further requests with the HTTP status 429.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 86_400.0),
    callback=lambda context, option, value: _no_nan(value),
    default=120.0,
    show_default=True,
    help="Time limit for a request, in seconds. A client whose request takes longer gets the HTTP "
    "status 503.",
)
@click.option(
    "--log-texts", is_flag=True, help="Write the texts of all requests to the log on stderr."
)
@with_model_options
def serve_command(
    models: tuple[str, ...],
    host: str,
    port: int,
    jobs: int,
    beam: int,
    keys: Path | None,
    no_key: bool,
    max_characters: int,
    max_texts: int,
    max_requests: int,
    max_waiting: int,
    timeout: float,
    log_texts: bool,
    **machine: Any,
) -> None:
    """Serve models over HTTP, through LibreTranslate's interface and seq2seq's own interface.

    MODEL is a model folder, an export, or several folders A,B,C of an ensemble. NAME is the name of
    the model in requests. A NAME such as en-fr sets the languages; otherwise they come from the
    model. The page /docs of the server describes both interfaces.
    """
    _require_packages()
    from seq2seq.export.manifest_file import is_export
    from seq2seq.serve.access import UseLimits, is_loopback, load_keys
    from seq2seq.serve.dispatcher import Dispatcher
    from seq2seq.system import usable_cores

    limits = UseLimits(characters=max_characters, texts=max_texts, requests=max_requests)
    known = load_keys(keys, limits)
    if not (known.are_required or no_key or is_loopback(host)):
        raise UserError(
            f"other machines can reach {host}: give API keys (--keys, SEQ2SEQ_API_KEYS), or add "
            "--no-key to serve everybody"
        )
    folders = _name_folders(models)
    if not jobs:
        jobs = usable_cores() if all(is_export(parts[0]) for parts in folders.values()) else 1
    machine = {name: machine[name] for name in MODEL_OPTIONS}
    dispatcher = Dispatcher(folders, machine, jobs=jobs, most_waiting=max_waiting)
    dispatcher.launch()  # the workers open the models while this process imports the rest
    try:
        from seq2seq.serve.catalogue import Catalogue, describe_model
        from seq2seq.serve.log_lines import log_as_json
        from seq2seq.serve.metrics import ServerMetrics
        from seq2seq.serve.run import run_server
        from seq2seq.serve.service import ServerSettings, Service

        catalogue = Catalogue(describe_model(name, parts) for name, parts in folders.items())
        metrics = ServerMetrics()
        dispatcher.observe = metrics.observe_batch
        dispatcher.count_death = metrics.deaths.inc
        settings = ServerSettings(beam=beam, timeout=timeout, log_texts=log_texts)
        service = Service(catalogue, dispatcher, known, settings)
        # The first line of the log, which names the address, is for people.
        run_server(service, metrics, host=host, port=port, started=lambda *_: log_as_json())
    finally:
        dispatcher.close()


def _name_folders(models: Sequence[str]) -> dict[str, list[Path]]:
    """Return the folders of each model, with the model's name as the key."""
    from seq2seq.serve.catalogue import split_name

    folders: dict[str, list[Path]] = {}
    for argument in models:
        name, parts = split_name(argument)
        if name in folders:
            raise UserError(
                f"two models have the name {name!r}: give one of them another name with NAME=MODEL"
            )
        folders[name] = model_folders(parts)
        for folder in folders[name]:
            if not (folder / "config.toml").is_file():
                raise UserError(
                    f"{folder} is neither a model folder nor an export, because it contains no "
                    "config.toml; check the path"
                )
    return folders


def _no_nan(seconds: float) -> float:
    if math.isnan(seconds):
        raise UserError("--timeout nan: give a number of seconds")
    return seconds


def _require_packages() -> None:
    """Raise UserError if a package of the pip extra `serve` is not installed."""
    from importlib.util import find_spec

    missing = [name for name in (*_PACKAGES, "uvicorn") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"seq2seq serve needs the missing Python packages {', '.join(missing)}: run pip "
            "install 'seq2seq-rnn[serve]'"
        )
