"""A training run from its configuration to the model folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from seq2seq import runtime
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text import preparation
from seq2seq.text.memory import MemoryData
from seq2seq.text.preparation import PreparedData
from seq2seq.training.callbacks import Callback
from seq2seq.training.context import TrainingContext
from seq2seq.training.display import ProgressDisplay
from seq2seq.training.distributed import Ranks, local_rank, process_group
from seq2seq.training.profile import UpdateProfiler
from seq2seq.training.run_folder import RunFolder, lock_folder
from seq2seq.training.stopping import catch_signals
from seq2seq.training.trainer import Trainer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """What a run has come to.

    model: the model folder, which holds the best weights; run: the run folder around it.
    best_score: the best validation by `metric` (`validation.metric`): BLEU from 0 to 100, accuracy
    from 0 to 1, or the loss in nats a token, of which the lowest is best; None where the run was
    never validated. updates: done in all, before a resume too. stopped_by: the limit that ended the
    run ("10 epochs", "no gain in 10 validations") or the callback ("callback NAME: why").
    """

    model: Path
    run: Path
    best_score: float | None
    metric: str
    updates: int
    stopped_by: str


def train_model(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    profiled: bool = False,
    command: str = "",
    memory: MemoryData | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Train a model as `config` says in the run folder `folder`.

    profiled: write where the time of the first updates goes, into profile.txt; command: what the
    model card names as having made the model; memory: the splits that are not read from files;
    callbacks: what hears of each row of the log, and may stop the run. Raises UserError for
    mistakes in the configuration or the corpus and for a loss that is not finite; Interrupted after
    a signal.
    """
    device = _rank_device(config)
    dtype = runtime.select_dtype(config.training.precision, device)
    threads = runtime.set_threads(config.training.threads)
    with process_group(device) as ranks, ExitStack() as lock:
        _require_one_config(config, ranks)
        with ranks.sequentially():
            if ranks.is_first:
                lock.enter_context(lock_folder(folder))
            # The other ranks find the run and the data that the first one has made.
            run = RunFolder(folder, config, resume=resume or not ranks.is_first)
            prepared = preparation.prepare_data(
                config, run.data, threads, in_use=run.has_checkpoint, memory=memory
            )
        _check_data(prepared, config, ranks)
        runtime.keep_freed_memory()  # of training; what preparing took is given back
        trainer = Trainer(
            TrainingContext(config, run, prepared, device, dtype, ranks, command, callbacks)
        )
        if ranks.is_first:  # nothing is left that the configuration could be refused for
            run.create(config)
        trainer.restore(threads)
        if profiled and ranks.is_first:
            trainer.profiler = UpdateProfiler(run.profile, device)
        with (
            catch_signals() as caught,
            ProgressDisplay(quiet=not ranks.is_first) as display,
            runtime.explain_out_of_memory(
                "set a smaller training.batch_tokens, and training.accumulate"
            ),
        ):
            trainer.run(display, caught)
        if trainer.profiler is not None:
            trainer.profiler.end()
        _log.info("the model is in %s", run.model)
    return _result(trainer, run)


def _result(trainer: Trainer, run: RunFolder) -> TrainingResult:
    counters, metric = trainer.state.counters, trainer.config.validation.metric
    best = counters.best
    if best is not None and metric == "loss":  # a score, of which the highest is best
        best = -best
    return TrainingResult(
        run.model, run.folder, best, metric, counters.update, trainer.end_reason()
    )


def _rank_device(config: Config) -> torch.device:
    """The device of this rank: each rank of a machine has a GPU of its own. Raises UserError where
    there are too few."""
    device = runtime.select_device(config.training.device)
    if device != torch.device("cuda"):
        return device
    if local_rank() >= torch.cuda.device_count():
        raise UserError(
            f"this machine has {torch.cuda.device_count()} GPUs: start no more processes on it"
        )
    return torch.device("cuda", local_rank())


def _require_one_config(config: Config, ranks: Ranks) -> None:
    """Raises UserError where the ranks differ, but for paths, which are each machine's own."""
    values = config.model_dump(mode="json")
    for name in ("train", "valid", "test"):
        values["data"].pop(name)
    ranks.require_equal(values, "configuration")


def _check_data(prepared: PreparedData, config: Config, ranks: Ranks) -> None:
    """Raises UserError where the ranks have prepared different data, or too little of it."""
    ranks.require_equal(prepared.digest(), "training text or vocabulary")
    if not config.data.line_ends and not prepared.valid.lengths.any():
        raise UserError("data.valid: no text: there is nothing to judge a model by")
    if config.data.source and len(prepared.train) < ranks.world_size:
        raise UserError(
            f"{len(prepared.train)} training pairs cannot be shared out over "
            f"{ranks.world_size} ranks: start fewer of them"
        )
