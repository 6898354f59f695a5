"""How source lines are prepared, and what is said about a line."""

import subprocess
import sys
from dataclasses import replace

import pytest

from seq2seq.decoding.distinct import find_distinct
from seq2seq.decoding.line_search import LineSearch
from seq2seq.decoding.options import (
    BeamOptions,
    GreedyOptions,
    MinimumRiskOptions,
    search_options,
)
from seq2seq.decoding.phrases import cut_at_stop, until_stop
from seq2seq.decoding.source_options import SourceOptions, leading_tags
from seq2seq.decoding.stepping import Hypothesis
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.text.statistics import TextStatistics

LONG = " ".join(["the red cat runs here the old dog sleeps now the big man eats well"] * 3)


@pytest.fixture(scope="module")
def learned(trained):
    return model_folder.load_model(trained / "model")


def with_statistics(model, **values):
    return replace(model, codec=replace(model.codec, statistics=TextStatistics(**values)))


def parts_of(translator, line, **options):
    """The source text of each part."""
    search = LineSearch(translator, GreedyOptions(), SourceOptions(**options))
    (encoded,) = search.encoder.encode([line], 1)
    return translator.codec.source.decode([part.tolist() for part in encoded.parts])


def test_a_model_keeps_the_statistics_of_its_training(learned):
    statistics = learned.codec.statistics
    assert statistics.length_ratio > 1
    assert statistics.inner_ends == {}
    assert Translator.from_models([learned]).codec.statistics == statistics


@pytest.mark.parametrize("split", [False, True])
def test_a_prefix_is_in_each_part(learned, split):
    translator = Translator.from_models([learned])
    for line in (LONG, f"blue {LONG}"):
        parts = parts_of(translator, line, source_prefix="blue")
        assert len(parts) > 1
        assert all(part.startswith("blue ") for part in parts)
        assert " ".join(part.removeprefix("blue ") for part in parts) == LONG
    assert parts_of(translator, LONG, source_prefix=["old", "big"])[0].startswith("the red")


def test_learned_tags_are_in_each_part(learned):
    translator = Translator.from_models([with_statistics(learned, tags=("<2fr>",))])
    parts = parts_of(translator, f"<2fr> {LONG}")
    assert len(parts) > 1
    assert all("2fr" in part for part in parts)
    assert leading_tags("<a> <b><a> x <b>", ["<a>", "<b>"]) == "<a> <b><a>"


def test_sentences_are_translated_alone_and_joined_as_they_were(learned):
    pytest.importorskip("sentencex")
    translator = Translator.from_models([learned])
    one, two = "The red cat runs here.", "The old dog eats now."
    alone = translator.translate([one, two])
    assert translator.translate([f"{one}  {two}"], split_sentences=True) == ["  ".join(alone)]


def test_several_sentences_are_named_where_training_had_none(learned, caplog):
    translator = Translator.from_models([learned])
    translator.translate(["the cat runs", "The cat runs. The dog eats."])
    assert [message[:38] for message in caplog.messages] == [
        "line 2: the line looks like several se"
    ]


def test_a_translation_that_was_cut_is_named(learned):
    translator = Translator.from_models([learned])
    cut = translator.stream(["the red cat runs here"] * 2, GreedyOptions(max_length=3))
    for number, result in enumerate(cut, start=1):
        assert [(note.line, note.kind) for note in result.notes] == [(number, "cut")]
        assert "maximum length of 3 tokens" in result.notes[0].text
    (whole,) = translator.stream(["the red cat runs here"])
    assert whole.notes == []


@pytest.mark.parametrize(
    "search",
    [
        BeamOptions(max_length=3),
        BeamOptions(max_length=3, n_best=3),
        BeamOptions(max_length=3, require=["le"]),
        MinimumRiskOptions(candidates=BeamOptions(max_length=3, n_best=4)),
    ],
    ids=["beam", "n-best", "required", "minimum risk"],
)
def test_a_better_translation_that_was_cut_is_named(learned, search):
    """A short maximum makes the beam search prefer a worse translation that ends in time."""
    translator = Translator.from_models([learned])
    (result,) = translator.stream(["the red cat runs here"], search)
    assert [note.kind for note in result.notes] == ["cut"]
    assert "--max-length" in result.notes[0].text


def test_a_stop_string_at_the_start_leaves_a_note(learned):
    (result,) = Translator.from_models([learned]).stream(["a dog"], BeamOptions(stop=["u", "l"]))
    assert result.best.text == "⁇"
    assert "a stop string comes first" in result.notes[0].text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_prefix": "le chat", "forbid": ["chat"]}, "target prefix 'le chat' contains the"),
        ({"require": ["le chat"], "forbid": ["chat"]}, "required phrase 'le chat' contains the"),
        ({"target_prefix": "le chat", "stop": ["ha"]}, "contains the stop string 'ha'"),
    ],
    ids=["prefix", "required", "stop"],
)
def test_contradicting_constraints_are_one_mistake(learned, options, said):
    with pytest.raises(UserError, match=said):
        Translator.from_models([learned]).translate(["a dog"], **options)


