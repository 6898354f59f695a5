"""Explain a lack of memory in training: the longest example, and the settings to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from seq2seq.errors import OutOfMemoryError, is_out_of_memory
from seq2seq.text.batching import Batch


@contextmanager
def explain_batch(batches: Sequence[Batch], update: int, batch_tokens: int) -> Iterator[None]:
    """Turn an out-of-memory error of a training update (the `with` block) into OutOfMemoryError.

    The message names the longest example of the batches and the settings to change.

    update: The number of the update. batch_tokens: The value of training.batch_tokens.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        widths = [max(batch.source.shape[1], batch.inputs.shape[1]) for batch in batches]
        longest = batches[widths.index(max(widths))]
        lengths = longest.lengths.tolist() if len(longest.lengths) else [0]
        row = int(longest.examples[lengths.index(max(lengths))]) if len(longest.examples) else 0
        detail = " ".join(str(error).split())[:150]
        raise OutOfMemoryError(
            f"update {update}: too little memory for a batch of {len(longest.examples)} rows of "
            f"{max(widths)} tokens, with training pair {row + 1} ({detail}). Resume from the last "
            f"checkpoint (--resume) with training.batch_tokens below {batch_tokens} and a larger "
            "training.accumulate, or start again with a smaller data.max_tokens."
        ) from None
