"""What a worker does: open the model once, and translate one shard after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seq2seq.bulk.formats import translate_parquet, translate_text
from seq2seq.bulk.receipts import model_digest, why_unfinished, write_receipt
from seq2seq.bulk.shards import Shard
from seq2seq.decoding.machine import use_threads
from seq2seq.decoding.micro_batches import LINES_AHEAD, windows
from seq2seq.decoding.options import AnySearch
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.files import atomic_file, sha256_of

_SHOWN = 10  # notes of a shard to report


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """The options of a bulk translation, which are the same for all files.

    folders: a model folder or an export, or several for an ensemble, as absolute paths.
    column: the column of a Parquet file to read.
    new_column: the column of a Parquet file to add.
    device, precision, batch_size: as for `Translator.load`.
    threads: the number of CPU threads of each worker.
    """

    folders: tuple[Path, ...]
    search: AnySearch
    source: SourceOptions
    column: str
    new_column: str
    device: str = "cpu"
    precision: str = "fp32"
    batch_size: int = 64
    threads: int = 1


@dataclass(frozen=True)
class ShardResult:
    """The report of a worker on one shard, that is, one input file.

    lines: the number of texts, or 0 if the shard was already finished or failed.
    stale: why an older output was replaced, or "" if there was none.
    done_before: whether the shard was already finished.
    notes: the first messages about single lines of the shard.
    more_notes: the number of further messages, which only the receipt file of the shard contains.
    error: why the shard could not be translated, or "" if it was translated.
    """

    lines: int = 0
    stale: str = ""
    done_before: bool = False
    notes: list[str] = field(default_factory=list)
    more_notes: int = 0
    error: str = ""


class ShardTranslator:
    """Translates shards with one model. Each worker has its own object of this class."""

    def __init__(self, options: BulkOptions) -> None:
        """Open the model. Raises UserError as `Translator.load` does."""
        use_threads(options.folders[0], options.threads)
        self.options = options
        self.translator = Translator.load(
            *options.folders,
            device=options.device,
            precision=options.precision,
            batch_size=options.batch_size,
        )
        self._settings: dict[str, Any] = {
            "model": [model_digest(folder) for folder in options.folders],
            "search": repr(options.search),
            "source options": repr(options.source),
            "precision": options.precision,
        }

    def run(self, shard: Shard) -> ShardResult:
        """Translate a shard unless it is already finished.

        The output is written first and the receipt last, each under a temporary name that is
        renamed when the file is complete. A mistake of the user or of the file system becomes the
        `error` of the result, because the other shards can still be translated.
        """
        try:
            return self._run(shard)
        except UserError as error:
            return ShardResult(error=str(error))
        except OSError as error:
            where = error.filename or shard.name
            return ShardResult(error=f"{where}: {error.strerror or error}")

    def _run(self, shard: Shard) -> ShardResult:
        made_from = {"input": sha256_of(shard.input), **self._settings}
        columns = (self.options.column, self.options.new_column)
        if shard.is_parquet:
            made_from["columns"] = list(columns)
        stale = why_unfinished(shard, made_from)
        if stale is None:
            return ShardResult(done_before=True)
        shard.output.parent.mkdir(parents=True, exist_ok=True)
        shard.remove_partial_files()
        notes: list[str] = []

        def translate(texts: Iterable[str]) -> Iterator[str]:
            results = self.translator.translate_windows(
                windows(texts, LINES_AHEAD), self.options.search, source=self.options.source
            )
            for result in results:
                notes.extend(note.text for note in result.notes)
                yield result.best.text

        with atomic_file(shard.output) as aside:
            if shard.is_parquet:
                lines = translate_parquet(shard.input, aside, translate, *columns)
            else:
                lines = translate_text(shard.input, aside, translate, notes)
            output = sha256_of(aside)
        write_receipt(shard, made_from, output, lines, notes)
        more = max(0, len(notes) - _SHOWN)
        return ShardResult(lines, stale, notes=notes[:_SHOWN], more_notes=more)
