"""The translator, which translates raw lines of text with a trained model.

All commands and the validation during training use the same class `Translator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.engine import Engine
from seq2seq.decoding.greedy import greedy_search
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
    choose_search,
    require_search,
    search_options,
)
from seq2seq.decoding.results import LineResult, Translation, log_notes
from seq2seq.decoding.sampling import sample_search, seed_of
from seq2seq.decoding.source_line import UNKNOWN_TEXT, SourceLine, encode_line
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, force
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export, open_exports
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.progress import Advance
from seq2seq.tasks import ALIGNED, TRANSLATION, Task
from seq2seq.text.codec import Codec
from seq2seq.text.languages import bleu_tokenizer, uses_spaces

if TYPE_CHECKING:  # other engines do not need PyTorch
    import torch

    from seq2seq.models.folder import Model

_WINDOW = 32  # batches of lines that are sorted by length together

Found = list[list[Hypothesis]]


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
        self.bleu_tokens = bleu_tokenizer(configs[0].data.target)
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
    ) -> list[str]:
        """Return one translation for each line, in order.

        A warning is logged for every line that was split or had no tokens.

        options: the search to use instead of the keyword arguments. The fields of the classes in
        `seq2seq.decoding.options` explain the keyword arguments.

        Raises TypeError if `lines` is a single string, if a line is not a string, or if both
        `options` and keyword arguments are given. Raises UserError for invalid values.
        """
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
        )
        texts = []
        for result in self.stream(lines, choose_search(options, flat)):
            log_notes(result.notes)
            texts.append(result.best.text)
        return texts

    def stream(
        self, lines: Iterable[str], options: AnySearch | None = None
    ) -> Iterator[LineResult]:
        """Yield the result for each line, in order, as soon as all earlier lines are finished.

        Reads at most 32 batches of lines ahead, so that memory does not grow with the input.

        options: the search; None means a beam search with a beam of 5.

        Raises TypeError if `lines` is a single string, if a line is not a string, or if `options`
        is not a search.
        """
        texts = each_text(lines, "lines")
        search = BeamOptions() if options is None else options
        require_search(search)
        return self.translate_windows(windows(texts, _WINDOW * self.batch_size), search)

    def translate_windows(
        self,
        windows: Iterable[Sequence[str]],
        options: AnySearch,
        *,
        align: bool = False,
        advance: Advance | None = None,
        before: int = 0,
    ) -> Iterator[LineResult]:
        """Yield the result for each line, in order. Each window is sorted by length into batches.

        The translation of a blank line is empty. The translation of a line without tokens (such as
        U+200B alone) is "⁇". A line with more subwords than `data.max_tokens` is translated in
        parts. Results for lines that have no tokens or were split contain a note.

        align: whether to add the alignment to the best translation of each line.
        advance: called after each batch with the number of finished lines in the batch. If a line
        has n parts, each part counts as 1/n of a line.
        before: the number of input lines before the first window.

        Raises UserError if alignments are requested from a model without attention, with minimum
        Bayes risk or with several samples. Raises UserError if a length limit is given for a model
        of the task "aligned".
        """
        self._require_fitting(options, align)
        if isinstance(options, MinimumRiskOptions):
            plain = options.candidates
            for result in self.translate_windows(windows, plain, advance=advance, before=before):
                yield self._rerank(result, options)
            return
        for texts in windows:
            lines = self._encode(texts, first=before + 1)
            before += len(lines)
            work = [(line, part) for line in lines for part in range(len(line.parts))]
            work.sort(key=lambda item: len(item[0].parts[item[1]]))  # stable
            sizes = [len(line.parts[part]) + 1 for line, part in work]
            done = 0
            for now in batches_by_length(
                sizes, most=self.batch_size, longest=self.max_tokens, alike=self._alike
            ):
                batch = work[now]
                sources = [line.parts[part] for line, part in batch]
                state = self.engine.start(sources)
                search = self._search(options, [line.key(part) for line, part in batch])
                hypotheses = search(
                    self.engine, state, self._limits(sources, options), self.specials
                )
                for (line, part), ranked in zip(batch, hypotheses, strict=True):
                    line.hypotheses[part] = ranked
                if advance:
                    advance(sum(1 / len(line.parts) for line, _ in batch))
                if align:
                    self._attend(batch, state)
                while done < len(lines) and lines[done].is_done:
                    yield lines[done].result(self.codec, align=align)
                    done += 1
            for line in lines[done:]:
                yield line.result(self.codec, align=align)

    def score(
        self, sources: Sequence[str], targets: Sequence[str], length_penalty: float = 1.0
    ) -> list[Translation]:
        """Return each target with its log-probability and score, by teacher forcing.

        A search gives the same translation the same values, unless it splits a long source line.

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
        encoded = self.codec.source_ids(sources)
        end = [] if self.task.same_length else [self.specials.eos]
        wanted = [[*ids, *end] for ids in self.codec.target.encode(targets)]
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
        return [scored[i] for i in range(len(sources))]

    @property
    def scoring_engine(self) -> Engine[Any]:
        """The engine for given targets, which may hold tokens that a shortlist leaves out."""
        engine: Engine[Any] = getattr(self.engine, "over_whole_vocabulary", lambda: self.engine)()
        return engine

    def require_attention(self) -> None:
        """Raise UserError if a model has no attention, so that alignments are impossible."""
        for number, config in enumerate(self.configs, start=1):
            if not config.context.is_attention:
                which = f"model {number}" if len(self.configs) > 1 else "the model"
                raise UserError(
                    f"{which} has a fixed context vector and therefore gives no alignments: use a "
                    "model with attention (context.kind)"
                )

    def _require_fitting(self, options: AnySearch, align: bool) -> None:
        """Raise UserError if the search options do not work with the models of this translator."""
        plain = options.candidates if isinstance(options, MinimumRiskOptions) else options
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

    def _search(self, options: PlainSearch, keys: Sequence[str]) -> Callable[..., Found]:
        """Return the search function for one batch.

        keys: one text for each source. The seeds of samples are derived from these texts.
        """
        alpha = options.length_penalty
        if isinstance(options, GreedyOptions):
            return partial(greedy_search, alpha=alpha)
        if isinstance(options, BeamOptions):
            return partial(beam_search, beam=options.beam, alpha=alpha, n_best=options.n_best)
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

    def _limits(self, sources: Sequence[np.ndarray], options: PlainSearch) -> Limits:
        lengths = np.array([len(ids) + 1 for ids in sources])  # including EOS
        if self.task.same_length:  # all sources of a batch have the same length
            return Limits(max(1, int(lengths[0]) - 1), np.maximum(lengths - 1, 1))
        if options.max_length is not None:
            return Limits(options.min_length, np.full_like(lengths, options.max_length))
        if self.task.source == "condition":
            longest = self.configs[0].data.max_tokens
            return Limits(options.min_length, np.full_like(lengths, longest))
        return Limits(options.min_length, 2 * lengths + 10)

    def _attend(self, batch: Sequence[tuple[SourceLine, int]], state: Any) -> None:
        """Compute the attention weights of the best hypotheses and store them in the source lines.

        batch: pairs of a source line and a part number.
        state: the state before the first token, from which teacher forcing starts.
        """
        best = [line.hypotheses[part][0] for line, part in batch]
        written = [
            [self.specials.bos, *hypothesis.tokens][: len(hypothesis.tokens) + hypothesis.finished]
            for hypothesis in best
        ]
        weights = self.engine.weights(state, written)
        for (line, part), rows in zip(batch, weights, strict=True):
            line.attention[part] = rows[:, : len(line.parts[part]) + 1].copy()

    def _rerank(self, result: LineResult, options: MinimumRiskOptions) -> LineResult:
        """Return the result of a line with candidates sorted by expected utility, best first."""
        candidates = result.translations
        # Likely samples are drawn more often, so each sample has the same weight.
        drawn = isinstance(options.candidates, SamplingOptions)
        gains = expected_utilities(
            [candidate.text for candidate in candidates],
            [0.0 if drawn else candidate.log_probability for candidate in candidates],
            options.utility,
            lowercase=self.lowercase,
            tokens=self.bleu_tokens,
        )
        scored = [
            replace(candidate, score=gain)
            for candidate, gain in zip(candidates, gains, strict=True)
        ]
        ranked = sorted(scored, key=lambda candidate: -candidate.score)
        return LineResult(ranked[: options.n_best], result.notes)

    def _encode(self, texts: Sequence[str], first: int) -> list[SourceLine]:
        data = self.configs[0].data
        spaced = uses_spaces(data.source), uses_spaces(data.target)
        encoded = zip(texts, self.codec.source_ids(texts), strict=True)
        return [
            encode_line(number, text, ids, self.codec, self.max_tokens, spaced=spaced)
            for number, (text, ids) in enumerate(encoded, start=first)
        ]
