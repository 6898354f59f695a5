"""Rows of results.jsonl. A row holds the scores of an evaluation and the command to repeat it."""

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

# The required fields of a row and their types. Rows are checked when they are read, because a file
# may have been edited by hand.
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
    """Return one row for `append_row`. The current hardware, commit and date are added.

    The commit is the current commit of the git repository of the working directory.

    decoding: The settings of the search, such as `{"beam": 5, "length_penalty": 1.0}`. A beam of 1
        means greedy search. Empty if there was no search.
    parameters: The number of parameters of the model.
    training_minutes: The training time in minutes, or None if unknown.
    seconds: The time of the evaluation in seconds.
    lines: The number of lines that were evaluated.
    command: The command that reproduces the scores.
    device: The device of the evaluation.
    training: The `hardware` and the `commit` of the training, if they are known.

    Raises UserError if a score is not finite.
    """
    for score in scores:
        if not math.isfinite(score.value):
            raise UserError(
                f"{score.name} of {variant} on {split} is {score.value}, not a finite number: "
                "the result was not recorded"
            )
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
    """Append a row to a results.jsonl file and flush the file to the disk.

    If writing fails, the file does not get an incomplete row.

    path: The results.jsonl file.
    require_clean: A folder whose git repository must not have uncommitted changes, because a
        recorded result must belong to a commit. Changes of results.jsonl and RESULTS.md do not
        count.

    Raises UserError if there are uncommitted changes, if the file ends in an incomplete line, or if
    the file cannot be written. The message names the changed files or the incomplete line.
    """
    if require_clean is not None:
        require_clean_tree(path, require_clean)
    append_line(path, json.dumps(row, ensure_ascii=False, allow_nan=False))


def require_clean_tree(path: Path, folder: Path) -> None:
    """Raise UserError if the git repository of `folder` has uncommitted changes.

    Changes of results.jsonl and RESULTS.md do not count. Call this function before a long
    evaluation too, so that recording its result cannot fail for this reason.

    path: The results.jsonl file that the message names.
    """
    dirty = [file for file in dirty_files(folder) if file.name not in RESULT_FILES]
    if dirty:
        root = git_root(folder)
        names = ", ".join(file.relative_to(root).as_posix() for file in dirty[:3])
        more = f" and {len(dirty) - 3} more" if len(dirty) > 3 else ""
        raise UserError(
            f"{path}: the result was not recorded: {root} has uncommitted changes "
            f"({names}{more}); commit or stash them first"
        )


def read_rows(path: Path) -> list[ResultRow]:
    """Return the rows of a results.jsonl, in the order of the file.

    Raises UserError if a line is not JSON, is incomplete, lacks a field, or has a field of the
    wrong type. The message names the file and the line.
    """
    rows = []
    for number, row in read_jsonl(path):
        for name, types in _FIELDS.items():
            if not isinstance(row.get(name, Ellipsis), types):
                wrong = f"has a {name!r} of the wrong type" if name in row else f"has no {name!r}"
                raise UserError(
                    f"{path}:{number}: this row of scores {wrong}: fix or delete the line"
                )
        for metric in row["metrics"]:
            if not _is_score(metric):
                raise UserError(
                    f"{path}:{number}: a metric needs a name, a value that is a number, and a "
                    "signature: fix the line"
                )
        rows.append(row)
    return rows


def write_results(folder: Path) -> Path:
    """Generate RESULTS.md from the results.jsonl in a folder. Return the path of RESULTS.md.

    Raises UserError if the rows cannot be read or the file cannot be written.
    """
    folder = folder.resolve()
    text = render_results(read_rows(folder / "results.jsonl"), f"Results: {folder.name}")
    header = f'<!-- made by "seq2seq results {_shown(folder)}" from results.jsonl; do not edit -->'
    target = folder / "RESULTS.md"
    # A command may contain a file name that is not valid UTF-8. This must not stop the page.
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
    """Return the path of a folder relative to the root of its git repository.

    This path is the same on every machine.
    """
    try:
        return folder.relative_to(git_root(folder)).as_posix()
    except UserError:
        return folder.name
