"""A picture of attention for what can be read, one line for what cannot."""

import json

import pytest

from seq2seq.errors import UserError
from seq2seq.evaluation import fonts
from seq2seq.evaluation.attention_plot import MAX_PIECES, plot_attention


def row(line, source, target):
    weights = [[1 / len(source)] * len(source) for _ in target]
    return {"line": line, "source": source, "target": target, "weights": weights}


def written(tmp_path, *rows):
    path = tmp_path / "soft.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    save = fonts.save_figure
    monkeypatch.setattr(
        fonts, "save_figure", lambda *given: (figures.append(given[0]), save(*given))
    )
    return figures


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_pieces_stand_at_the_edges(tmp_path, drawn, kind):
    rows = [row(1, ["x"], ["y"]), row(2, ["▁a$", "_b", "</s>"], ["▁c", "\u200f", "▁שלום", "</s>"])]
    plot_attention(written(tmp_path, *rows), 2, tmp_path / f"a.{kind}")
    assert (tmp_path / f"a.{kind}").stat().st_size > 1000
    axes = drawn[0].axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["▁a$", "_b", "</s>"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["▁c", "\\u200f", "▁שלום", "</s>"]
    assert axes.images[0].get_array().shape == (4, 3)


def test_a_script_that_no_font_has_is_drawn_as_boxes_and_said(tmp_path, caplog, monkeypatch):
    plain = fonts._characters_of
    monkeypatch.setattr(fonts, "_characters_of", lambda file: plain(file) - set(range(0x80, 2**21)))
    plot_attention(written(tmp_path, row(1, ["日本"], ["a"])), 1, tmp_path / "a.png")
    (message,) = caplog.messages
    assert "no installed font contains 日本" in message
    assert (tmp_path / "a.png").exists()


def test_a_font_is_found_for_what_the_usual_one_lacks(monkeypatch):
    """DejaVu Sans comes with matplotlib and has the letters; let the usual one have none."""
    plain = fonts._characters_of
    from matplotlib import font_manager

    usual = font_manager.findfont(fonts._FONT)
    monkeypatch.setattr(
        fonts, "_characters_of", lambda file: set() if file == usual else plain(file)
    )
    (name,) = fonts._fonts_for({"a", "b"})
    assert {ord("a"), ord("b")} <= plain(font_manager.findfont(name))


LONG = ["x"] * (MAX_PIECES + 1)


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ([row(1, ["a"], ["b"])], 7, "no alignment of line 7; the file holds 1 line;"),
        (
            [row(1, LONG, ["b"])],
            1,
            f"line 1 has {MAX_PIECES + 1} source and 1 target pieces, but a plot shows at most",
        ),
        ([row(1, ["a"], ["b"]), row(2, ["a"], ["x"] * 500)], 2, ":2: line 2 has 1 source and 500"),
        ([{"line": 1, "source": [], "target": [], "weights": []}], 1, "line 1 is blank"),
        ([{"line": 1, "text": "a", "score": 1}], 1, ":1: not an alignment: a line needs source"),
        ([{**row(1, ["a"], ["b"]), "weights": [[1, 2]]}], 1, ":1: not an alignment"),
        ([{**row(1, ["a"], ["b"]), "weights": [["x"]]}], 1, ":1: not an alignment"),
        ([{**row(1, ["a"], ["b"]), "weights": [[10**30]]}], 1, ":1: not an alignment"),
        ([{**row(1, ["a"], ["b"]), "weights": [[float("nan")]]}], 1, ":1: not an alignment"),
    ],
)
def test_one_line_for_what_cannot_be_drawn(tmp_path, rows, line, said):
    with pytest.raises(UserError) as error:
        plot_attention(written(tmp_path, *rows), line, tmp_path / "a.png")
    assert said in str(error.value)
    assert str(tmp_path / "soft.jsonl") in str(error.value)
    assert not (tmp_path / "a.png").exists()


def test_another_kind_of_picture(tmp_path):
    with pytest.raises(UserError, match="not in 'jpg'"):
        plot_attention(written(tmp_path, row(1, ["a"], ["b"])), 1, tmp_path / "a.jpg")


def test_hard_alignments_are_no_picture(tmp_path):
    path = tmp_path / "hard.txt"
    path.write_text("0-0 1-1\n")
    with pytest.raises(UserError, match=r"--alignments FILE\.jsonl"):
        plot_attention(path, 1, tmp_path / "a.png")


def test_too_deep_to_be_read(tmp_path):
    path = tmp_path / "deep.jsonl"
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(UserError, match=":1: the line is invalid JSON"):
        plot_attention(path, 1, tmp_path / "a.png")


def test_a_font_that_is_gone_or_broken_is_passed_over(tmp_path, monkeypatch):
    """As after an uninstalled package: matplotlib still lists it."""
    from matplotlib import font_manager

    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    gone = font_manager.FontEntry(str(tmp_path / "gone.ttf"), name="Gone", weight=400)
    listed = [*font_manager.fontManager.ttflist, gone]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(broken)])
    plot_attention(written(tmp_path, row(1, ["日"], ["a"])), 1, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()
