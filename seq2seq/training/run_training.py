"""Run a whole training, from the configuration to the finished model folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from seq2seq import runtime
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text import preparation
from seq2seq.text.memory import MemoryData
from seq2seq.text.preparation import PreparedData
from seq2seq.text.resampling import delete_samples
from seq2seq.training.callbacks import Callback
from seq2seq.training.context import TrainingContext
from seq2seq.training.display import ProgressDisplay
from seq2seq.training.distributed import Ranks, local_rank, process_group
from seq2seq.training.profile import UpdateProfiler
from seq2seq.training.run_folder import RunFolder, lock_folder
from seq2seq.training.start import Start
from seq2seq.training.stopping import catch_signals
from seq2seq.training.tensorboard import open_tensorboard
from seq2seq.training.trainer import Trainer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training run.

    model: the model folder, which holds the best weights.
    run: the run folder, which contains the model folder.
    best_score: the validation score of the best weights; None if the run was never validated. Its
        unit depends on `metric`: BLEU, chrF, TER and exact match in per cent, accuracy from 0 to 1,
        loss in nats per token, or perplexity.
    metric: the value of `validation.metric`.
    updates: total number of updates, including those before a resume.
    stopped_by: the limit that ended the run ("10 epochs", "no gain in 10 validations") or the
        callback that stopped the run ("callback NAME: why").
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
    start: Start | None = None,
) -> TrainingResult:
    """Train the model that `config` describes, in the run folder `folder`.

    resume: continue the run that the folder holds.
    profiled: measure the time of some early updates and write profile.txt.
    command: the command line that started the training, for the model card.
    memory: the data sets that are in memory instead of in files.
    callbacks: the objects that receive each row of the log and may stop the run.
    start: the model that the run starts from; None for random weights.

    Raise UserError if the configuration or the data is wrong, or if the loss becomes NaN or
    infinite. Raise Interrupted after a signal that arrives in training. Before that, a signal
    raises KeyboardInterrupt (SIGINT) or SystemExit.
    """
    if start is not None:
        start.check(config)
    device = _rank_device(config)
    dtype = runtime.select_dtype(config.training.precision, device)
    threads = runtime.set_threads(config.training.threads)
    with (
        catch_signals() as watch,
        process_group(device) as ranks,
        ExitStack() as lock,
        open_tensorboard(folder, wanted=config.training.tensorboard) as boards,
    ):
        _require_one_config(config, ranks)
        with ranks.sequentially():
            if ranks.is_first:
                lock.enter_context(lock_folder(folder))
            # The other ranks use the run folder and the data that rank 0 has prepared.
            run = RunFolder(folder, config, resume=resume or not ranks.is_first)
            prepared = _prepare(config, run, threads, memory, start)
        _check_data(prepared, config, ranks)
        runtime.keep_freed_memory()  # only now, so that the memory of the preparation is freed
        followers = [*callbacks, *boards]
        trainer = Trainer(
            TrainingContext(config, run, prepared, device, dtype, ranks, command, followers, start)
        )
        if ranks.is_first:  # last, after all checks of the configuration
            run.create(config, None if start is None else start.origin)
        trainer.restore(threads)
        if profiled and ranks.is_first:
            trainer.profiler = UpdateProfiler(run.profile, device)
        with _display(ranks) as display:
            watch.start_training()
            trainer.run(display, watch.caught)
        if trainer.profiler is not None:
            trainer.profiler.end()
        _log.info("the model is in %s", run.model)
    return _result(trainer, run)


def _prepare(
    config: Config, run: RunFolder, threads: int, memory: MemoryData | None, start: Start | None
) -> PreparedData:
    """Prepare the data of a run, or reuse prepared data.

    start: the model that the run starts from, which gives the vocabulary; None to learn one.
    """
    run.delete_leftovers()  # frees space on the disk; rank 0 holds the lock
    delete_samples(run.data)  # their files have no checksums, and are sampled again
    return preparation.prepare_data(
        config,
        run.data,
        threads,
        in_use=run.has_checkpoint,
        memory=memory,
        start=None if start is None else start.codec,
    )


@contextmanager
def _display(ranks: Ranks) -> Iterator[ProgressDisplay]:
    """Yield the progress display. Turn an out-of-memory error into a UserError."""
    with (
        ProgressDisplay(quiet=not ranks.is_first) as display,
        runtime.explain_out_of_memory(
            "set a smaller training.batch_tokens and a larger training.accumulate, and continue "
            "the run with --resume"
        ),
    ):
        yield display


def _result(trainer: Trainer, run: RunFolder) -> TrainingResult:
    counters, metric = trainer.state.counters, trainer.config.validation.metric
    return TrainingResult(
        run.model, run.folder, counters.best, metric, counters.update, trainer.end_reason()
    )


def _rank_device(config: Config) -> torch.device:
    """Return the device of this rank. On GPUs, each rank of a machine gets its own GPU.

    Raise UserError if the machine has fewer GPUs than ranks.
    """
    device = runtime.select_device(config.training.device)
    if device != torch.device("cuda"):
        return device
    if local_rank() >= torch.cuda.device_count():
        raise UserError(
            f"this machine has {torch.cuda.device_count()} GPUs; start at most one process per GPU"
        )
    return torch.device("cuda", local_rank())


def _require_one_config(config: Config, ranks: Ranks) -> None:
    """Raise UserError unless all ranks have the same configuration.

    The paths of the data are not compared, because they may differ between machines.
    """
    values = config.model_dump(mode="json")
    for name in ("train", "valid", "test"):
        values["data"].pop(name)
    ranks.require_equal(values, "configuration")


def _check_data(prepared: PreparedData, config: Config, ranks: Ranks) -> None:
    """Raise UserError if the ranks have different data, or if there is too little data."""
    ranks.require_equal(prepared.digest(), "training text or vocabulary")
    if not config.data.line_ends and not prepared.valid.lengths.any():
        raise UserError("data.valid: the validation data contains no text; add text to the file")
    if config.data.source and len(prepared.train) < ranks.world_size:
        raise UserError(
            f"{len(prepared.train)} training pairs cannot be split over {ranks.world_size} ranks "
            "(processes); start fewer ranks"
        )
