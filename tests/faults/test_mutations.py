"""A changed configuration gives a UserError, or describes a network that can be trained."""

from __future__ import annotations

import functools
import tomllib
from typing import Any

import hypothesis
import numpy as np
import pytest
import tomli_w
from fault_limits import WHOLE, record
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.config.reference import example_config, uses_key
from seq2seq.config.schema import Config
from seq2seq.config.section import Section
from seq2seq.config.toml_file import parse_toml
from seq2seq.errors import UserError
from seq2seq.models.folder import build_model
from seq2seq.models.loss import cross_entropy
from seq2seq.models.weights import shapes_only
from seq2seq.tasks import TASKS
from seq2seq.text.batching import collate_examples
from seq2seq.text.bptt import collate_windows
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset, encode_examples
from seq2seq.text.example import Example
from seq2seq.text.features import FeatureSet
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


# Sizes that keep a network small, in the configurations that are mutated.
_SMALL = {
    "encoder": {"embedding": 8, "hidden": 8},
    "context": {"size": 8, "heads": 2},
    "decoder": {"embedding": 8, "hidden": 8},
}


def plausible(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the kind that the schema of a key describes."""
    if "anyOf" in schema:
        return st.one_of([plausible(one) for one in schema["anyOf"] if one != {"type": "null"}])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(least, min(schema.get("maximum", 24), least + 24))
        case "number":
            return st.floats(least, min(schema.get("maximum", 2), 2), width=32)
        case "array":
            return st.lists(plausible(schema.get("items", {})), max_size=2)
    return texts


@functools.cache
def used_keys(task: str) -> list[tuple[str, str, st.SearchStrategy[Any]]]:
    """The section, the name and the plausible values of each key that a task uses."""
    return [
        (section, key, plausible(schema))
        for section, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for key, schema in field.annotation.model_json_schema()["properties"].items()
        if uses_key(TASKS[task], section, key)
    ]


@st.composite
def mutations(draw: st.DrawFn, task: str) -> str:
    """The text of a configuration of a task, with changes that may or may not fit.

    Two of three configurations have one to three other values of the right kind. The others have
    one to four hostile values, keys that do not exist, and missing keys.
    """
    written = tomllib.loads(toml.dump_config(example_config(TASKS[task])))
    for section, sizes in _SMALL.items():
        if section in written:
            written[section].update((k, v) for k, v in sizes.items() if k in written[section])
    if draw(st.integers(0, 2)):
        keys = used_keys(task)
        for section, key, found in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
            written.setdefault(section, {})[key] = draw(found)
        return tomli_w.dumps(written)
    for _ in range(draw(st.integers(1, 4))):
        sections = [written, *(part for part in written.values() if isinstance(part, dict))]
        changed = draw(st.sampled_from(sections))
        key = draw(st.one_of(st.sampled_from([*changed, "new"]), texts))
        if draw(st.integers(0, 4)):
            changed[key] = draw(values)
        else:
            changed.pop(key, None)
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


def examples_of(config: Config) -> list[Example]:
    """Two examples that the configuration can read."""
    features = () if config.data.features is None else ("N",)
    if config.encoder.kind == "vector":
        return [Example(" ".join(["0.5"] * config.encoder.vector_size), "the cat")] * 2
    if config.task.source == "condition":
        return [Example("A", "the cat"), Example("B", "red")]
    if config.task.labels_each_word:
        return [Example("the cat", "A B", features), Example("red", "B", features)]
    target = "the cat" if config.task.has_target_text else "A"
    return [Example("the red cat", target, features), Example("cat", target, features)]


def run_network(config: Config, tokenizer: Tokenizer) -> None:
    """Build the network. If it is small, also run a step and its backward pass."""
    vector = config.encoder.kind == "vector"
    labels = VectorFormat(config.encoder.vector_size) if vector else LabelSet(["A", "B"])
    features = None if config.data.features is None else FeatureSet(["N", "PL"], config.features)
    codec = Codec(
        tokenizer,
        tokenizer,
        config.task,
        labels,
        features=features,
        copies=config.decoder.copying,
    )
    with shapes_only():
        network = build_model(config, codec).network
        if sum(weight.numel() for weight in network.parameters()) > 1_000_000:
            return
    network = build_model(config, codec).network
    if config.task.has_source:
        dataset = Dataset.in_memory(encode_examples(examples_of(config), codec))
        batch = collate_examples(dataset, np.arange(2), codec)
    else:
        (ids,) = tokenizer.encode(["the red cat"])
        batch = collate_windows(np.asarray(ids), np.array([[0, 4, 0]]), 4, tokenizer)
    loss = cross_entropy(
        network,
        batch,
        smoothing=config.training.label_smoothing,
        r_drop=config.training.r_drop,
    )
    loss.total.backward()


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
        run_network(config, characters)
        built += 1

    check()
    assert built >= (tried // 4 if WHOLE else 1)
    record(f"mutated configurations ({task})", tried, tried, f"{built:,} networks run")


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
