"""Run the graphs of an export once, to find errors in an export that a stranger wrote."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seq2seq.errors import UserError
from seq2seq.export.exported_model import ExportedModel
from seq2seq.text.labels import VectorFormat


def try_out(model: ExportedModel) -> None:
    """Run every graph of a model once, on two sources of different lengths.

    Raises UserError if the results do not fit the vocabulary.
    """
    codec, folder = model.export.codec, model.export.folder
    length = len(codec.labels) if isinstance(codec.labels, VectorFormat) else 0
    shapes = [(length or count, 2)[: 1 + model.has_features] for count in (1, 2)]
    try:
        state = model.start([np.zeros(shape, np.int64) for shape in shapes])
        if model.export.has_shortlist:
            state = replace(state, candidates=model.choose(np.full((1, 1), -1)))
        log_p, after = model.step(state, np.array([codec.target.bos] * 2))
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise UserError(
            f"{folder}: the ONNX graphs do not fit together ({error}); export the model again"
        ) from None
    columns = codec.target_size
    if model.export.has_shortlist:
        columns = len(model.shortlist.frequent) + 1
    same = [row.shape for row in after.rows] == [row.shape for row in state.rows]
    grows = model.copies or model.reads_written  # with the source or with the output
    if not grows and not (same and log_p.shape == (2, columns)):
        raise UserError(
            f"{folder}: the ONNX graphs do not fit the vocabulary of {len(codec.target)} tokens; "
            "export the model again"
        )
    if any(np.isnan(array).any() for array in (log_p, *after.rows)):
        raise UserError(f"{folder}: the ONNX graphs compute NaN; export another model")
