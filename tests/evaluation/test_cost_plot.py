"""What a variant costs is told from rows as they are recorded."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.errors import UserError
from seq2seq.evaluation import cost_plot
from seq2seq.evaluation.cost_plot import VariantCost, pareto_frontier, plot_costs, select_variants


def row(variant="study-base", seed=1, bleu=20.0, minutes=10.0, **changed):
    made = {
        "variant": variant,
        "seed": seed,
        "split": "val",
        "decoding": {"beam": 1},
        "metrics": [{"name": "BLEU", "value": bleu, "signature": ""}],
        "parameters": 5_000_000,
        "training_minutes": minutes,
    }
    return made | changed


WANTED = {"prefix": "study-", "split": "val", "decoding": "greedy", "metric": "BLEU"}


def test_a_variant_is_the_mean_of_its_seeds_each_by_its_last_row():
    rows = [
        row(bleu=1.0),
        row(bleu=20.0, minutes=8.0),
        row(seed=2, bleu=22.0, minutes=12.0),
        row("study-cheap", bleu=19.0, minutes=2.0),
        row("other"),
        row(split="test"),
        row(decoding={"beam": 5, "length_penalty": 1.0}),
        row("study-lm", metrics=[{"name": "perplexity", "value": 5.0, "signature": ""}]),
    ]
    assert select_variants(rows, cost="minutes", **WANTED) == [
        VariantCost("cheap", 2.0, 19.0),
        VariantCost("base", 10.0, 21.0),
    ]
    assert {one.cost for one in select_variants(rows, cost="parameters", **WANTED)} == {5.0}


def test_what_is_not_there_is_said():
    with pytest.raises(UserError, match="on tes, greedy: these variants have BLEU on test, greedy"):
        select_variants([row(split="test")], cost="minutes", **WANTED | {"split": "tes"})
    with pytest.raises(UserError, match="score for chrF on val, greedy: these variants have BLEU"):
        select_variants([row()], cost="minutes", **WANTED | {"metric": "chrF"})
    with pytest.raises(UserError, match="no variant name begins with this prefix"):
        select_variants([row()], cost="minutes", **WANTED | {"prefix": "other-"})
    with pytest.raises(UserError, match="study-base: the training time is unknown"):
        select_variants([row(minutes=None)], cost="minutes", **WANTED)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_no_one_is_cheaper_and_as_good_as_one_of_the_frontier(points):
    found = sorted(
        (VariantCost("", *point) for point in points), key=lambda one: (one.cost, -one.score)
    )
    best = pareto_frontier(found)
    for one in found:
        beaten = any(
            other.cost <= one.cost and other.score >= one.score and other != one for other in found
        )
        assert (one in best) == (not beaten)


def test_the_best_and_the_named_are_named(shell, tmp_path):
    rows = [row(), row("study-slow", minutes=20.0), row("study-good", bleu=30.0, minutes=25.0)]
    full = {"recipe": "r", "seconds": 1.0, "lines": 1, "command": "c", "hardware": {}}
    full |= {"commit": "0", "date": "2026"}
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(one | full) + "\n" for one in rows))
    picture = tmp_path / "cost_plot.svg"
    arguments = ["plot", "costs", path, "--variants", "study-", "-o", picture]
    assert shell(*arguments, "--name", "slow").code == 0
    drawn = picture.read_text()
    assert all(f"<!-- {name} -->" in drawn for name in ("base", "slow", "good"))
    assert shell(*arguments).code == 0
    assert "<!-- slow -->" not in picture.read_text()
    assert (
        "no variant is called 'slwo'; did you mean 'slow'?"
        in shell(*arguments, "--name", "slwo").err
    )
    assert shell(*arguments, "--lowest", "20.5").code == 0
    drawn = picture.read_text()
    assert all(f"<!-- {name} -->" in drawn for name in ("base 20.0", "slow 20.0", "good"))
    with pytest.raises(UserError, match=r"must end in \.png"):
        plot_costs([VariantCost("a", 1.0, 1.0)], tmp_path / "a.gif", metric="BLEU", cost="minutes")
    with pytest.raises(UserError, match=r"\(--lowest\) must be a finite number, but is nan"):
        plot_costs(
            [VariantCost("a", 1.0, 1.0)],
            tmp_path / "a.png",
            metric="BLEU",
            cost="minutes",
            lowest=math.nan,
        )


def test_names_do_not_cover_each_other_a_point_or_the_line(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(cost_plot, "save_figure", lambda figure, picture: drawn.append(figure))
    found = [
        VariantCost("low", 9.0, 2.0),
        VariantCost("near", 9.9, 20.0),
        VariantCost("nearer", 10.0, 20.1),
        VariantCost("flat", 13.0, 20.2),
        VariantCost("far", 16.0, 25.0),
    ]
    plot_costs(found, tmp_path / "cost_plot.png", metric="BLEU", cost="minutes", lowest=18)
    (figure,) = drawn
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [label.get_window_extent() for label in axes.texts]
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    points = axes.transData.transform([(one.cost, one.score) for one in found])
    for point in points:
        assert not any(box.contains(*point) for box in boxes)
    line = [
        first + (second - first) * part / 99
        for first, second in itertools.pairwise(points)
        for part in range(100)
    ]
    for point in line:
        assert not any(box.contains(*point) for box in boxes)
    assert min(box.y0 for box in boxes) >= axes.get_window_extent().y0
