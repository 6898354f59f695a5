"""A configuration with random mistakes gives a UserError, or describes a network that builds."""

from __future__ import annotations

import tomllib

import hypothesis
import pytest
import tomli_w
from fault_limits import WHOLE, record
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.config.reference import example_config
from seq2seq.config.schema import Config
from seq2seq.config.toml_file import parse_toml
from seq2seq.errors import UserError
from seq2seq.models.folder import build_model
from seq2seq.models.weights import shapes_only
from seq2seq.tasks import TASKS
from seq2seq.text.codec import Codec
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

_EACH = 2000 if WHOLE else 20  # configurations of each task

numbers = st.one_of(
    st.integers(-3, 70_000),
    st.sampled_from([2**31, 2**63 - 1, 2**63, 10**30, -(10**30)]),
    st.floats(allow_nan=True, allow_infinity=True),
)
texts = st.one_of(st.text(max_size=8), st.sampled_from(["auto", "gru", "all", "multi-head", " "]))
values = st.recursive(
    st.one_of(st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=5,
)


@st.composite
def mutations(draw: st.DrawFn, task: str) -> str:
    """The text of a configuration of a task with one to four mistakes."""
    written = tomllib.loads(toml.dump_config(example_config(TASKS[task])))
    for _ in range(draw(st.integers(1, 4))):
        sections = [written, *(part for part in written.values() if isinstance(part, dict))]
        section = draw(st.sampled_from(sections))
        key = draw(st.one_of(st.sampled_from([*section, "new"]), texts))
        if draw(st.integers(0, 4)):
            section[key] = draw(values)
        else:
            section.pop(key, None)
    text = tomli_w.dumps(written)
    if not draw(st.integers(0, 5)):  # also mistakes of the syntax
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return text


@pytest.fixture(scope="module")
def characters() -> Tokenizer:
    config = toml.parse_config(
        {
            "data": {"train": "x", "source": "x", "target": "y"},
            "tokenizer": {"kind": "char", "vocabulary": 30},
            "training": {"epochs": 1},
        },
        "here",
    )
    return train_tokenizer(["the red cat"], config.tokenizer)


def build(config: Config, tokenizer: Tokenizer) -> None:
    """Build the network without memory for its weights."""
    vector = config.encoder.kind == "vector"
    labels = VectorFormat(config.encoder.vector_size) if vector else LabelSet(["A", "B"])
    with shapes_only():
        build_model(config, Codec(tokenizer, tokenizer, config.task, labels))


@pytest.mark.parametrize("task", sorted(TASKS))
def test_mutated_configurations(task, characters):
    tried = built = 0

    @hypothesis.settings(
        max_examples=_EACH,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(mutations(task))
    def check(text: str) -> None:
        nonlocal tried, built
        tried += 1
        try:
            parsed = parse_toml(text)
        except ValueError:
            return
        try:
            config = toml.parse_config(parsed, "here")
        except UserError:
            return
        build(config, characters)
        built += 1

    check()
    record(f"mutated configurations ({task})", tried, tried, f"{built:,} networks built")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "{a=" * 5000,
        "seed = " + "9" * 5000,
        "seed = 0x" + "f" * 5000,
        ".".join(["a"] * 5000) + " = 1",
        "[" + ".".join(["a"] * 150) + "]\nb = 1",
        "seed = 1e400",
        "tokenizer.symbols = [" + '"x",' * 20_000 + "]",
    ],
    ids=range(8),
)
def test_endless_values_cost_one_line(text, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"c\.toml") as caught:
        toml.load_config(path)
    assert len(str(caught.value)) < 1500
    with pytest.raises(UserError):
        toml.parse_config({"seed": [[[]]]}, "here")
