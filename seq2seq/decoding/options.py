"""The options of each search algorithm. Each class checks its values when it is constructed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Unpack, get_args

from seq2seq.decoding.constraint_options import ConstraintOptions, ConstraintValues
from seq2seq.errors import UserError

Utility = Literal["chrf", "bleu"]

DEFAULT_BEAM = 5
MOST_PENALTY = 10.0  # a larger exponent makes numbers that are too large for float64


@dataclass(frozen=True, kw_only=True)
class SearchOptions(ConstraintOptions):
    """The options that all search algorithms share.

    length_penalty: the exponent α in score = Σ log p / length^α, from 0 to 10.
    min_length: the smallest number of target tokens before EOS.
    max_length: the largest number of target tokens including EOS. None takes the limit that the
    model learned from the lengths of its training pairs (see `TextStatistics`), or
    `data.max_tokens` if the source is a label or a vector.

    `ConstraintOptions` explains target_prefix, forbid, require, no_repeat_ngram and stop.

    For a model of the task "aligned", leave both lengths at their defaults, because the output is
    always as long as the source. Raises UserError, which lists all values out of range.
    """

    length_penalty: float = 1.0
    min_length: int = 1
    max_length: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if problems := self.problems():
            raise UserError("; ".join(problems))

    def problems(self) -> list[str]:
        """Return one message for each value that is out of range."""
        problems = self.constraint_problems()
        if self.stop and self.min_length > 1:
            problems.append("a minimum length does not work with stop strings: use one of them")
        if self.min_length < 1:
            problems.append(f"the minimum length must be at least 1, but is {self.min_length}")
        if self.max_length is not None and self.max_length < self.min_length:
            problems.append(
                f"maximum length {self.max_length} is below the minimum length {self.min_length}"
            )
        if not 0 <= self.length_penalty <= MOST_PENALTY:
            problems.append(
                f"the length penalty must be from 0 to {MOST_PENALTY:g}, but is "
                f"{self.length_penalty}"
            )
        return problems


@dataclass(frozen=True, kw_only=True)
class GreedyOptions(SearchOptions):
    """The options of greedy search, which chooses the most likely token at every step."""

    @property
    def n_best(self) -> int:
        """Return 1, because greedy search finds one hypothesis for each source."""
        return 1


@dataclass(frozen=True, kw_only=True)
class BeamOptions(SearchOptions):
    """The options of beam search.

    beam: the number of hypotheses that the search keeps at each step.
    n_best: the number of hypotheses to return for each source, best first.
    """

    beam: int = DEFAULT_BEAM
    n_best: int = 1

    def problems(self) -> list[str]:
        """Return one message for each value that is out of range."""
        problems = super().problems()
        if min(self.beam, self.n_best) < 1:
            problems.append(f"beam ({self.beam}) and n-best ({self.n_best}) must be at least 1")
        if self.n_best > self.beam:
            problems.append(f"n-best {self.n_best} needs a beam of at least {self.n_best}")
        return problems


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(SearchOptions):
    """The options of sampling, which draws tokens from the model's distribution.

    n_best: the number of samples for each source.
    temperature: a token is drawn with a probability proportional to p^(1 / temperature).
    top_k: draw only from the k most likely tokens. 0 keeps all tokens.
    top_p: draw only from the smallest set of most likely tokens whose total probability reaches
    top_p. 1 keeps all tokens. If top_k is also set, top_k is applied before top_p.
    seed: the random seed. A sample depends only on the seed, the text of the line and the number of
    the sample. (If a line is split, the sample also depends on the number of the part.)
    """

    n_best: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1

    def problems(self) -> list[str]:
        """Return one message for each value that is out of range."""
        problems = super().problems()
        if self.n_best < 1:
            problems.append(f"n-best must be at least 1, but is {self.n_best}")
        if self.require:
            problems.append("required phrases do not work with sampling: use a beam")
        return problems + sampling_problems(self.temperature, self.top_k, self.top_p)


PlainSearch = GreedyOptions | BeamOptions | SamplingOptions


@dataclass(frozen=True, kw_only=True)
class MinimumRiskOptions:
    """The options of minimum Bayes risk decoding (see `seq2seq.decoding.minimum_risk`).

    candidates: the search that produces the candidates, at least 2 for each source.
    utility: the sentence score that compares two candidates, "chrf" or "bleu".
    n_best: the number of candidates to return, in descending order of expected utility. The
    expected utility becomes the score of a translation.
    """

    candidates: PlainSearch
    utility: Utility = "chrf"
    n_best: int = 1

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise UserError("; ".join(problems))

    def problems(self) -> list[str]:
        """Return one message for each value that is out of range."""
        problems = []
        count = self.candidates.n_best
        if count < 2:
            problems.append("minimum Bayes risk (mbr) needs at least 2 candidates")
        elif self.n_best > count:
            problems.append(
                f"n-best ({self.n_best}) must not exceed the number of candidates (mbr, {count})"
            )
        if self.utility not in get_args(Utility):
            known = " or ".join(get_args(Utility))
            problems.append(f"the utility must be {known}, but is {self.utility!r}")
        return problems


AnySearch = PlainSearch | MinimumRiskOptions


def sampling_problems(temperature: float, top_k: int, top_p: float) -> list[str]:
    """Return one message for each sampling setting that is out of range."""
    problems = []
    if not 0 < temperature < math.inf:
        problems.append(f"the temperature must be finite and above 0, but is {temperature}")
    if top_k < 0:
        problems.append(f"top-k must be at least 0 (0 keeps all tokens), but is {top_k}")
    if not 0 < top_p <= 1:
        problems.append(f"top-p must be above 0 and at most 1 (1 keeps all tokens), but is {top_p}")
    return problems


def search_options(
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
    **constraints: Unpack[ConstraintValues],
) -> AnySearch:
    """Return the search options that the command line or the arguments of `translate` describe.

    beam: the beam size; 1 means greedy search.
    mbr: the number of candidates for minimum Bayes risk decoding; 0 turns it off.

    Raises UserError, which lists all values out of range and all options without an effect.
    """
    problems = []
    if sampling and beam != DEFAULT_BEAM:
        problems.append("sampling does not use a beam: choose either sampling or a beam")
    if not sampling and (temperature, top_k, top_p, seed) != (1.0, 0, 1.0, 1):
        problems.append("temperature, top-k, top-p and seed only work with sampling (--sample)")
    if utility != "chrf" and not mbr:
        problems.append("the utility only works with minimum Bayes risk (--mbr)")
    if mbr and not sampling and mbr > beam:
        problems.append(f"{mbr} candidates (mbr) need a beam of at least {mbr}, or sampling")
    count = mbr or n_best
    shared: dict[str, Any] = {
        "length_penalty": length_penalty,
        "min_length": min_length,
        "max_length": max_length,
        **constraints,
    }
    search: AnySearch | None = None
    try:
        if sampling:
            draw: dict[str, Any] = {
                "temperature": temperature,
                "top_k": top_k,
                "top_p": top_p,
                "seed": seed,
            }
            search = SamplingOptions(n_best=count, **shared, **draw)
        elif beam == 1 and count == 1:
            search = GreedyOptions(**shared)
        else:
            search = BeamOptions(beam=max(beam, mbr), n_best=count, **shared)
        if mbr:
            search = MinimumRiskOptions(candidates=search, utility=utility, n_best=n_best)
    except UserError as error:
        problems.append(str(error))
    if problems or search is None:
        raise UserError("; ".join(problems))
    return search
