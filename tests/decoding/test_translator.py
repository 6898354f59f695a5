"""Promises 1 and 2 at the translator: a line out for a line in, whatever its company."""

import copy
import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from seq2seq.decoding.line_search import LineSearch, search_function
from seq2seq.decoding.minimum_risk import expected_utilities
from seq2seq.decoding.options import (
    BeamOptions,
    GreedyOptions,
    SamplingOptions,
    search_options,
)
from seq2seq.decoding.sampling import seed_of, uniform_numbers
from seq2seq.decoding.segments import split_line
from seq2seq.decoding.source_line import SourceLine
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.stepping import force
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import build_model
from seq2seq.tasks import ALIGNED
from seq2seq.text import preparation
from seq2seq.text.codec import Codec
from seq2seq.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def learned(trained):
    return model_folder.load_model(trained / "model")


@pytest.fixture(scope="module")
def fresh(learned):
    """Weights as they were drawn: hypotheses lie close together, and few end early."""
    torch.manual_seed(5)
    return build_model(learned.config, learned.codec)


@pytest.fixture(scope="module")
def translator(learned):
    return Translator.from_models([learned])


@pytest.fixture(scope="module")
def unsure(fresh):
    return Translator.from_models([fresh])


@pytest.fixture(scope="module")
def looking(attending):
    """With attention."""
    return Translator.load(attending / "model", device="cpu")


