"""What a score costs: the variants of a study against their minutes or their parameters."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seq2seq.errors import UserError, nearest
from seq2seq.evaluation.figures import COLOURS, QUIET, new_figure, save, style
from seq2seq.evaluation.table import Row, describe

if TYPE_CHECKING:
    from matplotlib.text import Annotation

Cost = Literal["minutes", "parameters"]
_AXES: dict[Cost, str] = {
    "minutes": "minutes of training",
    "parameters": "parameters (millions)",
}
_LABEL: dict[str, Any] = {
    "xytext": (0, 0),
    "textcoords": "offset points",
    "fontsize": 8,
    "parse_math": False,
}
_POINT = 6  # pixels from the middle of the largest point to its edge
# Where a label may stand beside its point, the first that is free: how far away, and aligned how.
_PLACES = [
    ((6, 4), "left", "bottom"),
    ((6, -4), "left", "top"),
    ((-6, 4), "right", "bottom"),
    ((-6, -4), "right", "top"),
]


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
    axes.margins(x=0.12, y=0.12)
    best = frontier(found)
    axes.plot([one.cost for one in best], [one.score for one in best], color=COLOURS[0], lw=1.2)
    labels = []
    for one in found:
        ours = one in best
        colour = COLOURS[0] if ours else COLOURS[1] if one.name in named else QUIET
        axes.plot([one.cost], [one.score], "o", color=colour, markersize=6 if ours else 4.5)
        if ours or one.name in named:
            where = (one.cost, one.score)
            labels.append(axes.annotate(one.name, where, **_LABEL, color=colour))
    figure.draw_without_rendering()  # where things are is known now
    _set_apart(labels, axes.transData.transform([(one.cost, one.score) for one in found]))
    save(figure, picture)


def _set_apart(labels: Sequence[Annotation], points: np.ndarray) -> None:
    """Each label goes where it covers no point and no label before it, if there is such a place.

    points: [N, 2], in pixels.
    """
    from matplotlib.transforms import Bbox

    taken = [Bbox([(x - _POINT, y - _POINT), (x + _POINT, y + _POINT)]) for x, y in points]
    for label in labels:
        for away, horizontal, vertical in _PLACES:
            label.xyann = away
            label.set(ha=horizontal, va=vertical)
            box = label.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
