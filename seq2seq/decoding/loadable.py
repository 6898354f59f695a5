"""The base class of the models that are opened from one model folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from seq2seq.export.artifact import Export, is_export, open_exports
from seq2seq.tasks import Task

if TYPE_CHECKING:  # an export does not need PyTorch
    import torch

    from seq2seq.models.folder import Model


class LoadableModel(ABC):
    """The base class of models that can be opened from a model folder or from an export.

    tasks: the tasks of the models that the class can use.
    """

    tasks: ClassVar[tuple[Task, ...]]

    @classmethod
    @abstractmethod
    def from_model(
        cls,
        model: Model,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> Self:
        """Return an object of this class that runs `model` with PyTorch.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        batch_size: the largest number of inputs in a batch. A language model ignores it.

        Raises UserError for a batch size below 1.
        """

    @classmethod
    @abstractmethod
    def from_export(cls, export: Export, *, batch_size: int = 64) -> Self:
        """Return an object of this class that runs an export, without PyTorch.

        batch_size: as in `from_model`. Raises UserError for a batch size below 1.
        """

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int = 64,
    ) -> Self:
        """Open a model folder or an export.

        device: "auto" (a GPU if available, otherwise the CPU), "cpu", "cuda" or "cuda:1".
        precision: "fp32", "bf16" or "auto".
        batch_size: the largest number of inputs in a batch; a language model ignores it.

        Raises UserError if the folder is not a complete model folder, if the model has another
        task, or if the device or the precision is not available.
        """
        if is_export(folder):
            (export,) = open_exports([folder], cls.tasks, device=device, precision=precision)
            return cls.from_export(export, batch_size=batch_size)
        from seq2seq import runtime
        from seq2seq.models.folder import load_model

        chosen = runtime.select_device(device)
        dtype = runtime.select_dtype(precision, chosen)
        model = load_model(Path(folder), cls.tasks)
        return cls.from_model(model, device=chosen, dtype=dtype, batch_size=batch_size)
