"""Open the models that `seq2seq evaluate` scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.cli.evaluation_set import record_result
from seq2seq.cli.options import model_folders
from seq2seq.errors import UserError

if TYPE_CHECKING:
    from seq2seq.config.schema import Config
    from seq2seq.evaluation.evaluation_result import EvaluationResult


def open_models(
    model: str, *, device: str, precision: str, batch_size: int
) -> tuple[Config, Callable[..., EvaluationResult], Callable[..., None]]:
    """Open models with PyTorch, to evaluate them.

    Returns the configuration, a function that scores the models, and a function that records the
    result.
    """
    from seq2seq import runtime
    from seq2seq.evaluation.evaluate import evaluate_models
    from seq2seq.models.folder import load_model

    chosen = runtime.select_device(device)
    dtype = runtime.select_dtype(precision, chosen)
    models = [load_model(folder, locate_data=True) for folder in model_folders(model)]
    evaluate = partial(evaluate_models, models, device=chosen, dtype=dtype, batch_size=batch_size)

    def keep(
        name: str, result: EvaluationResult, lines: int, command: str | None, record: Path | None
    ) -> None:
        record_result(model, models, name, result, lines, command, chosen, record)

    return models[0].config, evaluate, keep


def open_export(
    model: str, **machine: Any
) -> tuple[Config, Callable[..., EvaluationResult], Callable[..., None]]:
    """Open an export, and return the same three values as `open_models`.

    The results of an export are not recorded, because an export does not name its run.
    """
    from seq2seq.config.model_data import find_model_data
    from seq2seq.decoding.load import load, load_any_config
    from seq2seq.evaluation.evaluate import evaluate_export

    def keep(
        name: str, result: EvaluationResult, lines: int, command: str | None, record: Path | None
    ) -> None:
        if record is not None:
            raise UserError(
                f"--record {record}: the scores of an export ({model}) cannot be recorded; "
                "evaluate the model folder instead"
            )

    folders = model_folders(model)
    config = load_any_config(folders[0])
    data = find_model_data(folders[0], config)
    evaluate = partial(evaluate_export, load(*folders, **machine), data=data)
    return config.model_copy(update={"data": data}), evaluate, keep
