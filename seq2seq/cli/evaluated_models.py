"""Opens the models that `seq2seq evaluate` scores, and records their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.cli.options import model_folders
from seq2seq.errors import UserError

if TYPE_CHECKING:
    import torch

    from seq2seq.config.schema import Config
    from seq2seq.evaluation.evaluate import EvaluationResult
    from seq2seq.models.folder import Model


def open_models(
    model: str, *, device: str, precision: str, batch_size: int
) -> tuple[Config, Callable[..., EvaluationResult], Callable[..., None]]:
    """Open models on PyTorch. Return their configuration, a function that scores them, and a
    function that records the result."""
    from seq2seq import runtime
    from seq2seq.evaluation.evaluate import evaluate_models
    from seq2seq.models.folder import load_model

    chosen = runtime.select_device(device)
    dtype = runtime.select_dtype(precision, chosen)
    models = [load_model(folder, locate_data=True) for folder in model_folders(model)]
    evaluate = partial(evaluate_models, models, device=chosen, dtype=dtype, batch_size=batch_size)

    def keep(
        name: str, result: EvaluationResult, lines: int, command: str, record: Path | None
    ) -> None:
        _record(model, models, name, result, lines, command, chosen, record)

    return models[0].config, evaluate, keep


def open_export(
    model: str, **machine: Any
) -> tuple[Config, Callable[..., EvaluationResult], Callable[..., None]]:
    """Open an export, as `open_models` opens models.

    Its results are not recorded, because an export does not name its run.
    """
    from seq2seq.decoding.load import load, load_any_config
    from seq2seq.evaluation.evaluate import evaluate_export

    def keep(
        name: str, result: EvaluationResult, lines: int, command: str, record: Path | None
    ) -> None:
        if record is not None:
            raise UserError(
                f"--record {record}: {model} is an export; record the result of the model folder"
            )

    folders = model_folders(model)
    evaluate = partial(evaluate_export, load(*folders, **machine))
    return load_any_config(folders[0]), evaluate, keep


def runs_of(model: str) -> list[Path]:
    """Return the run folder that contains each model folder of a comma-separated list."""
    return [folder.resolve().parent for folder in model_folders(model)]


def _record(
    model: str,
    models: Sequence[Model],
    name: str,
    result: EvaluationResult,
    lines: int,
    command: str,
    device: torch.device,
    record: Path | None,
) -> None:
    """Append the scores as a row to results.jsonl in the model's run folder, and to `record`.

    For an ensemble, the row names the first model and adds up the training times of all models.
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
        command=command,
        device=device,
        training=records[0].last_start,
    )
    if (runs[0] / "metrics.jsonl").exists():
        append_row(runs[0] / "results.jsonl", row, require_clean=None)
    if record is not None:
        append_row(record, row, require_clean=record.resolve().parent)
