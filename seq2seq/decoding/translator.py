"""Raw lines in, raw lines out: the one path of every translation, in training and in use."""

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

if TYPE_CHECKING:  # an engine need not be PyTorch's
    import torch

    from seq2seq.models.folder import Model

_WINDOW = 32  # batches of lines that are sorted by length together

Found = list[list[Hypothesis]]


class Translator:
    """An engine and the codec of its models, ready to translate raw lines.

    `Translator.load(folder)` opens one. An object keeps no state between calls, so several threads
    may use it.
    """

    def __init__(
        self,
        engine: Engine[Any],
        codec: Codec,
        configs: Sequence[Config],
        *,
        batch_size: int = 64,
    ) -> None:
        """configs: of the models in the engine. batch_size: lines that are searched together.

        Raises UserError for models of different tasks and for a batch size below 1.
        """
        if batch_size < 1:
            raise UserError(f"batch size {batch_size} must be at least 1")
        if len({config.task.same_length for config in configs}) > 1:
            raise UserError(
                f"a model of task {ALIGNED.name!r} writes as many tokens as its source has: it "
                "cannot be in an ensemble with one that does not"
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
        """Models with one vocabulary, several as an ensemble, on PyTorch: by default on the CPU, in
        float32. Raises UserError where the vocabularies differ."""
        from seq2seq.decoding.torch_engine import TorchEngine

        codec = models[0].codec
        for number, model in enumerate(models[1:], start=2):
            if model.codec != codec:
                raise UserError(
                    "the models of an ensemble must have one vocabulary, and that of model "
                    f"{number} is not that of model 1: train them on the same tokenizer"
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
        """Open one model folder, or several with one vocabulary as an ensemble.

        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1". precision: "fp32", "bf16"
        or "auto". batch_size: lines that are searched together. tasks: those that a model may have.
        Raises UserError for a folder that is not a complete model folder, for a model of another
        task, and for models that do not fit each other.
        """
        if not folders:
            raise TypeError("load() needs a model folder")
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
        """Return one translation for each line, in order; log notes on lines as warnings.

        options: the search, instead of the keywords, which `options.search_options` explains.
        Raises TypeError for one string (give a list), for a line that is not a string, and for both
        options and keywords; UserError, with all problems, for values that do not fit.
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
        """Yield the result of each line, in order, as soon as all lines before it are done.

        options: beam search of 5 if None. Reads ahead no further than a window of lines, so that
        memory does not grow. Raises TypeError for one string, for a line that is not a string, and
        for options that are no search.
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
    ) -> Iterator[LineResult]:
        """The result of each line of each window, in order; a window is sorted by length as a
        whole.

        A blank line gives one empty translation, and a line of which the tokenizer keeps nothing
        (U+200B alone) one "⁇". A line with more subwords than `data.max_tokens`, so than any in
        training, is split, translated in parts and joined. A note says either.

        align: the best translation of each line comes with its alignment. advance: is told how many
        lines were searched, batch by batch. Raises UserError where a model has no attention that is
        asked for one, and where something else than the search says which translation is the best,
        or how long it is.
        """
        self._require_fitting(options, align)
        if isinstance(options, MinimumRiskOptions):
            for result in self.translate_windows(windows, options.candidates, advance=advance):
                yield self._rerank(result, options)
            return
        before = 0
        for texts in windows:
            lines = self._encode(texts, first=before + 1)
            before += len(lines)
            work = [(line, part) for line in lines for part in range(len(line.parts))]
            work.sort(key=lambda item: len(item[0].parts[item[1]]))  # stable: like lengths together
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
        """Log-probabilities of given targets by teacher forcing: what the search itself says of
        them. A source that a search would split is taken whole.

        Raises TypeError for one string and for a line that is not a string, UserError for sources
        and targets that differ in number.
        """
        sources, targets = list(each_text(sources, "sources")), list(each_text(targets, "targets"))
        if len(sources) != len(targets):
            raise UserError(
                f"{len(sources)} sources and {len(targets)} targets: give each source a target"
            )
        scored: dict[int, Translation] = {}
        encoded = self.codec.source_ids(sources)
        end = [] if self.task.same_length else [self.specials.eos]
        wanted = [[*ids, *end] for ids in self.codec.target.encode(targets)]
        order = sorted(range(len(sources)), key=lambda i: (len(wanted[i]), len(encoded[i])))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            state = self.engine.start([np.asarray(encoded[i], np.int64) for i in rows])
            totals = force(self.engine, state, [wanted[i] for i in rows], self.specials.bos)
            for i, total in zip(rows, totals, strict=True):
                certain = UNKNOWN_TEXT if sources[i].strip() else ""
                if not encoded[i] and targets[i].strip() == certain:
                    total = 0.0  # what a line without a token becomes is no model's to say
                length = max(1, len(wanted[i]))
                scored[i] = Translation(targets[i], total, total / length**length_penalty)
        return [scored[i] for i in range(len(sources))]

    def require_attention(self) -> None:
        """Raises UserError where a model has no attention: no alignments."""
        for number, config in enumerate(self.configs, start=1):
            if not config.context.is_attention:
                which = f"model {number}" if len(self.configs) > 1 else "the model"
                raise UserError(
                    f"{which} has a fixed context vector, which looks at no word more than at "
                    "another: alignments need one with attention (context.kind)"
                )

    # The steps of the above.

    def _require_fitting(self, options: AnySearch, align: bool) -> None:
        """Raises UserError for options that the models have no use for."""
        plain = options.candidates if isinstance(options, MinimumRiskOptions) else options
        if align:
            self.require_attention()
            if plain is not options or (isinstance(plain, SamplingOptions) and plain.n_best > 1):
                raise UserError("alignments are of a search's own best: leave out either of them")
        if self.task.same_length and (plain.min_length > 1 or plain.max_length is not None):
            raise UserError(
                f"a model of task {ALIGNED.name!r} writes as many tokens as its source has: leave "
                "out the minimum and the maximum length"
            )

    def _search(self, options: PlainSearch, keys: Sequence[str]) -> Callable[..., Found]:
        """The search of one batch; keys: what the draws of each source depend on."""
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
        lengths = np.array([len(ids) + 1 for ids in sources])  # EOS counted
        if self.task.same_length:  # the lengths of a batch are all the same
            return Limits(max(1, int(lengths[0]) - 1), np.maximum(lengths - 1, 1))
        if options.max_length is not None:
            return Limits(options.min_length, np.full_like(lengths, options.max_length))
        if self.task.source == "condition":
            longest = self.configs[0].data.max_tokens
            return Limits(options.min_length, np.full_like(lengths, longest))
        return Limits(options.min_length, 2 * lengths + 10)

    def _attend(self, batch: Sequence[tuple[SourceLine, int]], state: Any) -> None:
        """Keep the attention of each source's best hypothesis, by teacher forcing from `state`."""
        best = [line.hypotheses[part][0] for line, part in batch]
        written = [
            [self.specials.bos, *hypothesis.tokens][: len(hypothesis.tokens) + hypothesis.finished]
            for hypothesis in best
        ]
        weights = self.engine.weights(state, written)
        for (line, part), rows in zip(batch, weights, strict=True):
            line.attention[part] = rows[:, : len(line.parts[part]) + 1].copy()

    def _rerank(self, result: LineResult, options: MinimumRiskOptions) -> LineResult:
        """The candidates of a line by falling expected utility."""
        candidates = result.translations
        # Samples come as often as they are likely.
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
