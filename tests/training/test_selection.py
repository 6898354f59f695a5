"""Which weights are the best, and when a run still makes progress."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.errors import UserError
from seq2seq.tasks import TASKS
from seq2seq.training.judging import judge, points
from seq2seq.training.run_training import train_model
from seq2seq.training.state import Counters
from seq2seq.training.train import train

pytestmark = pytest.mark.usefixtures("no_picture")

QUICK = ("training.epochs=2", "encoder.hidden=8", "decoder.hidden=8", "training.warmup=0")


def scores(loss, **values):
    names = ("bleu", "chrf", "ter", "wer", "ser", "exact_match", "accuracy", "known_perplexity")
    values = dict.fromkeys(names) | values
    return {"loss": loss, "perplexity": math.exp(loss), "unknown": 0.0, **values}


def decide(metric, history, judged=True):
    """Return the counters after a history of (loss, value), and which validations were best."""
    counters, key = Counters(), metric.replace("-", "_")
    best = [
        judge(
            counters, scores(loss, **({} if value is None else {key: value})), metric, judged=judged
        ).best
        for loss, value in history
    ]
    return counters, best


def test_bleu_below_one_is_decided_by_the_loss():
    """Case 2: with BLEU alone, the first of these was kept."""
    counters, best = decide("bleu", [(5.98, 0.10), (5.2, 0.09), (5.3, 0.4), (4.09, 0.0)])
    assert best == [True, True, False, True]
    assert (counters.best, counters.best_loss, counters.waited) == (0.0, 4.09, 0)


def test_equal_scores_are_decided_by_the_loss():
    counters, best = decide("bleu", [(2.0, 50.0), (1.0, 50.0), (1.5, 50.0), (0.5, 49.9)])
    assert best == [True, True, False, False]
    assert counters.waited == 2


def test_a_score_from_smoothing_alone_decides_nothing():
    _, best = decide("bleu", [(2.0, 50.0), (1.0, 0.0), (1.5, 80.0)], judged=False)
    assert best == [True, True, False]


@pytest.mark.parametrize(
    ("metric", "values", "decided"),
    [
        ("bleu", [0.2, 0.9, 1.5, 1.5, 9.0], ["loss", "loss", "bleu", "loss", "bleu"]),
        ("accuracy", [0.5, 0.6, 0.6], ["accuracy", "accuracy", "loss"]),
        ("ter", [99.5, 80.0], ["loss", "ter"]),
        ("perplexity", [9.0, 8.0], ["perplexity", "perplexity"]),
        ("loss", [3.0, 2.0], ["loss", "loss"]),
    ],
)
def test_what_chose_the_weights(metric, values, decided):
    counters, losses = Counters(), range(len(values), 0, -1)
    rows = [
        scores(loss, **({} if metric in ("loss", "perplexity") else {metric: value}))
        for loss, value in zip(losses, values, strict=True)
    ]
    verdicts = [judge(counters, row, metric, judged=True) for row in rows]
    assert verdicts == [(True, by) for by in decided]


def test_patience_counts_the_loss_while_the_score_says_nothing():
    # A lucky 1.3 stays the best, but the run is not stuck: the loss falls.
    counters, best = decide("bleu", [(5.0, 1.3), (4.0, 0.8), (3.0, 0.9)])
    assert best == [True, False, False]
    assert counters.waited == 0
    counters, _ = decide("bleu", [(5.0, 1.3), (4.0, 0.8), (4.5, 0.9), (4.2, 0.9)])
    assert counters.waited == 2


@pytest.mark.parametrize(
    ("metric", "worse", "better"),
    [
        ("bleu", 10, 11),
        ("chrf", 10, 11),
        ("ter", 80, 70),
        ("wer", 80, 70),
        ("ser", 80, 70),
        ("exact-match", 10, 11),
        ("accuracy", 0.5, 0.6),
    ],
)
def test_the_direction_of_every_metric(metric, worse, better):
    _, best = decide(metric, [(1.0, worse), (2.0, better), (0.5, worse)])
    assert best == [True, True, False]
    assert points(metric, better) > points(metric, worse) > 1


@pytest.mark.parametrize("metric", ["loss", "perplexity"])
def test_a_lower_loss_is_better(metric):
    counters, best = decide(metric, [(2.0, None), (1.0, None), (1.5, None)])
    assert best == [True, True, False]
    value = 1.0 if metric == "loss" else math.e
    assert (counters.best, counters.waited) == (pytest.approx(value), 1)


def test_every_metric_has_a_task():
    used = {metric for task in TASKS.values() for metric in task.allowed["validation.metric"]}
    text = {"bleu", "chrf", "ter", "exact-match", "wer", "ser"}
    assert used == text | {"accuracy", "loss", "perplexity"}


@given(
    st.lists(st.tuples(st.floats(0, 9), st.sampled_from([0.0, 0.5, 2.0, 2.5, 30.0])), min_size=1)
)
def test_the_best_of_all_is_kept(history):
    counters, best = decide("bleu", history)
    order = [(points("bleu", value), -loss) for loss, value in history]
    kept = max(place for place, is_best in enumerate(best) if is_best)
    assert order[kept] == max(order)
    assert counters.best == history[kept][1]
    assert counters.lowest_loss == min(loss for loss, _ in history)


def validations(run):
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row["kind"] == "valid"]


def test_a_corpus_of_single_words_keeps_the_lowest_loss(toy, tmp_path, caplog):
    """Case 1: BLEU is 0 at every validation, and the first weights were kept."""
    pairs = [(word, word[::-1]) for line in toy.lines("train.fr") for word in line.split()]
    settings = ("tokenizer.kind=char", "training.epochs=6", "validation.every=2")
    config = toy.config(*QUICK, *settings)
    config = config.model_copy(
        update={"tokenizer": config.tokenizer.model_copy(update={"vocabulary": 60})}
    )
    with caplog.at_level("INFO"):
        result = train(config, train=pairs, valid=pairs[:20], out=tmp_path / "run")
    rows = validations(tmp_path / "run")
    assert {row["bleu"] for row in rows} == {0.0}
    best = [row["update"] for row in rows if row["best"]][-1]
    assert best == min(rows, key=lambda row: row["loss"])["update"] > rows[0]["update"]
    assert f"from update {best}\n" in (result.model / "README.md").read_text()
    assert caplog.text.count("no reference has four tokens") == 1
    assert caplog.text.count("BLEU with the tokenizer 13a") == 1
    assert caplog.text.count("(best by loss)") == sum(row["best"] for row in rows)
    assert "(best by bleu)" not in caplog.text
    # Several validations cut translations. Only the first one warns.
    assert caplog.text.count("translations of the validation set were cut") == 1


@pytest.mark.parametrize("metric", ["chrf", "ter", "exact-match", "perplexity"])
def test_every_metric_of_translations(toy, tmp_path, metric):
    result = train_model(toy.config(*QUICK, f"validation.metric={metric}"), tmp_path / "run")
    rows = validations(tmp_path / "run")
    key = metric.replace("-", "_")
    (kept,) = [row for row in rows if row["best"]][-1:]
    assert result.best_score == kept[key]
    assert (kept["bleu"] is None) == (metric == "perplexity")
    assert (kept["ter"] is None) == (metric != "ter")


@pytest.mark.parametrize("chosen", ["", "talks"])
def test_several_validation_sets(toy, tmp_path, caplog, chosen):
    sets = {"news": str(toy.folder / "valid"), "talks": str(toy.folder / "test")}
    table = (
        f"data.valid={{ news = {json.dumps(sets['news'])}, talks = {json.dumps(sets['talks'])} }}"
    )
    config = toy.config(*QUICK, "training.epochs=1", table, f"validation.set={chosen}")
    with caplog.at_level("INFO"):
        train_model(config, tmp_path / "run")
    selecting, other = ("talks", "news") if chosen else ("news", "talks")
    *_, row = validations(tmp_path / "run")
    assert set(row["others"]) == {other}
    assert row["others"][other]["loss"] != row["loss"]
    assert f"validation set {other}: loss {row['others'][other]['loss']:.3f}" in caplog.text
    alone = toy.config(*QUICK, "training.epochs=1")
    alone = alone.model_copy(
        update={"data": alone.data.model_copy(update={"valid": sets[selecting]})}
    )
    train_model(alone, tmp_path / "alone")
    *_, single = validations(tmp_path / "alone")
    assert (single["loss"], single["bleu"]) == (row["loss"], row["bleu"])
    assert (single["others"], row["best"]) == ({}, True)


def test_the_config_of_several_sets_comes_back(toy, tmp_path, shell):
    path = tmp_path / "several.toml"
    text = toy.path.read_text().replace('valid = "valid"\n', "")
    path.write_text(f'{text}[data.valid]\nnews = "valid"\ntalks = ["test.en", "test.fr"]\n')
    for file in toy.folder.glob("*.??"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = toml.load_config(path, QUICK)
    train_model(config, tmp_path / "run")
    again = toml.load_config(path, QUICK)
    assert again == config
    train_model(
        toml.load_config(path, [*QUICK, "training.epochs=3"]), tmp_path / "run", resume=True
    )
    said = shell("evaluate", tmp_path / "run/model", "--split", "talks", "--beam", "1", "--json")
    assert json.loads(said.out)["set"] == "talks"
    assert said.err.count("Traceback") == 0
    with pytest.raises(UserError, match=r"no validation set 'x' in data\.valid; known sets: news"):
        toml.load_config(path, [*QUICK, "validation.set=x"])


def test_references_of_a_table(toy, tmp_path):
    rows = [
        f"{a}\t{b}\t{b} !"
        for a, b in zip(toy.lines("valid.en"), toy.lines("valid.fr"), strict=True)
    ]
    (tmp_path / "valid.tsv").write_text("\n".join(["en\tfr\tfr2", *rows]) + "\n", encoding="utf-8")
    config = toy.config(*QUICK, "training.epochs=1", 'data.references=["fr2"]')
    data = config.data.model_copy(update={"valid": str(tmp_path / "valid.tsv")})
    data = data.model_copy(update={"test": None})
    train_model(config.model_copy(update={"data": data}), tmp_path / "run")
    card = (tmp_path / "run/model/README.md").read_text()
    assert "nrefs:2" in card
