"""The options of each search, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from seq2seq.errors import UserError

Utility = Literal["chrf", "bleu"]

DEFAULT_BEAM = 5


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What all searches share; raises UserError, with all problems, for a value out of range.

    length_penalty: α of score = Σ log p / length^α. min_length, max_length: in tokens of the
    target, EOS counted in the maximum; None allows twice the source's length plus ten
    (`data.max_tokens` where the source is a label or a vector). A model of task "aligned" writes
    as many tokens as its source has, and ignores both.
    """

    length_penalty: float = 1.0
    min_length: int = 1
    max_length: int | None = None

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise UserError("; ".join(problems))

    def problems(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        problems = []
        if self.min_length < 1:
            problems.append(f"minimum length {self.min_length} must be at least 1")
        if self.max_length is not None and self.max_length < self.min_length:
            problems.append(
                f"maximum length {self.max_length} is below the minimum length {self.min_length}"
            )
        if not 0 <= self.length_penalty < math.inf:
            problems.append(f"length penalty {self.length_penalty} must be finite and at least 0")
        return problems


@dataclass(frozen=True, kw_only=True)
class GreedyOptions(SearchOptions):
    """Greedy search: the most likely token at every step."""

    @property
    def n_best(self) -> int:
        """How many hypotheses it returns."""
        return 1


@dataclass(frozen=True, kw_only=True)
class BeamOptions(SearchOptions):
    """Beam search. beam: hypotheses alive in each step. n_best: how many to return, best first."""

    beam: int = DEFAULT_BEAM
    n_best: int = 1

    def problems(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        problems = super().problems()
        if min(self.beam, self.n_best) < 1:
            problems.append("beam and n-best must be at least 1")
        if self.n_best > self.beam:
            problems.append(f"n-best {self.n_best} needs a beam of at least {self.n_best}")
        return problems


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(SearchOptions):
    """Sampling from the model. n_best: how many samples.

    Tokens are drawn from p^(1 / temperature) over the `top_k` most likely tokens (0: all) and, of
    those, the smallest set whose mass reaches `top_p` (1: all). seed: the draws of a line depend on
    it, on the line's text, on the number of the part where the line was split, and on the number
    of the sample; so they do not depend on the neighbours.
    """

    n_best: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1

    def problems(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        problems = super().problems()
        if self.n_best < 1:
            problems.append("n-best must be at least 1")
        return problems + sampling_problems(self.temperature, self.top_k, self.top_p)


PlainSearch = GreedyOptions | BeamOptions | SamplingOptions


@dataclass(frozen=True, kw_only=True)
class MinimumRiskOptions:
    """Minimum Bayes risk over the n best of another search (`seq2seq.decoding.minimum_risk`).

    candidates: the search that finds them. utility: the sentence score that compares two of them.
    n_best: how many to return, by falling expected utility, which is their score then.
    """

    candidates: PlainSearch
    utility: Utility = "chrf"
    n_best: int = 1

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise UserError("; ".join(problems))

    def problems(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        problems = []
        count = self.candidates.n_best
        if count < 2:
            problems.append("minimum Bayes risk needs 2 candidates or more")
        elif self.n_best > count:
            problems.append(f"n-best {self.n_best} needs as many candidates (mbr)")
        if self.utility not in get_args(Utility):
            problems.append(f"the utility is one of {', '.join(get_args(Utility))}")
        return problems


AnySearch = PlainSearch | MinimumRiskOptions


def sampling_problems(temperature: float, top_k: int, top_p: float) -> list[str]:
    """What is wrong with the settings of a draw, one sentence each."""
    problems = []
    if not 0 < temperature < math.inf:
        problems.append(f"the temperature is {temperature}: it must be finite and above 0")
    if top_k < 0:
        problems.append(f"top-k is {top_k}: it must be at least 0 (0 keeps all)")
    if not 0 < top_p <= 1:
        problems.append(f"top-p is {top_p}: it must be above 0 and at most 1 (1 keeps all)")
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
) -> AnySearch:
    """The search that flat options ask for, as the command line and `translate` take them.

    beam 1 is greedy search; `sampling` draws instead; `mbr` chooses among that many candidates of
    either by minimum Bayes risk. Raises UserError, with all problems together, for values out of
    range and for options that the chosen search would ignore.
    """
    problems = []
    if sampling and beam != DEFAULT_BEAM:
        problems.append("samples are drawn without a beam: leave out either of them")
    if not sampling and (temperature, top_k, top_p, seed) != (1.0, 0, 1.0, 1):
        problems.append("temperature, top-k, top-p and seed need sampling (--sample)")
    if utility != "chrf" and not mbr:
        problems.append("a utility needs candidates (--mbr)")
    if mbr and not sampling and mbr > beam:
        problems.append(f"{mbr} candidates (mbr) need a beam as large, or sampling")
    count = mbr or n_best
    shared: dict[str, Any] = {
        "length_penalty": length_penalty,
        "min_length": min_length,
        "max_length": max_length,
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


def choose_search(
    options: AnySearch | None, flat: AnySearch, unset: AnySearch | None = None
) -> AnySearch:
    """The search of a call that takes either `options` or flat keywords.

    flat: what the keywords ask for; unset: what they ask for by default, if not a beam search.
    Raises TypeError where `options` is not a search, and where keywords beside it differ from their
    defaults.
    """
    if options is None:
        return flat
    require_search(options)
    if flat != (unset or search_options()):
        raise TypeError("options and keywords are both given: put all settings into options")
    return options


def require_search(options: object) -> None:
    """Raises TypeError for what is not a search."""
    if not isinstance(options, AnySearch):
        raise TypeError(
            f"options is {type(options).__name__}: give GreedyOptions, BeamOptions, "
            "SamplingOptions or MinimumRiskOptions"
        )


def require_sampling(options: object) -> None:
    """Raises TypeError for what is not a draw of samples."""
    if not isinstance(options, SamplingOptions):
        raise TypeError(f"options is {type(options).__name__}: give SamplingOptions")