def test_the_limit_follows_the_statistics(learned):
    line, (full,) = "the red cat runs here", [["le chat rouge court ici"]]
    tight = Translator.from_models([with_statistics(learned, length_ratio=0.2, length_margin=1)])
    assert len(tight.translate([line])[0].split()) < len(full[0].split())
    wide = with_statistics(learned, length_ratio=9.0, length_margin=30)
    assert Translator.from_models([wide]).translate([line]) == full


def test_constraints_reach_the_search(learned):
    translator = Translator.from_models([learned])
    line = ["the red cat runs here"]
    assert translator.translate(line, target_prefix="le grand")[0].startswith("le grand ")
    for beam in (1, 4):
        assert "rouge" not in translator.translate(line, forbid="rouge", beam=beam)[0].split()
    assert "cheval bleu" in translator.translate(line, require=["cheval bleu"])[0]
    greedy = GreedyOptions(require=["cheval bleu"])
    assert "cheval bleu" in translator.translate(line, greedy)[0]
    assert translator.translate(line, stop=[" court"]) == ["le chat rouge"]
    (result,) = translator.stream(line, search_options(require=["cheval bleu"], max_length=1))
    assert "constraint" in [note.kind for note in result.notes]


def test_marks_come_out_once(learned, attending):
    for translator in (
        Translator.from_models([learned]),
        Translator.load(attending / "model", device="cpu"),
    ):
        lines = ["the red {0} cat runs", "{0}", "12 %s", "the <b>dog</b> eats now"]
        texts = translator.translate(lines, protect=True)
        assert texts[1:3] == lines[1:3]
        assert texts[0].count("{0}") == texts[3].count("<b>") == texts[3].count("</b>") == 1


def test_n_best_lists_have_distinct_texts(learned):
    translator = Translator.from_models([learned])
    lines = ["the red cat runs here", "a dog", LONG]
    for result in translator.stream(lines, BeamOptions(beam=5, n_best=5)):
        texts = [translation.text for translation in result.translations]
        assert len(set(texts)) == len(texts) == 5
    scores = [translation.score for translation in result.translations]
    assert scores == sorted(scores, reverse=True)


def test_more_is_searched_only_while_texts_are_missing():
    """Tokens 0 to 9 in pairs spell the same text; the search returns what it is asked for."""
    ranked = [Hypothesis([token], -token, -token, True) for token in range(10)]
    asked = []

    def again(rows, size, wider):
        asked.append((rows, size, wider))
        return [ranked[:size] for _ in rows]

    def read(row, found):
        return [str(one.tokens[0] // 2) for one in found]

    found = find_distinct([ranked[:3], ranked[:6:2]], 3, read, again)
    assert [[one.tokens[0] for one in row] for row in found] == [[0, 2, 4], [0, 2, 4]]
    assert asked == [([0], 12, 1)]
    assert len(find_distinct([ranked], 9, read, again)[0]) == 5  # no more exist


@pytest.mark.parametrize(
    ("pieces", "stops", "text"),
    [
        (["ab", "cd", "ef"], ["de"], "abc"),
        (["ab", "\n", "cd"], ["\n"], "ab"),
        (["a", "b", "a", "c"], ["abd", "ac"], "ab"),
        (["ab", "ab"], ["abc"], "abab"),
        (["x"], [], "x"),
    ],
)
def test_a_text_ends_before_its_stop_string(pieces, stops, text):
    assert "".join(until_stop(pieces, stops)) == text
    assert cut_at_stop("".join(pieces), stops) == text


def test_a_language_model_keeps_stop_strings_and_forbidden_phrases(speaking):
    from seq2seq.decoding.language_model import LanguageModel

    model = LanguageModel.load(speaking / "model", device="cpu")
    full = model.generate("le", max_length=30)
    word = full.split()[2]
    assert model.generate("le", max_length=30, stop=[word]) == full[: full.index(word)]
    assert word not in model.generate("le", max_length=30, forbid=[word]).split()
    with pytest.raises(UserError, match="use a prompt"):
        model.generate("le", target_prefix="x")


def test_wrong_source_options():
    with pytest.raises(UserError, match="the source prefix is empty"):
        SourceOptions(source_prefix=" ")


def test_a_forked_process_can_translate(trained):
    """With two threads in the parent, the child would wait forever for the second one."""
    code = (
        "import sys, multiprocessing, torch\n"
        "from seq2seq.decoding.translator import Translator\n"
        "torch.set_num_threads(2)\n"
        f"translator = Translator.load({str(trained / 'model')!r}, device='cpu')\n"
        "lines = ['the red cat runs here'] * 64\n"
        "big = torch.ones(600, 600)\n"
        "def work(lines):\n"
        "    return float((big @ big).sum()), translator.translate(lines, beam=1)\n"
        "mine = work(lines)\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    sys.exit(pool.map(work, [lines])[0] != mine)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
