"""Learn the vocabularies of a configuration from its training text, or read a given vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from seq2seq.checked_files import JSON_BYTES, TABLE_BYTES, read_bounded
from seq2seq.config.schema import Config
from seq2seq.config.section import Side
from seq2seq.config.tokenizer_section import Normalization
from seq2seq.errors import UserError
from seq2seq.progress import show_progress
from seq2seq.text.actions import MOST_ACTIONS, ActionModel, action_ids
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset, encode_examples
from seq2seq.text.features import FeatureSet, features_in
from seq2seq.text.labels import LabelSet, VectorFormat, label_column
from seq2seq.text.normalization import (
    TextRules,
    learned_normalization,
    normalize_text,
    text_sides,
)
from seq2seq.text.segmentation import chosen_segmentation
from seq2seq.text.sides import for_both_sides
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

_ALIGNED = 50_000  # largest number of training pairs from which EM learns


def learn_codec(config: Config, text: Dataset) -> Codec:
    """Learn the tokenizers and the labels from the training text. Return the codec.

    With a joint vocabulary, learn one tokenizer from all text columns. Otherwise learn one each for
    source and target. The tokenizers use at most `tokenizer.sample_lines` evenly spaced examples.
    The labels come from all examples. If `tokenizer.model` names a vocabulary, read it instead of
    learning.
    """
    sides = text_sides(config)
    if config.tokenizer.model is not None:
        tokenizers = [read_vocabulary(config)]
    elif config.tokenizer.joint:
        tokenizers = [_learn(config, text, sides, "the training text")]
    else:
        names = {"source": config.data.source, "target": config.data.target}
        tokenizers = [
            _learn(config, text, [side], f"the training text in {names[side]}") for side in sides
        ]
    both, labels = for_both_sides(tokenizers, config), _collect_labels(config, text)
    features = _collect_features(config, text)
    return Codec(*both, config.task, labels, features, copies=config.decoder.copying)


def write_actions(codec: Codec, file: Path) -> Codec:
    """Rewrite a file of training pairs with the actions of a transducer instead of targets.

    Return the codec that turns targets into actions.
    """
    plain = Dataset.open(file)
    file.unlink()  # the memory-mapped data stays readable until it is closed
    with show_progress("aligning source and target"):
        codec = learn_actions(codec, plain)
    Dataset.write(file, encode_examples(plain.examples(), codec))
    return codec


def learn_actions(codec: Codec, train: Dataset) -> Codec:
    """Learn the actions of a transducer. Return the codec that turns targets into actions.

    train: the training pairs, encoded by a codec without actions.
    Raises UserError if the vocabularies are too large.
    """
    source, target, size = codec.source, codec.target, codec.open_source[0]
    if size * len(target) > MOST_ACTIONS:
        raise UserError(
            f"context.kind = 'transducer' does not work with {size:,} source tokens and features "
            f"and {len(target):,} target tokens, because the product of both is larger than "
            f"{MOST_ACTIONS:,}: use smaller vocabularies, for example with tokenizer.kind = 'char'"
        )
    same = codec.copy_table.copied(np.arange(len(source))[:, None])[:, 0]
    same[source.unk] = target.unk
    ids = action_ids(source, target)
    start = ActionModel.start(same, len(target), size - len(source), **ids)
    step = -(-len(train) // _ALIGNED)
    rows = range(0, len(train), step)
    pairs = [start.pair(train.source(row), train.ids(row, "target")) for row in rows]
    actions = start.fit(pairs)
    if (length := len(actions.to_bytes())) > JSON_BYTES:
        raise UserError(
            f"context.kind = 'transducer' needs a file of {length:,} bytes for the likely pairs of "
            f"source and target tokens, but at most {JSON_BYTES:,} are allowed: use smaller "
            "vocabularies, for example with tokenizer.kind = 'char'"
        )
    return replace(codec, actions=actions)


def _collect_features(config: Config, text: Dataset) -> FeatureSet | None:
    """Return the features in the training text, or None for a model without features."""
    if config.data.features is None:
        return None
    names = {
        name
        for example in text.examples()
        for part in example.features
        for name in features_in(part, config.features)
    }
    return FeatureSet(names, config.features)


def _learn(config: Config, text: Dataset, sides: list[Side], name: str) -> Tokenizer:
    """Learn one tokenizer from the source, the target or both columns of the training text.

    name: Describes the text in error messages.
    """
    rule = learned_normalization(config, sides)
    settings = [config.tokenizer.of(side) for side in sides]
    # One tokenizer has one rule for case. If the sides differ, their lines are converted before.
    differ = len({one.lowercase for one in settings}) > 1
    step = -(-len(text) // config.tokenizer.sample_lines)

    def lines() -> Iterator[str]:
        normalize = [_normalizer(config.tokenizer.normalization_of(side), rule) for side in sides]
        lower = [
            TextRules(lowercase=one.lowercase and differ, symbols=one.symbols) for one in settings
        ]
        for example in islice(text.examples(), 0, None, step):
            for side, rules, change in zip(sides, lower, normalize, strict=True):
                yield change(rules.prepare(getattr(example, side)))

    common = settings[0].model_copy(update={"lowercase": settings[0].lowercase and not differ})
    return train_tokenizer(lines(), common, name, rule)


def _normalizer(wanted: Normalization, learned: Normalization) -> Callable[[str], str]:
    """Return a function that normalises text by the rule `wanted` before a tokenizer encodes it.

    learned: The rule that the tokenizer applies itself. If it equals `wanted`, the function does
        not change the text.
    """
    if wanted == learned:
        return lambda text: text
    return lambda text: normalize_text(text, wanted)


def _collect_labels(config: Config, text: Dataset) -> LabelSet | VectorFormat | None:
    """Return the labels in the training text, or the format of its vectors.

    Return None for a task without labels and vectors.
    """
    if config.encoder.kind == "vector":
        return VectorFormat(config.encoder.vector_size)
    labelled = label_column(config.task)
    if labelled is None:
        return None
    lines = (getattr(example, labelled) for example in text.examples())
    return LabelSet(name for line in lines for name in line.split(" "))


def read_vocabulary(config: Config) -> Tokenizer:
    """Read the vocabulary that `tokenizer.model` names.

    Raises UserError if the file cannot be read, is not a SentencePiece model, has another checksum
    than `tokenizer.sha256`, or does not fit the other settings of the tokenizer.
    """
    settings = config.tokenizer
    path = Path(settings.model or "")
    try:
        model = read_bounded(path, TABLE_BYTES)
    except OSError as error:
        raise UserError(f"tokenizer.model: {path} cannot be read: {error.strerror}") from None
    checksum = hashlib.sha256(model).hexdigest()
    if settings.sha256 not in (None, checksum):
        raise UserError(
            f"tokenizer.model: {path} has the SHA-256 checksum {checksum}, but tokenizer.sha256 is "
            f"{settings.sha256}; use the file with that checksum, or remove tokenizer.sha256"
        )
    try:
        tokenizer = Tokenizer(model, lowercase=settings.lowercase)
    except UserError as error:
        raise UserError(f"tokenizer.model: {path}: {error}") from None
    if problems := list(_mismatches(config, tokenizer)):
        raise UserError(f"tokenizer.model: {path} {'; it '.join(problems)}")
    return tokenizer


def _mismatches(config: Config, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield a description of each setting in which a vocabulary contradicts the configuration."""
    settings, inside = config.tokenizer, tokenizer.settings
    chosen = settings.of(text_sides(config)[0])
    if inside.segmentation != chosen_segmentation(chosen) and inside.kind == chosen.kind:
        key = "unit" if inside.kind == "char" else "separator"
        yield f"was made for another {key}: set tokenizer.{key} to that of the vocabulary"
    if inside.kind != chosen.kind:
        yield f"is a vocabulary of kind {inside.kind!r}: set tokenizer.kind = {inside.kind!r}"
    if (inside.case_marked) != (settings.case == "marked"):
        case = "marked" if inside.case_marked else "plain"
        yield f"was made for case {case!r}: set tokenizer.case = {case!r}"
    if set(inside.symbols) != set(settings.symbols):
        yield f"has the symbols {list(inside.symbols)}: set tokenizer.symbols to them"
    wanted = {settings.normalization_of(side) for side in text_sides(config)}
    own = inside.normalization
    if own is None:
        yield "has a normalisation that seq2seq does not use; make it with seq2seq tokenizer train"
    elif own != "identity" and wanted != {own}:
        yield (
            f"normalises all text with {own!r}: set tokenizer.normalization = {own!r}, or make the "
            "vocabulary with --normalization identity"
        )
