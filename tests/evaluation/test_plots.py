"""Pictures are drawn from whatever a run has left, and never half-written."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest

from seq2seq.errors import UserError
from seq2seq.evaluation import figures as figures_module
from seq2seq.evaluation import fonts, length_plots, plots
from seq2seq.evaluation.length_plots import plot_lengths, plot_symbol_errors
from seq2seq.evaluation.lengths import LengthBucket
from seq2seq.evaluation.plots import plot_curves
from seq2seq.evaluation.symbol_scores import Confusion, SymbolErrors, SymbolLengthBucket

TRAIN = {"kind": "train", "update": 50, "epoch": 1, "loss": 6.1, "perplexity": 445.9}
VALID = {"kind": "valid", "update": 100, "epoch": 1, "loss": 5.0, "perplexity": 148.4, "best": True}


def run(tmp_path, *rows, end="\n"):
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + end)
    return path


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, so that a test can ask what stands in them."""
    figures = []
    save = figures_module.save_figure
    for module in (plots, length_plots, fonts):
        monkeypatch.setattr(
            module, "save_figure", lambda *given: (figures.append(given[0]), save(*given))
        )
    return figures


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_losses_and_bleu_are_drawn_and_the_best_is_marked(tmp_path, drawn):
    rows = [
        TRAIN,
        VALID | {"bleu": 12.34},
        TRAIN | {"update": 2000, "loss": 3.0},
        # The run's own word counts: it may judge by something else than BLEU.
        VALID | {"update": 2000, "bleu": 23.45},
        VALID | {"update": 3000, "bleu": 24.0, "best": False},
    ]
    picture = tmp_path / "curves.png"
    plot_curves(run(tmp_path, *rows), picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    loss, quality = drawn[0].axes
    assert sorted(texts(loss)) == ["training", "validation"]
    assert [list(line.get_ydata()) for line in loss.lines] == [[6.1, 3.0], [5.0, 5.0, 5.0]]
    assert quality.get_title(loc="left") == "Validation BLEU"
    assert list(quality.lines[0].get_ydata()) == [12.34, 23.45, 24.0]
    assert texts(quality) == ["23.4 at update 2,000"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "metrics.jsonl"]


def test_without_bleu_the_perplexity_is_drawn(tmp_path, drawn):
    plot_curves(run(tmp_path, TRAIN, VALID | {"bleu": None}), tmp_path / "a.png")
    assert drawn[0].axes[1].get_title(loc="left") == "Validation perplexity"
    assert texts(drawn[0].axes[1]) == ["148.4 at update 100"]


def test_a_bleu_that_is_sometimes_null_is_drawn_where_it_is_not(tmp_path, drawn):
    rows = [VALID | {"bleu": None}, VALID | {"update": 200, "bleu": 3.0, "best": False}]
    plot_curves(run(tmp_path, *rows), tmp_path / "a.png")
    assert texts(drawn[0].axes[1]) == ["3.0 at update 200"]


@pytest.mark.parametrize("row", [TRAIN, VALID | {"bleu": 1.0}, VALID | {"bleu": None}])
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_one_row_is_enough(tmp_path, row, kind):
    picture = tmp_path / f"a.{kind}"
    plot_curves(run(tmp_path, row), picture)
    assert picture.stat().st_size > 1000


def test_a_line_still_being_written_is_not_read(tmp_path):
    plot_curves(run(tmp_path, TRAIN, end='\n{"kind": "tr'), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "nothing to plot"),
        ('{"kind": "train", "update": 1, "loss": NaN}\n', "nothing to plot"),
        ('{"kind": "train", "loss": 1.0}\n', r"metrics\.jsonl:1: 'update' and 'loss'"),
        ('{"kind": "other"}\n\n{"kind": \n', r"metrics\.jsonl:3: the line is invalid JSON"),
        ("[1]\n", r"metrics\.jsonl:1: .*not a JSON object"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(tmp_path, content, message):
    path = tmp_path / "metrics.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        plot_curves(path, tmp_path / "a.png")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.png").exists()


def test_places_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.jsonl: the file cannot be read"):
        plot_curves(tmp_path / "none.jsonl", tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: the file cannot be written"):
        plot_curves(run(tmp_path, TRAIN), tmp_path / "no" / "a.png")
    with pytest.raises(UserError, match=r"a\.pngg: .*did you mean 'png'"):
        plot_curves(run(tmp_path, TRAIN), tmp_path / "a.pngg")


def test_lengths_of_several_systems(tmp_path, drawn):
    short, long = LengthBucket(0, 5, 40, 30.0, 1, 1), LengthBucket(61, None, 1, 10.0, 1, 1)
    systems = {"a $x$": [short, long], "b_1": [short], "none": []}
    plot_lengths(systems, tmp_path / "lengths.png")
    (axes,) = drawn[0].axes
    assert sorted(texts(axes)) == ["a $x$", "b_1"]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["≤ 5\n40 lines", "61+\n1 line"]
    assert [list(line.get_ydata()) for line in axes.lines] == [[30.0, 10.0], [30.0]]


def test_names_do_not_stand_on_each_other(tmp_path, drawn):
    plot_lengths(
        {f"system {n}": [LengthBucket(0, 5, 4, 30.0, 1, 1)] for n in range(9)}, tmp_path / "a.png"
    )
    levels = sorted(text.get_window_extent().y0 for text in drawn[0].axes[0].texts)
    heights = [text.get_window_extent().height for text in drawn[0].axes[0].texts]
    assert all(b - a > 0.9 * max(heights) for a, b in pairwise(levels))


def test_no_bucket_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing to plot"):
        plot_lengths({"a": []}, tmp_path / "a.png")


def test_error_rates_and_confusions_of_symbols(tmp_path, drawn):
    buckets = [
        SymbolLengthBucket(0, 3, SymbolErrors(items=4, wrong=1, edits=2, symbols=20)),
        SymbolLengthBucket(25, None, SymbolErrors(items=1, wrong=1, edits=3, symbols=30)),
    ]
    confusions = [Confusion("ɪ", "$x$", 12), Confusion("", "t", 3)]
    plot_symbol_errors(buckets, confusions, tmp_path / "a.png")
    lengths, counts = drawn[0].axes
    assert sorted(texts(lengths)) == ["SER", "WER"]
    assert [list(line.get_ydata()) for line in lengths.lines] == [[25.0, 100.0], [10.0, 10.0]]
    ticks = [tick.get_text() for tick in lengths.get_xticklabels()]
    assert ticks == ["≤ 3\n4 lines", "25+\n1 line"]
    assert [bar.get_width() for bar in counts.patches] == [12, 3]
    labels = [tick.get_text() for tick in counts.get_yticklabels()]
    assert labels == ["ɪ → $x$", "(nothing) → t"]
    plot_symbol_errors(buckets, [], tmp_path / "b.png")
    assert len(drawn[1].axes) == 1


def test_matplotlib_is_imported_only_to_draw():
    script = "import sys, seq2seq.evaluation.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