@pytest.fixture(scope="module")
def lines(toy):
    """Sentences, pieces of them and nonsense, of many lengths, with blank lines between."""
    draw = random.Random(3)
    words = sorted({word for line in toy.lines("train.en") for word in line.split()})
    made = [" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(60)]
    made += [f"{draw.choice(words)} ☃ {draw.random()}", "", "   ", "\u2028", "…", "\u200b"]
    made += [" ".join(draw.choices(words, k=70))]  # too long: translated in parts
    draw.shuffle(made)
    return made


def test_it_translates(translator, toy):
    found = translator.translate(toy.lines("test.en"))
    right = sum(a == b for a, b in zip(found, toy.lines("test.fr"), strict=True))
    assert right >= 20  # of 25; measured: 25


def in_batches_of(translator, size):
    parts = (translator.engine, translator.codec, translator.configs)
    return Translator(*parts, batch_size=size)


def hypotheses_of(translator, sources, search):
    """What a search finds for ids, without the way from text and back."""
    find = search_function(search, [""] * len(sources))
    parts = [(SourceLine(1, "", parts=[ids]), 0) for ids in sources]
    limits = LineSearch(translator, search, SourceOptions())._limits(parts)
    engine = translator.engine
    return find(engine, engine.start(sources), limits, translator.specials)


SEARCHES = {
    "greedy": {"beam": 1},
    "beam 5": {"beam": 5},
    "3 best": {"beam": 5, "n_best": 3},
    "sampled": {"sampling": True, "seed": 3, "n_best": 2},
    "top-k": {"sampling": True, "top_k": 5, "temperature": 2.0},
    "least risk": {"sampling": True, "mbr": 4},
}


@pytest.mark.parametrize("options", SEARCHES.values())
@pytest.mark.parametrize("which", ["translator", "unsure", "looking"])
def test_a_line_does_not_depend_on_its_company(request, which, options, lines):
    """Batches of 1, 7 and 64, shuffled, and alone: equal, or shown to tie within 1e-4."""
    translator = request.getfixturevalue(which)
    search = search_options(**options)
    base = [result.translations for result in translator.stream(lines, search)]
    assert len(base) == len(lines)
    order = random.Random(1).sample(range(len(lines)), len(lines))
    company = {
        "batches of 1": (range(len(lines)), 1),
        "batches of 7": (range(len(lines)), 7),
        "shuffled": (order, 64),
        "others left out": (order[::3], 7),
    }
    for name, (chosen, size) in company.items():
        results = in_batches_of(translator, size).stream([lines[i] for i in chosen], search)
        found = [result.translations for result in results]
        for i, ranked in zip(chosen, found, strict=True):
            assert len(ranked) == len(base[i])
            for one, other in zip(ranked, base[i], strict=True):
                # Equal scores are all that a tie needs.
                assert one.score == pytest.approx(other.score, abs=1e-4), (name, lines[i])
                if not options.get("sampling"):
                    continue
                assert one.text == other.text, (name, lines[i])
        differing = sum(
            [a.text for a in ranked] != [b.text for b in base[i]]
            for i, ranked in zip(chosen, found, strict=True)
        )
        assert differing <= 1, name  # ties are rare: a model of noise would have many


@pytest.mark.parametrize(
    "options", [{"beam": 6}, {"sampling": True, "temperature": 1.5}], ids=["n best", "samples"]
)
def test_least_risk_is_of_the_searchs_own_candidates(unsure, lines, options):
    candidates = unsure.stream(lines, search_options(n_best=6, **options))
    risk = search_options(mbr=6, n_best=3, utility="bleu", **options)
    changed = 0
    for line, candidate, result in zip(lines, candidates, unsure.stream(lines, risk), strict=True):
        given, ranked = candidate.translations, result.translations
        weights = [0.0 if "sampling" in options else one.log_probability for one in given]
        texts = [one.text for one in given]
        gains = sorted(expected_utilities(texts, weights, "bleu"), reverse=True)
        assert [one.score for one in ranked] == gains[:3], line
        assert {one.text for one in ranked} <= set(texts)
        changed += ranked[0].text != texts[0]
    assert changed


@pytest.mark.parametrize("which", ["translator", "unsure", "looking"])
def test_a_line_does_not_depend_on_the_threads(request, which, lines):
    translator = request.getfixturevalue(which)
    search = BeamOptions(beam=5, n_best=2)
    base = [result.translations for result in translator.stream(lines, search)]
    torch.set_num_threads(3)
    try:
        found = [result.translations for result in translator.stream(lines, search)]
    finally:
        torch.set_num_threads(1)
    for line, ranked, alone in zip(lines, found, base, strict=True):
        for one, other in zip(ranked, alone, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4), line


def test_one_line_out_for_each_line_in(translator, unsure, lines):
    for one in (translator, unsure):
        for line, text in zip(lines, one.translate(lines, beam=2), strict=True):
            assert bool(text.strip()) == bool(line.strip())
            assert not set("\n\r\t\u2028\x85") & set(text)


def test_samples_follow_the_seed_and_the_line(unsure, lines):
    words = [line for line in lines if len(line) > 5]
    drawn = {
        seed: unsure.translate(words, sampling=True, seed=seed, max_length=20) for seed in (1, 2)
    }
    assert drawn[1] == unsure.translate(words, sampling=True, seed=1, max_length=20)
    same = sum(a == b for a, b in zip(drawn[1], drawn[2], strict=True))
    assert same < len(words) / 10
    first = [float(uniform_numbers(seed_of(1, 0, line), 1)[0]) for line in set(words)]
    assert len(set(first)) == len(first)  # a line's numbers are its own
    one, other = unsure.stream(words[:1] * 2, SamplingOptions(n_best=2, max_length=20))
    assert [a.text for a in one.translations] == [b.text for b in other.translations]
    assert one.translations[0].text != one.translations[1].text


def test_a_long_line_is_split_and_named(translator, caplog):
    sentence = "the red cat runs here"
    long = " ".join([sentence] * 20)
    found = translator.translate(["the dog eats", long, ""], beam=1)
    (warning,) = caplog.messages
    assert (
        "line 2: 100 subwords are more than the maximum in training (data.max_tokens = 24)"
        in warning
    )
    assert "in 5 parts" in warning
    assert found[0] == translator.translate(["the dog eats"], beam=1)[0]
    assert found[2] == ""
    assert len(found[1].split()) >= 20


@pytest.mark.parametrize("size", [4, 9, 24])
def test_the_parts_of_a_line_are_the_line(size):
    draw = random.Random(size)
    for _ in range(200):
        pieces = [draw.choice(["▁a", "b", "▁c.", "▁", "!"]) for _ in range(draw.randint(1, 80))]
        ids = list(range(len(pieces)))
        parts, joints = split_line(ids, pieces, size)
        assert np.concatenate(parts).tolist() == ids
        assert all(0 < len(part) <= size for part in parts)
        assert len(joints) == len(parts) - 1
        for part, joint in zip(parts[1:], joints, strict=True):
            assert (joint == " ") == pieces[part[0]].startswith("▁")


@pytest.mark.parametrize(
    ("pieces", "spaced", "cut", "joint"),
    [
        ("▁今天 天气 很好 。 明天 下雨 吗 ？", (False, False), [4, 4], ""),
        ("▁今天 天气 很好 。 明天 下雨 吗 ？", (False, True), [4, 4], " "),
        ("▁a b c d e f g", (False, True), [5, 2], " "),
        ("▁a b c d e f g", (True, True), [5, 2], ""),
        ("▁a ▁b . ▁c ▁d ▁e", (True, True), [3, 3], " "),
        ("▁a ▁b ▁c . d ▁e ▁f", (True, True), [5, 2], " "),  # 3.5 is no sentence's end
        ("▁a ▁b . ▁c ▁d ▁e", (True, False), [3, 3], ""),
    ],
)
def test_where_a_line_is_cut_and_what_joins_its_parts(pieces, spaced, cut, joint):
    found = pieces.split()
    parts, joints = split_line(list(range(len(found))), found, 5, spaced=spaced)
    assert [len(part) for part in parts] == cut
    assert joints == [joint]


def test_the_parts_of_a_line_are_drawn_apart(unsure):
    """Two equal parts have their own samples, and the best of the joined ones is the first."""
    line = " ".join(["cat"] * 2 * unsure.max_tokens)
    (result,) = unsure.stream([line], SamplingOptions(n_best=5, max_length=12))
    found = result.translations
    scores = [one.score for one in found]
    assert len(set(scores)) == 5
    assert scores == sorted(scores, reverse=True)
    for one in found:
        middle = len(one.text) // 2
        assert one.text[:middle] != one.text[middle + 1 :]


@pytest.mark.parametrize("which", ["translator", "unsure", "looking"])
@pytest.mark.parametrize("beam", [1, 5])
def test_teacher_forcing_gives_the_searchs_own_score(request, which, beam, toy):
    """At the level of tokens: the ids that a search wrote, forced."""
    translator = request.getfixturevalue(which)
    texts = toy.lines("test.en")
    sources = [np.asarray(ids) for ids in translator.codec.source.encode(texts)]
    search = search_options(beam=beam, n_best=beam, max_length=12)
    found = hypotheses_of(translator, sources, search)
    engine, specials = translator.engine, translator.specials
    checked = 0
    for source, hypotheses in zip(sources, found, strict=True):
        assert len({tuple(h.tokens) for h in hypotheses}) == len(hypotheses) == beam
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        ended = [h for h in hypotheses if h.finished]
        if ended:
            targets = [[*h.tokens, specials.eos] for h in ended]
            forced = force(engine, engine.start([source] * len(ended)), targets, specials.bos)
            assert forced == pytest.approx([h.log_probability for h in ended], abs=1e-4)
            for h in ended:
                assert h.score == pytest.approx(h.log_probability / (len(h.tokens) + 1))
        checked += len(ended)
    assert checked or which == "unsure"


def test_score_is_the_score_of_the_search(translator, toy):
    search = BeamOptions(beam=4, length_penalty=0.7)
    sources = toy.lines("test.en")
    found = [result.best for result in translator.stream(sources, search)]
    scored = translator.score(sources, [one.text for one in found], 0.7)
    for one, other in zip(found, scored, strict=True):
        # Pieces of a translation that spell it as the tokenizer would.
        assert other.log_probability == pytest.approx(one.log_probability, abs=1e-4)
        assert other.score == pytest.approx(one.score, abs=1e-4)
    wrong = translator.score(sources, [one.text for one in found[1:] + found[:1]], 0.7)
    assert sum(a.score > b.score + 1 for a, b in zip(scored, wrong, strict=True)) >= 24


@pytest.mark.parametrize("penalty", [float("nan"), -1.0, 1e300])
def test_a_wrong_length_penalty_is_refused(translator, penalty):
    with pytest.raises(UserError, match="the length penalty must be from 0 to 10"):
        translator.score(["the cat"], ["le chat"], penalty)


def test_a_blank_line_is_certain(translator):
    (found,) = translator.stream([" "], BeamOptions())
    (scored,) = translator.score([" "], [""])
    assert (scored.log_probability, scored.score) == (0.0, 0.0)
    assert (found.best.log_probability, found.best.score) == (0.0, 0.0)
    (wrong,) = translator.score([" "], ["le chat"])
    assert wrong.score < 0


@pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\ufffd \u200b"])
def test_a_line_of_which_nothing_is_left_is_not_made_up(looking, caplog, text):
    lines = ["the red cat runs", text, "a dog"]
    search = BeamOptions(beam=4, n_best=3)
    found = list(looking.translate_windows([lines], search, align=True))
    alone = list(looking.translate_windows([[lines[0], lines[2]]], search))
    assert [[one.text for one in result.translations] for result in found] == [
        [one.text for one in alone[0].translations],
        ["⁇"],
        [one.text for one in alone[1].translations],
    ]
    assert (found[1].best.log_probability, found[1].best.alignment.pharaoh()) == (0.0, "")
    assert [len(result.notes) for result in found] == [0, 1, 0]
    (note,) = found[1].notes
    assert (note.line, note.kind) == (2, "no tokens")
    assert "line 2: the tokenizer found no tokens" in note.text
    looking.translate(lines)
    assert caplog.messages == [note.text]
    (scored, other) = looking.score([text, text], ["⁇", "le chat"])
    assert scored.score == 0
    assert other.score < 0


def with_config(model, **sections):
    changed = {
        name: getattr(model.config, name).model_copy(update=values)
        for name, values in sections.items()
    }
    return replace(model, config=model.config.model_copy(update=changed))


def test_a_line_is_as_long_as_every_member_of_an_ensemble_has_seen(learned):
    other = with_config(learned, data={"max_tokens": 7})
    assert (
        Translator.from_models([learned, other]).max_tokens
        == Translator.from_models([other, learned]).max_tokens
        == 7
    )


def test_an_aligned_model_searches_with_its_own_kind_alone(learned):
    aligned = with_config(learned, context={"kind": "same-position"})
    config = aligned.config.model_copy(update={"task": ALIGNED})
    aligned = replace(aligned, config=config)
    for models in ([learned, aligned], [aligned, learned]):
        with pytest.raises(UserError, match="cannot form an ensemble with a model of another task"):
            Translator.from_models(models)
    for options in ({"min_length": 2}, {"max_length": 9}):
        with pytest.raises(UserError, match="leave out the minimum and maximum length"):
            Translator.from_models([aligned]).translate(["the cat"], **options)


def test_a_model_twice_is_the_model(trained, translator, lines):
    folder = trained / "model"
    twice = Translator.load(folder, folder, device="cpu")
    search = BeamOptions(beam=3, n_best=2)
    for one, other in zip(
        twice.stream(lines, search), translator.stream(lines, search), strict=True
    ):
        scores = [a.score for a in one.translations]
        assert scores == pytest.approx([b.score for b in other.translations], abs=1e-4)
        assert one.best.text == other.best.text


def test_an_ensemble_is_the_mean_of_probabilities(learned, fresh):
    source = [np.asarray(learned.codec.source.encode(["the old dog reads"])[0])]
    bos = np.array([learned.codec.target.bos])
    chances = []
    for models in ([learned], [fresh], [learned, fresh]):
        engine = Translator.from_models(models).engine
        log_p, _ = engine.step(engine.start(source), bos)
        chances.append(np.exp(log_p.all()))
    np.testing.assert_allclose(chances[2], (chances[0] + chances[1]) / 2, rtol=1e-5, atol=1e-7)
    assert not np.allclose(chances[0], chances[1], atol=0.01)


def test_an_ensemble_of_two_vocabularies_is_refused(learned, toy, tmp_path):
    other = preparation.prepare_data(toy.config("tokenizer.vocabulary=380"), tmp_path / "data")
    model = build_model(learned.config, other.codec)
    with pytest.raises(
        UserError, match="models 1 and 3 of the ensemble have different vocabularies"
    ):
        Translator.from_models([learned, learned, model])


def test_an_ensemble_of_two_cases_is_refused(learned):
    """The same pieces, but one of them reads what was lower-cased."""
    lower = Tokenizer(learned.codec.source.model, lowercase=True)
    model = build_model(learned.config, Codec(lower, lower))
    with pytest.raises(UserError, match="have different vocabularies"):
        Translator.from_models([learned, model])


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (1, 4), (7, 9), (12, None)])
def test_lengths_are_kept(translator, toy, beam, shortest, longest):
    texts = toy.lines("test.en")
    sources = [np.asarray(ids) for ids in translator.codec.source.encode(texts)]
    search = search_options(beam=beam, min_length=shortest, max_length=longest)
    for source, (best,) in zip(sources, hypotheses_of(translator, sources, search), strict=True):
        assert shortest <= len(best.tokens)
        assert len(best.tokens) <= (2 * (len(source) + 1) + 10 if longest is None else longest)


