"""The translator, which translates raw lines of text with a trained model.

All commands and the validation during training use the same class `Translator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.choice import choose_search, require_search
from seq2seq.decoding.constraint_options import ConstraintValues
from seq2seq.decoding.constraints import ConstrainedEngine, Constraints
from seq2seq.decoding.distinct import Found, find_distinct
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.line_encoder import LineEncoder
from seq2seq.decoding.micro_batches import batches_by_length, windows
from seq2seq.decoding.minimum_risk import expected_utilities
from seq2seq.decoding.options import (
    DEFAULT_BEAM,
    AnySearch,
    BeamOptions,
    GreedyOptions,
    MinimumRiskOptions,
    PlainSearch,
    SamplingOptions,
    Utility,
    search_options,
)
from seq2seq.decoding.phrases import cut_at_stop
from seq2seq.decoding.required import guided_search
from seq2seq.decoding.results import LineResult, NoteLog, Translation, log_unknown_tokens
from seq2seq.decoding.sampling import sample_search, seed_of
from seq2seq.decoding.source_line import UNKNOWN_TEXT, Finish, SourceLine
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, force
from seq2seq.errors import UserError
from seq2seq.export.artifact import NO_VECTORS, is_export, open_exports
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.progress import Advance
from seq2seq.tasks import ALIGNED, TRANSLATION, Task
from seq2seq.text.codec import Codec
from seq2seq.text.languages import uses_spaces
from seq2seq.text.scripts import choose_bleu_tokenizer
from seq2seq.text.statistics import TextStatistics

if TYPE_CHECKING:  # other engines do not need PyTorch
    import torch

    from seq2seq.decoding.embedding import Pool
    from seq2seq.models.folder import Model

_WINDOW = 32  # batches of lines that are sorted by length together

_Batch = Sequence[tuple[SourceLine, int]]
"""Parts of lines that are searched together: the line and the number of the part."""


class Translator:
    """A model or an ensemble that translates raw lines. `Translator.load(folder)` opens a model.

    A `Translator` keeps no state between calls, so several threads may share one.
    """

    def __init__(
        self,
        engine: Engine[Any],
        codec: Codec,
        configs: Sequence[Config],
        *,
        batch_size: int = 64,
    ) -> None:
        """Combine an engine with the codec and the configurations of its models.

        codec: the codec that all models share.
        batch_size: the largest number of lines in a batch.

        Raises UserError if models have different tasks, or if the batch size is below 1.
        """
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, but batch_size is {batch_size}")
        if len({config.task.same_length for config in configs}) > 1:
            raise UserError(
                f"a model of the task {ALIGNED.name!r} cannot form an ensemble with a model of "
                "another task: use models of one task"
            )
        self.engine, self.codec, self.configs = engine, codec, list(configs)
        self.batch_size = batch_size
        self.task = configs[0].task
        # Padding would change the last bits of what an int8 model computes.
        self._alike = self.task.same_length or getattr(engine, "needs_equal_lengths", False)
        self.max_tokens = min(config.data.max_tokens for config in configs)
        self.lowercase = configs[0].tokenizer.lowercase
        self.spaced = uses_spaces(configs[0].data.target)
        target = codec.target
        self.specials = Specials(target.bos, target.eos, (target.pad, target.unk, target.bos))

    @classmethod
    def from_models(
        cls,
        models: Sequence[Model],
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> Translator:
        """Return a translator that runs `models` with PyTorch. Several models form an ensemble.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        batch_size: the largest number of lines in a batch.

        Raises UserError if the vocabularies of the models differ.
        """
        from seq2seq.decoding.torch_engine import TorchEngine

        codec = models[0].codec
        for number, model in enumerate(models[1:], start=2):
            if model.codec != codec:
                raise UserError(
                    f"models 1 and {number} of the ensemble have different vocabularies: use "
                    "models that were trained with the same tokenizer"
                )
        networks = [model.network for model in models]
        engine = TorchEngine(networks, codec, device, dtype)
        return cls(engine, codec, [model.config for model in models], batch_size=batch_size)

    @classmethod
    def load(
        cls,
        *folders: str | Path,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int = 64,
        tasks: Sequence[Task] = (TRANSLATION, ALIGNED),
    ) -> Translator:
        """Open one model folder, or several model folders with one vocabulary as an ensemble.

        device: "auto" (a GPU if available, otherwise the CPU), "cpu", "cuda" or "cuda:1".
        precision: "fp32", "bf16" or "auto".
        batch_size: the largest number of lines in a batch.
        tasks: the permitted tasks of the models.

        Raises TypeError without a folder. Raises UserError if a folder is not a complete model
        folder, if a model has another task, if the models cannot form an ensemble, or if the device
        or the precision is not available.
        """
        if not folders:
            raise TypeError("load() needs at least one model folder: pass its path")
        if any(map(is_export, folders)):
            exports = open_exports(folders, tasks, device=device, precision=precision)
            configs = [export.config for export in exports]
            engine = OnnxEngine(exports)
            return cls(engine, exports[0].codec, configs, batch_size=batch_size)
        from seq2seq import runtime
        from seq2seq.models.folder import load_model

        chosen = runtime.select_device(device)
        dtype = runtime.select_dtype(precision, chosen)
        models = [load_model(Path(folder), tasks) for folder in folders]
        return cls.from_models(models, device=chosen, dtype=dtype, batch_size=batch_size)

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
        """Yield the result for each line, in order. Each window is sorted by length into batches.

        The translation of a blank line is empty. The translation of a line without tokens (such as
        U+200B alone) is "⁇". A line with more subwords than `data.max_tokens` is translated in
        parts. `Note` lists what the notes of a result may say. The texts of an n-best list are
        distinct, except for samples.

        align: whether to add the alignment to the best translation of each line.
        advance: called after each batch with the number of finished lines in the batch. If a line
        has n parts, each part counts as 1/n of a line.
        before: the number of input lines before the first window.
        source: how lines are prepared for the search.

        Raises UserError if alignments are requested from a model without attention, with minimum
        Bayes risk or with several samples. Raises UserError if a length limit is given for a model
        of the task "aligned".
        """
        source = source or SourceOptions()
        self._require_fitting(options, align, source)
        if isinstance(options, MinimumRiskOptions):
            candidates = options.candidates
            for result in self.translate_windows(
                windows, candidates, advance=advance, before=before, source=source
            ):
                yield self._rerank(result, options)
            return
        encoder = self._line_encoder(source)
        constraints = self._constraints(options)
        finish = self._finish(options, constraints)
        start = self._starting_engine(constraints).start
        for texts in windows:
            lines = encoder.encode(texts, first=before + 1)
            before += len(lines)
            done = 0
            for batch in self._batches(lines):
                state = start([line.parts[part] for line, part in batch])
                engine, begin, search = self._prepare(batch, state, options, constraints)
                limits = self._limits([line.parts[i] for line, i in batch], options, constraints)
                found = search(engine, begin, limits, self.specials)
                found = self._complete(found, batch, state, options, constraints)
                for (line, part), ranked in zip(batch, found, strict=True):
                    line.hypotheses[part] = ranked
                if advance:
                    advance(sum(1 / len(line.parts) for line, _ in batch))
                self._attend(batch, state, align)
                while done < len(lines) and lines[done].is_done:
                    yield lines[done].result(self.codec, finish, align=align)
                    done += 1
            for line in lines[done:]:
                yield line.result(self.codec, finish, align=align)

    def _batches(self, lines: Sequence[SourceLine]) -> Iterator[_Batch]:
        """Yield batches of parts of similar length."""
        work = [(line, part) for line in lines for part in range(len(line.parts))]
        work.sort(key=lambda item: len(item[0].parts[item[1]]))  # stable
        sizes = [len(line.parts[part]) + 1 for line, part in work]
        for now in batches_by_length(
            sizes, most=self.batch_size, longest=self.max_tokens, alike=self._alike
        ):
            yield work[now]

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
        advance: called after each batch with the number of lines that it scored.

        Raises TypeError if `sources` or `targets` is a single string, or if a line is not a string.
        Raises UserError if the numbers of sources and targets differ.
        """
        sources, targets = list(each_text(sources, "sources")), list(each_text(targets, "targets"))
        if len(sources) != len(targets):
            raise UserError(
                f"{len(sources)} sources and {len(targets)} targets: give every source one target"
            )
        engine = self.scoring_engine
        scored: dict[int, Translation] = {}
        encoded, written = self.codec.source_ids(sources), self.codec.target.encode(targets)
        if self.task.source != "condition":
            log_unknown_tokens(sources, encoded, self.codec.source, "source line")
        log_unknown_tokens(targets, written, self.codec.target, "target line")
        end = [] if self.task.same_length else [self.specials.eos]
        wanted = [[*ids, *end] for ids in written]
        order = sorted(range(len(sources)), key=lambda i: (len(wanted[i]), len(encoded[i])))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            state = engine.start([np.asarray(encoded[i], np.int64) for i in rows])
            totals = force(engine, state, [wanted[i] for i in rows], self.specials.bos)
            for i, total in zip(rows, totals, strict=True):
                certain = UNKNOWN_TEXT if sources[i].strip() else ""
                if not encoded[i] and targets[i].strip() == certain:
                    total = 0.0  # no model is asked to translate a line without tokens
                length = max(1, len(wanted[i]))
                scored[i] = Translation(targets[i], total, total / length**length_penalty)
            if advance:
                advance(len(rows))
        return [scored[i] for i in range(len(sources))]

    @property
    def scoring_engine(self) -> Engine[Any]:
        """The engine for given targets, which may hold tokens that a shortlist leaves out."""
        engine: Engine[Any] = getattr(self.engine, "over_whole_vocabulary", lambda: self.engine)()
        return engine

    def embed(self, lines: Iterable[str], pooling: Pool = "summary") -> np.ndarray:
        """Return one encoder vector for each line, [N, C] float32. A blank line gets zeros.

        A long line is not split. pooling: "summary" for the encoder's summary of the line, "mean"
        for the mean of the encoder states.

        Raises TypeError if `lines` is a single string, or if a line is not a string. Raises
        UserError for an ensemble and for a model that does not run on PyTorch.
        """
        if isinstance(self.engine, OnnxEngine):
            raise UserError(NO_VECTORS)
        from seq2seq.decoding.embedding import embed_texts
        from seq2seq.decoding.torch_engine import TorchEngine

        if not isinstance(self.engine, TorchEngine) or len(self.engine.networks) > 1:
            raise UserError("encoder vectors need a single model folder that runs on PyTorch")
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

    def require_attention(self) -> None:
        """Raise UserError if a model has no attention, so that alignments are impossible."""
        for number, config in enumerate(self.configs, start=1):
            if not config.context.is_attention:
                which = f"model {number}" if len(self.configs) > 1 else "the model"
                raise UserError(
                    f"{which} has a fixed context vector and therefore gives no alignments: use a "
                    "model with attention (context.kind)"
                )

    def _require_fitting(self, options: AnySearch, align: bool, source: SourceOptions) -> None:
        """Raise UserError for options that do not work with the models or with each other."""
        plain = options.candidates if isinstance(options, MinimumRiskOptions) else options
        if align and source.protect:
            raise UserError(
                "alignments do not work with protected marks (--protect): use one or the other"
            )
        if self.task.same_length and plain.is_constrained:
            raise UserError(
                f"constraints of the search do not work with a model of the task {ALIGNED.name!r}"
            )
        if align:
            self.require_attention()
            if plain is not options or (isinstance(plain, SamplingOptions) and plain.n_best > 1):
                raise UserError(
                    "alignments do not work with minimum Bayes risk or several samples: leave out "
                    "the alignments, or use another search"
                )
        if self.task.same_length and (plain.min_length > 1 or plain.max_length is not None):
            raise UserError(
                f"a model of the task {ALIGNED.name!r} always writes as many tokens as the source "
                "has: leave out the minimum and maximum length"
            )

    def _line_encoder(self, options: SourceOptions) -> LineEncoder:
        config = self.configs[0]
        symbols = getattr(config.tokenizer, "symbols", ())
        return LineEncoder(
            self.codec,
            options,
            max_tokens=self.max_tokens,
            language=config.data.source,
            spaced=(uses_spaces(config.data.source), self.spaced),
            tags=tuple(symbols),
        )

    def _constraints(self, options: PlainSearch) -> Constraints | None:
        if not options.is_constrained:
            return None
        return Constraints(options, self.codec.target, self.specials, whole_words=self.spaced)

    def _starting_engine(self, constraints: Constraints | None) -> Engine[Any]:
        """Return the engine that starts a search. A shortlist may lack the tokens of constraints,
        so a search for given phrases starts without it."""
        return self.scoring_engine if constraints and constraints.forced_tokens else self.engine

    def _finish(self, options: PlainSearch, constraints: Constraints | None) -> Finish:
        return Finish(
            n_best=options.n_best,
            distinct=not isinstance(options, SamplingOptions),
            stop=options.stop,
            spaced=self.spaced,
            same_length=self.task.same_length,
            check=constraints.violations if constraints else lambda text: [],
        )

    def _complete(
        self,
        found: Found,
        batch: _Batch,
        state: Any,
        options: PlainSearch,
        constraints: Constraints | None,
    ) -> Found:
        """Return n-best lists of distinct texts. Parts with too few texts are searched again.

        found: the hypotheses of each part. state: the state of the engine before the first token.
        """
        if not isinstance(options, BeamOptions) or options.n_best == 1:
            return found

        def read(ranked: Sequence[Hypothesis]) -> list[str]:
            texts = self.codec.target.decode([hypothesis.tokens for hypothesis in ranked])
            return [cut_at_stop(text, options.stop) for text in texts]

        def again(rows: list[int], size: int, wider: int) -> Found:
            chosen = self.engine.select(state, np.array(rows, np.int64))
            part = [batch[row] for row in rows]
            engine, begin, search = self._prepare(
                part, chosen, options, constraints, size=size, wider=wider
            )
            limits = self._limits([line.parts[i] for line, i in part], options, constraints)
            return search(engine, begin, limits, self.specials)

        return find_distinct(found, options.n_best, read, again)

    def _prepare(
        self,
        batch: _Batch,
        state: Any,
        options: PlainSearch,
        constraints: Constraints | None,
        *,
        size: int | None = None,
        wider: int = 1,
    ) -> tuple[Engine[Any], Any, Callable[..., Found]]:
        """Return the engine, its state before the first token, and the search for a batch.

        size: the number of hypotheses of each source; None means `options.n_best`.
        wider: a factor for the beam.
        """
        search = self._search(options, [line.key(part) for line, part in batch], size, wider)
        if constraints is None:
            return self.engine, state, search
        first = [part == 0 for _, part in batch]
        engine = ConstrainedEngine(self.engine, constraints, first)
        if options.require:
            # The first part of a line has to contain the phrases; the other parts are free.
            return engine, engine.wrap(state, len(batch)), guided_search(search, constraints, first)
        return engine, engine.wrap(state, len(batch)), search

    def _search(
        self,
        options: PlainSearch,
        keys: Sequence[str],
        size: int | None = None,
        wider: int = 1,
    ) -> partial[Found]:
        """Return the search function for one batch.

        keys: one text for each source. The seeds of samples are derived from these texts.
        size: the number of hypotheses of each source; None means `options.n_best`.
        wider: a factor for the beam.
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

    def _limits(
        self,
        sources: Sequence[np.ndarray],
        options: PlainSearch,
        constraints: Constraints | None = None,
    ) -> Limits:
        lengths = np.array([len(ids) + 1 for ids in sources])  # including EOS
        if self.task.same_length:  # all sources of a batch have the same length
            return Limits(max(1, int(lengths[0]) - 1), np.maximum(lengths - 1, 1))
        if options.max_length is not None:
            return Limits(options.min_length, np.full_like(lengths, options.max_length))
        if self.task.source == "condition":
            longest = self.configs[0].data.max_tokens
            return Limits(options.min_length, np.full_like(lengths, longest))
        statistics = self.codec.statistics or TextStatistics()
        forced = constraints.forced_tokens if constraints else 0
        return Limits(options.min_length, statistics.limits(lengths) + forced)

    def _attend(self, batch: _Batch, state: Any, align: bool) -> None:
        """Store attention weights in the lines: of the best hypothesis of each part to align, and
        of every hypothesis of a line with marks.

        batch: pairs of a source line and a part number.
        state: the state before the first token, from which teacher forcing starts.
        """
        if not all(config.context.is_attention for config in self.configs):
            return
        targets = [
            (row, rank)
            for row, (line, part) in enumerate(batch)
            for rank in range(len(line.hypotheses[part]) if line.marks else int(align))
        ]
        for start in range(0, len(targets), len(batch)):
            chosen = targets[start : start + len(batch)]
            rows = np.array([row for row, _ in chosen], np.int64)
            written = []
            for row, rank in chosen:
                line, part = batch[row]
                best = line.hypotheses[part][rank]
                path = [self.specials.bos, *best.tokens]
                written.append(path[: len(best.tokens) + best.finished])
            weights = self.engine.weights(self.engine.select(state, rows), written)
            for (row, rank), values in zip(chosen, weights, strict=True):
                line, part = batch[row]
                line.attention[part, rank] = values[:, : len(line.parts[part]) + 1].copy()

    def _rerank(self, result: LineResult, options: MinimumRiskOptions) -> LineResult:
        """Return a result with its translations sorted by expected utility, best first."""
        candidates = result.translations
        # Likely samples are drawn more often, so each sample has the same weight.
        drawn = isinstance(options.candidates, SamplingOptions)
        bleu_tokens = choose_bleu_tokenizer(
            (candidate.text for candidate in candidates), self.configs[0].data.target
        )
        gains = expected_utilities(
            [candidate.text for candidate in candidates],
            [0.0 if drawn else candidate.log_probability for candidate in candidates],
            options.utility,
            lowercase=self.lowercase,
            tokens=bleu_tokens.name,
        )
        scored = [
            replace(candidate, score=gain)
            for candidate, gain in zip(candidates, gains, strict=True)
        ]
        first: dict[str, Translation] = {}
        for candidate in sorted(scored, key=lambda candidate: -candidate.score):
            first.setdefault(candidate.text, candidate)
        ranked = list(first.values())
        return LineResult(ranked[: options.n_best], result.notes)
