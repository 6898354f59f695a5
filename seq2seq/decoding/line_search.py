"""Run a search over many lines: form batches, search, and turn the hypotheses into results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from seq2seq.decoding.actions import read_actions
from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.constraints import ConstrainedEngine, Constraints
from seq2seq.decoding.distinct import Found, find_distinct
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.line_encoder import LineEncoder
from seq2seq.decoding.memory_splits import MemorySplits
from seq2seq.decoding.micro_batches import rows_by_length
from seq2seq.decoding.options import BeamOptions, GreedyOptions, PlainSearch, SamplingOptions
from seq2seq.decoding.phrases import cut_at_stop
from seq2seq.decoding.required import guided_search
from seq2seq.decoding.results import Finish, LineResult, visible
from seq2seq.decoding.sampling import sample_search, seed_of
from seq2seq.decoding.search_model import SearchModel
from seq2seq.decoding.source_line import SourceLine
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.stepping import Hypothesis, Limits
from seq2seq.progress import Advance
from seq2seq.text.languages import uses_spaces
from seq2seq.text.statistics import TextStatistics

_Batch = Sequence[tuple[SourceLine, int]]
"""Parts of lines that are searched together: the line and the number of the part."""

_Search = Callable[..., Found]


class LineSearch:
    """Searches, for example with a beam, for the best outputs of input lines.

    tokens: the number of source tokens that the search has read so far.
    """

    def __init__(
        self,
        model: SearchModel,
        options: PlainSearch,
        source: SourceOptions,
        *,
        align: bool = False,
    ) -> None:
        """Prepare the search.

        align: whether to add the alignment to the best translation of each line.

        Raises UserError if the vocabulary lacks a part of a required or forbidden phrase.
        """
        self.model, self.options, self.align = model, options, align
        self._splits: MemorySplits[tuple[SourceLine, int]] = MemorySplits(
            lambda item: f"line {item[0].number} ({len(item[0].parts[item[1]])} subwords)"
        )
        self.tokens = 0
        config = model.configs[0]
        self.encoder = LineEncoder(
            model.codec,
            source,
            max_tokens=model.max_tokens,
            language=config.data.source,
            spaced=(uses_spaces(config.data.source), model.spaced),
            tags=tuple(config.tokenizer.symbols),
        )
        self.constraints = None
        if options.is_constrained:
            self.constraints = Constraints(
                options, model.codec.target, model.specials, whole_words=model.spaced
            )
        self.finish = Finish(
            n_best=options.n_best,
            distinct=not isinstance(options, SamplingOptions),
            stop=options.stop,
            spaced=model.spaced,
            same_length=model.task.same_length,
            check=self.constraints.violations if self.constraints else lambda text: [],
        )
        # A shortlist may lack the tokens of given phrases.
        forced = self.constraints is not None and self.constraints.forced_tokens
        self.engine: Engine[Any] = model.scoring_engine if forced else model.engine

    def run(
        self, windows: Iterable[Sequence[str]], advance: Advance | None = None, before: int = 0
    ) -> Iterator[LineResult]:
        """Yield the result for each line, in order. Each window is a list of lines.

        `Translator.translate_windows` explains the arguments.
        """
        for texts in windows:
            lines = self.encoder.encode(texts, first=before + 1)
            before += len(lines)
            done = 0
            for batch in self._batches(lines):
                with self._splits.attempt():
                    state = self.engine.start([line.parts[part] for line, part in batch])
                    engine, begin, search = self._prepare(batch, state)
                    found = search(engine, begin, self._limits(batch), self.model.specials)
                    found = self._complete(found, batch, state)
                    for (line, part), ranked in zip(batch, found, strict=True):
                        line.hypotheses[part] = ranked
                    self._attend(batch, state)
                    if self.model.codec.actions:
                        for line, part in batch:
                            read_actions(line, part, self.model.codec)
                    if advance:
                        advance(sum(1 / len(line.parts) for line, _ in batch))
                while done < len(lines) and lines[done].is_done:
                    yield lines[done].result(self.model.codec, self.finish, align=self.align)
                    done += 1
            for line in lines[done:]:
                yield line.result(self.model.codec, self.finish, align=self.align)

    def _batches(self, lines: Sequence[SourceLine]) -> Iterator[_Batch]:
        model = self.model
        work = [(line, part) for line in lines for part in range(len(line.parts))]
        sizes = [len(line.parts[part]) + 1 for line, part in work]
        self.tokens += sum(sizes)
        for rows in rows_by_length(
            sizes,
            most=model.batch_size,
            longest=model.max_tokens,
            alike=model.needs_equal_lengths,
        ):
            yield from self._splits.batches([work[row] for row in rows])

    def _complete(self, found: Found, batch: _Batch, state: Any) -> Found:
        """Return n-best lists of distinct texts. If a list is too short, search again.

        found: the hypotheses of each source in the batch.
        state: the state of the engine before the first token.
        """
        if not isinstance(self.options, BeamOptions) or self.options.n_best == 1:
            return found

        def read(row: int, ranked: Sequence[Hypothesis]) -> list[str]:
            line, part = batch[row]
            paths = [self.model.codec.written(hypothesis.tokens) for hypothesis in ranked]
            writer = line.writer(self.model.codec, part, [id for path in paths for id in path])
            return [visible(cut_at_stop(text, self.options.stop)) for text in writer.decode(paths)]

        def again(rows: list[int], size: int, wider: int) -> Found:
            chosen = self.engine.select(state, np.array(rows, np.int64))
            part = [batch[row] for row in rows]
            engine, begin, search = self._prepare(part, chosen, size=size, wider=wider)
            return search(engine, begin, self._limits(part), self.model.specials)

        return find_distinct(found, self.options.n_best, read, again)

    def _prepare(
        self, batch: _Batch, state: Any, *, size: int | None = None, wider: int = 1
    ) -> tuple[Engine[Any], Any, _Search]:
        """Return the engine, its state before the first token, and the search function for a batch.

        state: the state of the unconstrained engine before the first token.
        size: the number of hypotheses of each source; None means `options.n_best`.
        wider: the factor by which the beam is enlarged.
        """
        keys = [line.key(part) for line, part in batch]
        plain = search_function(self.options, keys, size=size, wider=wider)
        if self.constraints is None:
            return self.engine, state, plain
        first = [part == 0 for _, part in batch]
        engine = ConstrainedEngine(self.engine, self.constraints, first)
        if self.options.require:
            # The first part of a line has to contain the phrases; the other parts are free.
            guided = guided_search(plain, self.constraints, first)
            return engine, engine.wrap(state, len(batch)), guided
        return engine, engine.wrap(state, len(batch)), plain

    def _limits(self, batch: _Batch) -> Limits:
        model, options = self.model, self.options
        lengths = np.array([len(line.parts[part]) + 1 for line, part in batch])  # including EOS
        if model.task.same_length:  # all sources of a batch have the same length
            return Limits(max(1, int(lengths[0]) - 1), np.maximum(lengths - 1, 1))
        if options.max_length is not None:
            return Limits(options.min_length, np.full_like(lengths, options.max_length))
        if model.task.source == "condition":
            longest = model.configs[0].data.max_tokens
            return Limits(options.min_length, np.full_like(lengths, longest))
        statistics = model.codec.statistics or TextStatistics()
        forced = self.constraints.forced_tokens if self.constraints else 0
        return Limits(options.min_length, statistics.limits(lengths) + forced)

    def _attend(self, batch: _Batch, state: Any) -> None:
        """Compute the attention weights of finished hypotheses, and store them in the source lines.

        If the user asked for alignments, the best hypothesis gets weights. If marks such as
        placeholders were taken out of a line, all its hypotheses get weights, which show where to
        put the marks.

        batch: pairs of a source line and the number of a part of this line.
        state: the state before the first token, from which teacher forcing starts.
        """
        if not self.model.has_attention:
            return
        targets = [
            (row, rank)
            for row, (line, part) in enumerate(batch)
            for rank in range(len(line.hypotheses[part]) if line.marks else int(self.align))
        ]
        for start in range(0, len(targets), len(batch)):
            chosen = targets[start : start + len(batch)]
            rows = np.array([row for row, _ in chosen], np.int64)
            written = []
            for row, rank in chosen:
                line, part = batch[row]
                best = line.hypotheses[part][rank]
                path = [self.model.specials.bos, *best.tokens]
                written.append(path[: len(best.tokens) + best.finished])
            weights = self.engine.weights(self.engine.select(state, rows), written)
            for (row, rank), values in zip(chosen, weights, strict=True):
                line, part = batch[row]
                line.attention[part, rank] = values[:, : len(line.parts[part]) + 1].copy()


def search_function(
    options: PlainSearch, keys: Sequence[str], *, size: int | None = None, wider: int = 1
) -> partial[Found]:
    """Return the function that runs the search described by `options` on one batch.

    keys: one text for each source. The seeds of its samples are derived from this text.
    size: the number of hypotheses of each source; None means `options.n_best`.
    wider: the factor by which the beam is enlarged.
    """
    alpha = options.length_penalty
    if isinstance(options, GreedyOptions):
        return partial(greedy_search, alpha=alpha)
    if isinstance(options, BeamOptions):
        beam, n_best = wider * options.beam, size or options.n_best
        return partial(beam_search, beam=beam, alpha=alpha, n_best=n_best)
    seeds = [
        [seed_of(options.seed, number, key) for number in range(options.n_best)] for key in keys
    ]
    return partial(
        sample_search,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seeds=seeds,
        alpha=alpha,
    )
