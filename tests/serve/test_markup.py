"""HTML: all tags stay, properly nested, and only text is translated."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.decoding.alignment import Alignment, AlignmentSide
from seq2seq.decoding.results import LineResult, Translation
from seq2seq.errors import UserError
from seq2seq.serve.html_scanner import scan_html
from seq2seq.serve.markup import Markup


def shout(line: str) -> LineResult:
    return LineResult([Translation(line.upper(), 0.0, 0.0)])


def translate(text: str) -> tuple[list[str], str]:
    markup = Markup(text)
    return markup.lines, markup.compose([shout(line) for line in markup.lines])


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("", [], ""),
        (" \n", [], " \n"),
        ("a &lt; b", ["a < b"], "A &lt; B"),
        ("R&amp;D &copy;", ["R&D ©"], "R&amp;D ©"),
        (f"a &#{'1' * 4301}; b", ["a \ufffd b"], "A \ufffd B"),  # too long for int()
        ("the <b>big</b> cat.", ["the big cat."], "THE <b>BIG</b> CAT."),
        ("<b>x <i>y</i></b> z", ["x y z"], "<b>X <i>Y</i></b> Z"),
        ("<p>one<br>two</p>\n<p> x\n y </p>", ["one", "two", "x y"],
         "<p>ONE<br>TWO</p>\n<p> X Y </p>"),
        ("run <code>ls</code> now", ["run now"], "RUN <code>ls</code> NOW"),
        ('<i translate="no">Acme</i> sells', ["sells"], '<i translate="no">Acme</i> SELLS'),
        ("<script>a<b</script>c<!-- <b> -->", ["c"], "<script>a<b</script>C<!-- <b> -->"),
        ("(<b>so</b>), ok", ["(so), ok"], "(<b>SO</b>), OK"),
        ("a <b>b", ["a b"], "A <b>B"),
        ("a</b> b", ["a b"], "A</b> B"),
        ("<a title='x>y'>link</a>", ["link"], "<a title='x>y'>LINK</a>"),
        ("1 < 2", ["1 < 2"], "1 &lt; 2"),
        (" << & &lt; >&#60;&nbsp;", [], " &lt;&lt; &amp; &lt; &gt;&#60;&nbsp;"),
        ("<p>-></p>", [], "<p>-&gt;</p>"),
        ("<b> <i></a></i> </b> word", ["word"], "<b><i></a></i></b> WORD"),
        ("a <b", ["a <b"], "A &lt;B"),
        ("<hr/>&nbsp;--- <b></b>", [], "<hr/>&nbsp;--- <b></b>"),
    ],
)  # fmt: skip
def test_known_answers(text, lines, expected):
    assert translate(text) == (lines, expected)


def test_an_element_follows_its_words():
    """the red cat → LE CHAT ROUGE: attention moves the element to another place."""
    words = AlignmentSide(["the", "red", "cat"], [0, 1, 2])
    target = AlignmentSide(["LE", "CHAT", "ROUGE"], [0, 1, 2])
    alignment = Alignment(words, target, np.eye(3, dtype=np.float32)[[0, 2, 1]])
    markup = Markup("the <b>red</b> <i>cat</i>")
    result = LineResult([Translation("LE CHAT ROUGE", 0.0, 0.0, alignment)])
    assert markup.compose([result]) == "LE <i>CHAT</i> <b>ROUGE</b>"


_TAGS = "<b> </b> <i> </i> <p> </p> <br> <code> </code> <script> </script> <!-- --> <a &amp;"
pieces = st.sampled_from(
    [*_TAGS.split(), "<img a='>'>", "word", " ", ". ", "<", ">", '"', "é", "\n"]
)


@given(st.lists(pieces, max_size=30).map("".join) | st.text(max_size=40))
def test_the_pieces_of_any_text_join_to_it(text):
    assert "".join(piece.raw for piece in scan_html(text)) == text


@given(st.lists(pieces, max_size=30).map("".join), st.sampled_from([None, "", "UN", "UN DEUX"]))
def test_no_tag_is_lost_or_added(text, translation):
    tags = sorted(piece.raw for piece in scan_html(text) if piece.kind not in ("text", "other"))
    markup = Markup(text)
    lines = [line if translation is None else translation for line in markup.lines]
    found = markup.compose([shout(line) for line in lines])
    after = sorted(piece.raw for piece in scan_html(found) if piece.kind not in ("text", "other"))
    assert after == tags


class _Nesting(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


trees = st.recursive(
    st.sampled_from(["one ", "two", " three", "."]),
    lambda inner: st.tuples(st.sampled_from("biu"), st.lists(inner, max_size=3)).map(
        lambda pair: f"<{pair[0]}>{''.join(pair[1])}</{pair[0]}>"
    ),
    max_leaves=12,
)


@given(st.lists(trees, max_size=4).map("".join), st.randoms(use_true_random=False))
def test_elements_stay_nested(text, chance):
    """Even if the translation has another number of words, in another order."""
    markup = Markup(text)
    results = []
    for line in markup.lines:
        words = [chance.choice(["UN", "DEUX.", "TROIS"]) for _ in range(chance.randint(1, 6))]
        size = len(line.split())
        weights = np.zeros((len(words), size), np.float32)
        for row in weights:
            row[chance.randrange(size)] = 1
        alignment = Alignment(
            AlignmentSide(line.split(), list(range(size))),
            AlignmentSide(words, list(range(len(words)))),
            weights,
        )
        results.append(LineResult([Translation(" ".join(words), 0.0, 0.0, alignment)]))
    found = markup.compose(results)
    _Nesting().feed(found)
    plain = " ".join(re.sub("<[^>]*>", "", found).split())
    assert plain.split() == " ".join(result.best.text for result in results).split() or not results


@pytest.mark.parametrize(
    "bomb",
    ["<b>" * 60_000, '<a "' * 50_000, '<a "<a >" ' * 20_000, "<!--" * 50_000, "<" * 200_000,
     "<p class='" * 20_000, "<code>" * 30_000, "</b>" * 50_000, "&amp;" * 40_000],
    ids=lambda bomb: bomb[:9],
)  # fmt: skip
def test_bombs_end(bomb):
    """A scanner that is not linear would take hours."""
    _, found = translate(bomb)
    assert unescape(found).lower() == unescape(bomb).lower()


def test_too_many_sentences_are_refused():
    with pytest.raises(UserError, match="more than 10 sentences"):
        Markup("<p>x</p>" * 11, most=10)
