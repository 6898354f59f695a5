"""What a score costs: the variants of a study against their minutes or their parameters."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seq2seq.errors import UserError, nearest
from seq2seq.evaluation.figures import COLOURS, QUIET, new_figure, save, style
from seq2seq.evaluation.table import Row, describe

Cost = Literal["minutes", "parameters"]
_AXES: dict[Cost, str] = {
    "minutes": "minutes of training",
    "parameters": "parameters (millions)",
}


@dataclass(frozen=True)
class Variant:
    """Means over the seeds of a variant. cost: minutes, or millions of parameters."""

    name: str
    cost: float
    score: float


def variants(
    rows: Iterable[Row], *, prefix: str, split: str, decoding: str, metric: str, cost: Cost
) -> list[Variant]:
    """The variants whose names begin with `prefix`, which is left out of them, cheapest first.

    decoding: in the words of RESULTS.md ("greedy"). Of rows of one seed the last counts. Raises
    UserError where there is none, with what there is instead, and for a training without minutes.
    """
    known: set[str] = set()
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for row in rows:
        values = {one["name"]: one["value"] for one in row["metrics"]}
        if not row["variant"].startswith(prefix) or metric not in values:
            continue
        known.add(f"{row['split']} {describe(row['decoding'])}")
        if (row["split"], describe(row["decoding"])) != (split, decoding):
            continue
        minutes = row["training_minutes"]
        if cost == "minutes" and minutes is None:
            raise UserError(f"{row['variant']}: its row does not say how long it was trained")
        price = minutes if cost == "minutes" else row["parameters"] / 1e6
        found.setdefault(row["variant"], {})[row["seed"]] = (price, values[metric])
    if not found:
        wanted = f"no row of a variant {prefix}… has {metric} on {split}, {decoding}"
        raise UserError(f"{wanted}{nearest(f'{split} {decoding}', known)}")
    means = [
        Variant(
            name.removeprefix(prefix), *map(statistics.fmean, zip(*seeds.values(), strict=True))
        )
        for name, seeds in found.items()
    ]
    return sorted(means, key=lambda one: (one.cost, -one.score))


def frontier(sorted_variants: Sequence[Variant]) -> list[Variant]:
    """Those that no cheaper one is as good as; what is given is sorted by cost."""
    best: list[Variant] = []
    for one in sorted_variants:
        if not best or one.score > best[-1].score:
            best.append(one)
    return best


def plot_costs(
    found: Sequence[Variant], picture: Path, *, metric: str, cost: Cost, named: Sequence[str] = ()
) -> None:
    """A point for each variant. What lies on the frontier is joined and named, `named` ones too.

    Raises UserError for a name that no variant has, and for a picture that is not png, svg or pdf.
    """
    names = {one.name for one in found}
    for name in named:
        if name not in names:
            raise UserError(f"no variant is called {name!r}{nearest(name, names)}")
    figure = new_figure(width=7.2, height=4.4)
    axes = figure.subplots()
    style(axes, metric)
    axes.set_xlabel(_AXES[cost], color=QUIET)
    best = frontier(found)
    axes.plot([one.cost for one in best], [one.score for one in best], color=COLOURS[0], lw=1.2)
    for one in found:
        ours = one in best
        colour = COLOURS[0] if ours else COLOURS[1] if one.name in named else QUIET
        axes.plot([one.cost], [one.score], "o", color=colour, markersize=6 if ours else 4.5)
        if ours or one.name in named:
            axes.annotate(
                one.name,
                (one.cost, one.score),
                xytext=(6, 4) if ours else (6, -4),
                textcoords="offset points",
                va="bottom" if ours else "top",
                fontsize=8,
                color=colour,
                parse_math=False,
            )
    axes.margins(x=0.12, y=0.12)
    save(figure, picture)
