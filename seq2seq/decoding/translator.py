"""The translator, which translates raw lines of text with a trained model.

All commands and the validation during training use the same class `Translator`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

import numpy as np

from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.choice import choose_search, require_search
from seq2seq.decoding.constraint_options import ConstraintValues
from seq2seq.decoding.line_encoder import encode_sources
from seq2seq.decoding.line_search import LineSearch
from seq2seq.decoding.micro_batches import windows
from seq2seq.decoding.minimum_risk import rerank
from seq2seq.decoding.options import (
    DEFAULT_BEAM,
    AnySearch,
    BeamOptions,
    GreedyOptions,
    MinimumRiskOptions,
    Utility,
    search_options,
)
from seq2seq.decoding.results import LineResult, NoteLog, Translation, log_unknown_tokens
from seq2seq.decoding.search_model import SearchModel
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.stepping import force
from seq2seq.errors import UserError
from seq2seq.export.artifact import NO_VECTORS
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.progress import Advance
from seq2seq.text.segmentation import UNKNOWN_TEXT

if TYPE_CHECKING:
    from seq2seq.decoding.embedding import Pool

_WINDOW = 32  # batches of lines that are sorted by length together


class Translator(SearchModel):
    """A model or an ensemble that translates raw lines. `Translator.load(folder)` opens a model.

    A `Translator` keeps no state between calls, so several threads may share one.
    """

    def translate(
        self,
        lines: Iterable[str],
        options: AnySearch | None = None,
        *,
        beam: int = DEFAULT_BEAM,
        n_best: int = 1,
        length_penalty: float = 1.0,
        min_length: int = 1,
        max_length: int | None = None,
        sampling: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        mbr: int = 0,
        utility: Utility = "chrf",
        split_sentences: bool = False,
        source_prefix: str | Sequence[str] = (),
        protect: bool = False,
        **constraints: Unpack[ConstraintValues],
    ) -> list[str]:
        """Return one translation for each line, in order.

        A warning is logged for each note on a line (see `Note`).

        split_sentences, source_prefix, protect: the fields of `SourceOptions`.
        options: the search to use instead of the other keyword arguments. The fields of the classes
        in `seq2seq.decoding.options` explain the keyword arguments.

        Raises TypeError if `lines` is a single string, if a line is not a string, or if both
        `options` and keyword arguments are given. Raises UserError for invalid values.
        """
        source = SourceOptions(
            split_sentences=split_sentences, source_prefix=source_prefix, protect=protect
        )
        flat = search_options(
            beam=beam,
            n_best=n_best,
            length_penalty=length_penalty,
            min_length=min_length,
            max_length=max_length,
            sampling=sampling,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            mbr=mbr,
            utility=utility,
            **constraints,
        )
        translations = []
        with NoteLog() as log:
            for result in self.stream(lines, choose_search(options, flat), source):
                log.add(result.notes)
                translations.append(result.best.text)
        return translations

    def stream(
        self,
        lines: Iterable[str],
        options: AnySearch | None = None,
        source: SourceOptions | None = None,
    ) -> Iterator[LineResult]:
        """Yield the result for each line, in order, as soon as all earlier lines are finished.

        Reads at most 32 batches of lines ahead, so that memory does not grow with the input.

        options: the search; None means a beam search with a beam of 5.
        source: how lines are prepared for the search.

        Raises TypeError if `lines` is a single string, if a line is not a string, or if `options`
        is not a search.
        """
        texts = each_text(lines, "lines")
        search = BeamOptions() if options is None else options
        require_search(search)
        size = _WINDOW * self.batch_size
        return self.translate_windows(windows(texts, size), search, source=source)

    def translate_windows(
        self,
        windows: Iterable[Sequence[str]],
        options: AnySearch,
        *,
        align: bool = False,
        advance: Advance | None = None,
        before: int = 0,
        source: SourceOptions | None = None,
    ) -> Iterator[LineResult]:
        """Yield the result for each line, in order.

        The translation of a blank line is empty. The translation of a line without tokens (such as
        U+200B alone) is "⁇", as is one with only spaces. A line with more subwords than
        `data.max_tokens` is translated in parts. `Note` lists what the notes of a result may say.
        The texts of an n-best list are distinct, except for samples.

        windows: lists of lines. The lines of a list are sorted by length into batches.
        align: whether to add the alignment to the best translation of each line.
        advance: called after each batch with the number of finished lines in the batch. If a line
            has n parts, each part counts as 1/n of a line.
        before: the number of input lines before the first list.
        source: how lines are prepared for the search.

        Raises UserError if alignments are requested from a model without attention, with minimum
        Bayes risk or with several samples. Raises UserError if a length limit is given for a model
        of the task "aligned".
        """
        source = source or SourceOptions()
        self.require_fitting(options, align, source)
        if isinstance(options, MinimumRiskOptions):
            search = LineSearch(self, options.candidates, source)
            return self._reranked(search.run(windows, advance, before), options)
        return LineSearch(self, options, source, align=align).run(windows, advance, before)

    def _reranked(
        self, results: Iterable[LineResult], options: MinimumRiskOptions
    ) -> Iterator[LineResult]:
        language = self.configs[0].data.target
        for result in results:
            yield rerank(result, options, language=language, lowercase=self.lowercase)

    def score(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        length_penalty: float = 1.0,
        *,
        advance: Advance | None = None,
    ) -> list[Translation]:
        """Return each target with its log-probability and score, by teacher forcing.

        A search gives the same translation the same values, unless it splits a long source line.
        Both values of a blank target are 0 if its source is blank, because a search writes nothing.

        advance: called after each batch with the number of lines in the batch.

        Raises TypeError if `sources` or `targets` is a single string, or if a line is not a string.
        Raises UserError for unequal numbers of sources and targets and for a wrong length penalty.
        """
        sources, targets = list(each_text(sources, "sources")), list(each_text(targets, "targets"))
        GreedyOptions(length_penalty=length_penalty)  # refuses a wrong value
        if len(sources) != len(targets):
            counts = f"{len(sources)} sources and {len(targets)} targets"
            raise UserError(f"{counts}: give every source one target")
        engine = self.scoring_engine
        scored: dict[int, Translation] = {}
        encoded, notes = encode_sources(sources, self.codec, "source line")
        with NoteLog() as log:
            log.add(notes)
        written = self.codec.target_ids(sources, encoded, targets)
        tokens = [self.codec.written(ids) for ids in written]
        log_unknown_tokens(targets, tokens, self.codec.target, "target line")
        end = [] if self.task.same_length else [self.specials.eos]
        wanted = [[*ids, *end] for ids in written]
        order = sorted(range(len(sources)), key=lambda i: (len(wanted[i]), len(encoded[i])))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            state = engine.start([encoded[i] for i in rows])
            totals = force(engine, state, [wanted[i] for i in rows], self.specials.bos)
            for i, total in zip(rows, totals, strict=True):
                certain = UNKNOWN_TEXT if sources[i].strip() else ""
                if not len(encoded[i]) and targets[i].strip() == certain:
                    total = 0.0  # no model is asked to translate a line without tokens
                length = max(1, len(wanted[i]))
                scored[i] = Translation(targets[i], total, total / length**length_penalty)
            if advance:
                advance(len(rows))
        return [scored[i] for i in range(len(sources))]

    def embed(self, lines: Iterable[str], pooling: Pool = "summary") -> np.ndarray:
        """Return one encoder vector for each line, [N, C] float32. A blank line gets zeros.

        A long line is not split.

        pooling: "summary" for the encoder's summary of the line, "mean" for the mean of the encoder
            states.

        Raises TypeError if `lines` is a single string, or if a line is not a string. Raises
        UserError for an ensemble and for a model that does not run on PyTorch.
        """
        if isinstance(self.engine, OnnxEngine):
            raise UserError(NO_VECTORS)
        from seq2seq.decoding.embedding import embed_texts
        from seq2seq.decoding.torch_engine import TorchEngine

        if not isinstance(self.engine, TorchEngine) or len(self.engine.networks) > 1:
            raise UserError(
                "encoder vectors need a single model folder, not an ensemble or an export"
            )
        return embed_texts(
            self.engine.networks[0],
            self.codec,
            list(each_text(lines, "lines")),
            pooling=pooling,
            device=self.engine.device,
            dtype=self.engine.dtype,
            batch_size=self.batch_size,
            max_tokens=self.max_tokens,
        )