def test_all_that_is_wrong_with_a_search_is_said_at_once():
    with pytest.raises(UserError) as refusal:
        search_options(
            beam=0,
            n_best=3,
            min_length=5,
            max_length=2,
            length_penalty=-1.0,
            sampling=False,
        )
    for part in ("at least 1", "needs a beam", "maximum length 2", "length penalty"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
    ],
)
def test_settings_of_sampling_that_mean_nothing_are_refused(options):
    with pytest.raises(UserError, match="must be"):
        search_options(sampling=True, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mbr": 1}, "at least 2 candidates"),
        ({"mbr": 6, "beam": 5}, "6 candidates"),
        ({"mbr": 2, "n_best": 3}, "number of candidates"),
        ({"mbr": 2, "utility": "ter"}, "chrf or bleu"),
    ],
)
def test_a_risk_that_cannot_be_weighed_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        search_options(**options)


def test_least_risk_has_no_alignments(looking, toy):
    with pytest.raises(UserError, match="alignments do not work with"):
        list(looking.translate_windows([toy.lines("test.en")], search_options(mbr=3), align=True))


def test_one_string_is_not_a_list_of_lines(translator):
    with pytest.raises(TypeError, match="pass a list of lines"):
        translator.translate("the red cat")


def test_a_full_memory_is_said_in_one_line(translator, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB. GPU 0 has")

    monkeypatch.setattr(translator.engine.networks[0].decoder, "step", full)
    with pytest.raises(UserError, match=r"out of memory \(CUDA out of memory\): .*--batch-size"):
        translator.translate(["the red cat"])


def test_an_endless_stream_is_served(translator, toy):
    taken = 0

    def endless():
        nonlocal taken
        for line in itertools.cycle(toy.lines("test.en")):
            taken += 1
            yield line

    served = in_batches_of(translator, 2).stream(endless(), GreedyOptions())
    first = [result.best.text for result in itertools.islice(served, 100)]
    assert first == translator.translate(toy.lines("test.en") * 4, beam=1)
    assert taken == 128  # two windows of 32 batches of 2


def that_writes(model, *pieces):
    """A translator of a model that writes these pieces alone, each as likely as the others."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.network.decoder.output.weight.zero_()
        model.network.decoder.output.bias.fill_(-100.0)
        for piece in model.codec.target.piece_ids(pieces):
            model.network.decoder.output.bias[piece] = 100.0
    return Translator.from_models([model])


@pytest.mark.parametrize("piece", ["▁", "<0x0A>", "<0x09>", "<0x00>"])
def test_pieces_that_spell_nothing_leave_no_line_blank(learned, piece):
    found = that_writes(learned, piece).translate(["the red cat", "", "\u200b"], beam=1)
    assert [bool(text.strip()) for text in found] == [True, False, True]
    assert not set("\n\t\r") & set("".join(found))


def test_a_translation_of_spaces_is_named_and_takes_one_place_of_the_n_best_list(learned):
    search = BeamOptions(n_best=3, max_length=3)
    (result,) = that_writes(learned, "▁").stream(["the red cat"], search)
    first, *others = [one.text for one in result.translations]
    assert first == "⁇"
    assert len({first, *others}) == 3
    assert [note.text for note in result.notes if note.kind == "blank"] == [
        "line 1: the translation has only spaces and is written as ⁇"
    ]


@pytest.mark.parametrize("piece", ["<0x0A>", "<0x0D>", "<0x09>"])
def test_a_model_that_writes_line_ends_breaks_no_line(learned, piece):
    model = that_writes(learned, "▁chat", piece)
    for text in model.translate(["the red cat"] * 2 + ["a", "b"], sampling=True):
        assert "chat" in text
        assert text.count("  ")
        assert not set("\n\t\r") & set(text)
