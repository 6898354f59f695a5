"""Rows of results: one figure each, with all it takes to make that figure again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError
from seq2seq.evaluation.provenance import (
    RESULT_FILES,
    current_commit,
    describe_hardware,
    dirty_files,
    git_root,
)
from seq2seq.evaluation.results_page import ResultRow, render_results
from seq2seq.evaluation.scores import Score
from seq2seq.files import append_line, read_jsonl, write_atomically

if TYPE_CHECKING:
    import torch

__all__ = ["ResultRow", "append_row", "make_row", "read_rows", "render_results", "write_results"]

# What every row holds, and of which type: a row made by hand is checked when it is read.
_FIELDS: dict[str, tuple[type, ...]] = {
    "recipe": (str,),
    "variant": (str,),
    "seed": (int,),
    "split": (str,),
    "decoding": (dict,),
    "metrics": (list,),
    "parameters": (int,),
    "training_minutes": (int, float, type(None)),
    "seconds": (int, float),
    "lines": (int,),
    "command": (str,),
    "hardware": (dict,),
    "commit": (str,),
    "date": (str,),
}


def make_row(
    *,
    recipe: str,
    variant: str,
    seed: int,
    split: str,
    decoding: Mapping[str, object],
    scores: Sequence[Score],
    parameters: int,
    training_minutes: float | None,
    seconds: float,
    lines: int,
    command: str,
    device: torch.device | None = None,
    training: Mapping[str, object] | None = None,
) -> ResultRow:
    """One result, ready for `append_row`: what is given, and the hardware, commit and date of now.

    ``decoding`` holds the settings of the search, as ``{"beam": 5, "length_penalty": 1.0}`` (a
    beam of 1 is greedy), and is empty where nothing was searched. ``parameters`` are counted in
    ones; ``training_minutes`` is None where unknown; ``seconds`` is how long the ``lines`` took
    on ``device``. ``command`` is the one that makes the figure again. The commit is that of the
    repository around the working directory. ``training`` holds the ``hardware`` and the ``commit``
    of the training, where they are known.

    Raises UserError for a score that is not finite.
    """
    for score in scores:
        if not math.isfinite(score.value):
            raise UserError(f"{score.name} of {variant} on {split} is {score.value}: not recorded")
    return {
        "recipe": recipe,
        "variant": variant,
        "seed": seed,
        "split": split,
        "decoding": dict(decoding),
        "metrics": [asdict(score) for score in scores],
        "parameters": parameters,
        "training_minutes": training_minutes,
        "seconds": seconds,
        "lines": lines,
        "command": command,
        "hardware": describe_hardware(device),
        "commit": current_commit(Path.cwd()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **({"training": dict(training)} if training else {}),
    }


def append_row(path: Path, row: ResultRow, *, require_clean: Path | None) -> None:
    """Adds a row to a results.jsonl, all of it or nothing; it is on the disk when this returns.

    ``require_clean`` is a folder whose whole git tree must hold nothing uncommitted but the file
    itself and the RESULTS.md beside it: a recorded figure must belong to a commit.

    Raises UserError for a dirty tree (naming the first files), where the file ends in a line
    that was cut short (naming file and line), and where the file cannot be written.
    """
    if require_clean is not None:
        require_clean_tree(path, require_clean)
    append_line(path, json.dumps(row, ensure_ascii=False, allow_nan=False))


def require_clean_tree(path: Path, folder: Path) -> None:
    """Raises UserError where the git tree of `folder` holds anything uncommitted but recorded
    results, of which no figure is made: to be asked before a long evaluation, too. `path`: what is
    to be recorded in, and is named."""
    dirty = [file for file in dirty_files(folder) if file.name not in RESULT_FILES]
    if dirty:
        root = git_root(folder)
        names = ", ".join(file.relative_to(root).as_posix() for file in dirty[:3])
        more = f" and {len(dirty) - 3} more" if len(dirty) > 3 else ""
        raise UserError(
            f"{path}: nothing recorded, {root} has changes that are not committed "
            f"({names}{more}): commit or stash them first"
        )


def read_rows(path: Path) -> list[ResultRow]:
    """The rows of a results.jsonl in file order.

    Raises UserError, naming file and line, for a line that is not JSON, that was cut short, or
    that lacks a field or has one of the wrong type.
    """
    rows = []
    for number, row in read_jsonl(path):
        for name, types in _FIELDS.items():
            if not isinstance(row.get(name, Ellipsis), types):
                wrong = f"has a wrong {name!r}" if name in row else f"has no {name!r}"
                raise UserError(f"{path}:{number}: the row {wrong}: mend or delete the line")
        for metric in row["metrics"]:
            if not _is_score(metric):
                raise UserError(
                    f"{path}:{number}: a metric needs a name, a value that is a number, and a "
                    "signature: mend the line"
                )
        rows.append(row)
    return rows


def write_results(folder: Path) -> Path:
    """Makes RESULTS.md from the results.jsonl of a folder, and gives its path.

    Raises UserError where the rows cannot be read or the file cannot be written.
    """
    folder = folder.resolve()
    text = render_results(read_rows(folder / "results.jsonl"), f"Results: {folder.name}")
    header = f'<!-- made by "seq2seq results {_shown(folder)}" from results.jsonl; do not edit -->'
    target = folder / "RESULTS.md"
    # A command may hold bytes of a file name that are no text; they must not stop the table.
    write_atomically(target, f"{header}\n\n{text}".encode(errors="replace"))
    return target


def _is_score(metric: object) -> bool:
    return (
        isinstance(metric, dict)
        and isinstance(metric.get("name"), str)
        and isinstance(metric.get("value"), int | float)
        and isinstance(metric.get("signature"), str)
    )


def _shown(folder: Path) -> str:
    """The folder as one types it at the top of the repository: the same text on every machine."""
    try:
        return folder.relative_to(git_root(folder)).as_posix()
    except UserError:
        return folder.name
