"""Read the data set of `seq2seq evaluate`, and record its scores."""

from __future__ import annotations

import logging
import shlex
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.cli import line_io
from seq2seq.cli.options import model_folders
from seq2seq.errors import UserError, counted, did_you_mean

if TYPE_CHECKING:
    import torch

    from seq2seq.config.data_section import DataConfig
    from seq2seq.config.schema import Config
    from seq2seq.config.section import Side
    from seq2seq.evaluation.evaluation_result import EvaluationResult
    from seq2seq.models.folder import Model
    from seq2seq.text.example import Example

_log = logging.getLogger(__name__)


def read_evaluation_set(
    config: Config, source_file: Path | None, target_files: Sequence[Path], split: str
) -> tuple[list[Example], str]:
    """Return the examples to score and the name of the data set. Warn of empty lines.

    config: The configuration of the model.
    source_file: A text file or a table. None reads the data set `split` of the configuration.
    target_files: The references of a text file.

    Raises UserError if files are missing, have different numbers of lines, or cannot be read, and
    for a wrong number of labels.
    """
    from seq2seq.text.corpus import read_table_file
    from seq2seq.text.data_files import holds_pairs
    from seq2seq.text.example import Example

    if source_file is None:
        return _read_split(config, split)
    if not target_files and holds_pairs(config.data, source_file):
        table = config.data.model_copy(update={"test": str(source_file)})
        rows = read_table_file(config.data, source_file, config.features)
        return _checked(rows, config, table, "test"), source_file.stem
    if not config.task.has_source:
        if target_files:
            raise UserError(f"{target_files[0]}: a language model needs no REFERENCE; leave it out")
        lines = line_io.read_all_lines(source_file)
        return [Example("", line) for line in lines], source_file.stem
    if not target_files:
        raise UserError(f"{source_file}: give a REFERENCE file after this SOURCE file")
    if len(target_files) > 1 and config.task.report != "translation scores":
        raise UserError(f"{target_files[1]}: only translations can have several references")
    return _read_texts(config, source_file, target_files), source_file.stem


def _read_texts(config: Config, source_file: Path, target_files: Sequence[Path]) -> list[Example]:
    """Read a text file of sources and text files of references, as a data set is read."""
    from seq2seq.text.example import Example
    from seq2seq.text.features import read_source
    from seq2seq.text.references import expand_targets

    first, *others = target_files
    sources, targets = line_io.read_parallel_lines(source_file, first)
    # The source file is not read again, because it may be stdin.
    streams = [line_io.read_all_lines(path) for path in others]
    for path, lines in zip(others, streams, strict=True):
        if len(lines) != len(targets):
            raise UserError(
                f"{first} has {counted(len(targets), 'line')}, but {path} has {len(lines):,}; "
                "line n of one file must belong to line n of the other"
            )
    references = list(zip(*streams, strict=True)) or [()] * len(sources)
    settings = None if config.data.features is None else config.features
    examples = []
    for number, row in enumerate(zip(sources, targets, references, strict=True), start=1):
        source, features, problem = read_source(row[0], settings)
        if problem:
            raise UserError(f"{source_file}:{number}: {problem}")
        examples.append(Example(source, row[1], () if settings is None else (features,), row[2]))
    files = {"source": source_file, "target": first}
    _report_items(examples, config, lambda side, number: f"{files[side]}:{number}")

    def place(number: int) -> str:
        return f"{', '.join(map(str, target_files))}{', line ' if others else ':'}{number}"

    _check_labels(config.task, examples, place)
    return list(expand_targets(config.data, examples, place, training=False))


def _check_labels(task: Any, examples: Iterable[Example], place: Callable[[int], str]) -> None:
    """Raise UserError if the model predicts another number of labels than an example has.

    place: A function that returns where a row is. Its argument is the row number.
    """
    from seq2seq.text.filtering import check_each
    from seq2seq.text.labels import check_label_count

    def check(example: Example) -> None:
        if task.report == "label scores" and example.source.strip():
            check_label_count(task, example)

    deque(check_each(examples, place, check), maxlen=0)


def _read_split(config: Config, split: str) -> tuple[list[Example], str]:
    """Read a data set that the configuration names: test, valid or one of the validation sets."""
    from seq2seq.text.corpus import read_examples, validation_sets

    value: Any
    if split == "test":
        value, data = config.data.test, config.data
    else:
        sets = validation_sets(config)
        if split != "valid" and split not in sets:
            known = ["test", "valid", *filter(None, sets)]
            raise UserError(
                f"--split {split}: the configuration has no such data set"
                f"{did_you_mean(split, known)}; choose one of {', '.join(known)}"
            )
        chosen = next(iter(sets)) if split == "valid" else split
        data = sets[chosen]
        value = chosen or data.valid
    name = Path(value).name if isinstance(value, str) else split
    kind: Any = "test" if split == "test" else "valid"
    try:
        rows = read_examples(data, kind, features=config.features)
    except UserError as error:  # the data sets were not given away with the model
        raise UserError(
            f"{error}, or name the files: seq2seq evaluate MODEL SOURCE [REFERENCE]"
        ) from None
    return _checked(rows, config, data, kind), name


def _checked(
    rows: Iterable[Example], config: Config, data: DataConfig, split: Any
) -> list[Example]:
    """Return the examples of the set `split` of `data`. Warn of empty items.

    Raises UserError for a wrong number of labels.
    """
    from seq2seq.text.corpus import locate_example

    examples = list(rows)
    place = partial(locate_example, data, memory=None, split=split)
    _check_labels(config.task, examples, partial(place, "target"))
    _report_items(examples, config, place)
    return examples


def _report_items(
    examples: Sequence[Example], config: Config, place: Callable[[Side, int], str]
) -> None:
    """Log which items are empty, and how many have a reference that is not normalised.

    place: A function that returns the place of the source or target with a number, from 1.
    """
    from seq2seq.text.compared_form import report_changed_references
    from seq2seq.text.text_checks import warn_of_empty_items

    warn_of_empty_items(examples, config, place)
    report_changed_references(examples, config, place)


def runs_of(model: str) -> list[Path]:
    """Return the run folder around each model folder in a comma-separated list."""
    return [folder.resolve().parent for folder in model_folders(model)]


def record_result(
    model: str,
    models: Sequence[Model],
    name: str,
    result: EvaluationResult,
    lines: int,
    command: str | None,
    device: torch.device,
    record: Path | None,
) -> None:
    """Append a row to results.jsonl in the run folder of the model, and to the file `record`.

    The row of an ensemble has the name of its first member and the training time of all members. If
    the run folder cannot be written, a warning says so. Raises UserError if `record` cannot be
    written.

    command: The command that reproduces the scores. None means the command line of this process.
    """
    from seq2seq.evaluation.result_rows import append_row, make_row
    from seq2seq.training.run_folder import read_run_record

    runs = runs_of(model)
    records = [read_run_record(run) for run in runs]
    minutes = [run.minutes for run in records if run.minutes is not None]
    row = make_row(
        recipe=records[0].recipe,
        variant=records[0].variant,
        seed=models[0].config.seed,
        split=name,
        decoding=result.decoding,
        scores=result.scores,
        parameters=sum(p.numel() for member in models for p in member.network.parameters()),
        training_minutes=sum(minutes) if len(minutes) == len(records) else None,
        seconds=result.seconds,
        lines=lines,
        command=command or shlex.join(["seq2seq", *sys.argv[1:]]),
        device=device,
        training=records[0].last_start,
    )
    if (runs[0] / "metrics.jsonl").exists():
        try:
            append_row(runs[0] / "results.jsonl", row, require_clean=None)
        except UserError as error:
            if not isinstance(error.__cause__, OSError):  # a damaged file, which the user can fix
                raise
            _log.warning("the scores are not recorded in the run folder: %s", error)
    if record is not None:
        append_row(record, row, require_clean=record.resolve().parent)
