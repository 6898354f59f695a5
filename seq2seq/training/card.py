"""Write the model card, the README.md that describes a model folder to its users.

The card begins with YAML metadata for the Hugging Face Hub. The card contains no absolute path.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import cast

import seq2seq
from seq2seq.config.data_paths import name_data, name_vocabulary, shorten_paths
from seq2seq.config.data_section import DataConfig
from seq2seq.config.schema import Config
from seq2seq.models.folder import Model
from seq2seq.models.perplexity_value import format_share
from seq2seq.text.languages import language_code
from seq2seq.training.callbacks import ValidationRow
from seq2seq.training.start import Origin


def model_card(
    model: Model,
    row: ValidationRow,
    command: str,
    signature: str = "",
    origin: Origin | None = None,
) -> str:
    """Return the model card as Markdown with YAML front matter.

    row: the validation row of the weights in the model folder.
    signature: how sacreBLEU computed the BLEU of this row.
    command: the command line that trained the model; "" if a Python program trained the model.
    origin: the model that the training started from; None if it started with random weights.
    """
    config = model.config
    data = name_data(config.data)
    data = data.model_copy(update={"valid": data.valid_sets[config.selecting_set]})
    use = config.task.example
    if config.decoder.bidirectional:  # it sees its own targets, so it cannot generate text
        use = "seq2seq perplexity FOLDER"
    if model.codec.features is not None:
        use = "printf 'SOURCE\\tFEATURES\\n' | seq2seq translate FOLDER"
    parameters = sum(p.numel() for p in model.network.parameters())
    quality = "".join(f"- validation {line}\n" for line in _quality(config, row, signature))
    sides = [side for side in (data.source, data.target) if side]
    return f"""---
{_front_matter(config, data, row)}
---

# {" → ".join(sides)}

A {config.task.title} made with seq2seq {seq2seq.__version__}.

{"".join(f"- {line}" + chr(10) for line in _parts(config))}\
- tokens: {_tokens(model)}{_vocabulary_name(config)}
{_features_line(model)}\
- parameters: {parameters:,}; weights: from update {row["update"]}
{quality}- validation loss: {row["loss"]:.4f} nats per token{_unknown(row)}
- training data: {_data_name(data)}
{_origin_line(origin)}
Made by

    {_portable_command(command) or "seq2seq.train(...)"}

Use it with

    {use}
"""


def _tokens(model: Model) -> str:
    """Describe the kind of tokens and the size of the vocabulary, for source and target."""
    settings, codec = model.config.tokenizer, model.codec
    source, target = settings.of("source"), settings.of("target")
    if not settings.sides_differ:
        return f"{target.kind}, {len(codec.target):,}"
    return f"{source.kind}, {len(codec.source):,} → {target.kind}, {len(codec.target):,}"


def _features_line(model: Model) -> str:
    features = model.codec.features
    if features is None:
        return ""
    column, unit = model.config.data.features, "word" if features.per_word else "line"
    return (
        f"- features: {len(features):,}, per {unit} (column {column}). An input line has a source, "
        f"a tab and its features, with {features.settings.separator!r} between features\n"
    )


def _front_matter(config: Config, data: DataConfig, row: ValidationRow) -> str:
    from huggingface_hub import EvalResult, ModelCardData  # slow to import

    task = config.task
    hub_id = data.hub if data.hub and not data.hub.startswith("./") else None
    valid = data.valid or data.hub
    dataset = ", ".join(valid) if isinstance(valid, list) else str(valid)
    results = [
        EvalResult(
            task_type=task.pipeline_tag,
            dataset_type=hub_id or "custom",
            dataset_name=dataset,
            dataset_split="validation",
            metric_type=name,
            metric_name=f"validation {title}",
            metric_value=value,
        )
        for name, title, value in _metrics(row)
    ]
    sides = [data.source, data.target]
    if task.label_side is not None:
        del sides[task.label_side]
    languages = [code for side in sides if (code := language_code(side))]
    parts = [getattr(config, name) for name in ("encoder", "decoder") if name in task.sections]
    cells = {part.cell for part in parts if getattr(part, "kind", "recurrent") == "recurrent"}
    metadata = ModelCardData(
        language=list(dict.fromkeys(languages)) or None,
        license=config.license,
        library_name="seq2seq",
        pipeline_tag=task.pipeline_tag,
        tags=["seq2seq", task.name, "recurrent-neural-network", *sorted(cells)],
        datasets=[hub_id] if hub_id else None,
        metrics=[result.metric_type for result in results],
        model_name=" → ".join(side for side in (data.source, data.target) if side),
        eval_results=results,
    )
    return metadata.to_yaml()


def _metrics(row: ValidationRow) -> Iterator[tuple[str, str, float]]:
    """Yield the metrics of a validation row as (name on the Hub, title, value)."""
    if row["bleu"] is not None:
        yield "bleu", "BLEU", row["bleu"]
    for name, title in (("chrf", "chrF"), ("ter", "TER"), ("wer", "WER"), ("ser", "SER")):
        if (value := cast(Mapping[str, float | None], row)[name]) is not None:
            yield name, title, value
    if row["accuracy"] is not None:
        yield "accuracy", "accuracy", row["accuracy"]
    else:
        yield "perplexity", "perplexity of tokens", math.exp(min(row["loss"], 700))


def _vocabulary_name(config: Config) -> str:
    """Return the origin of a vocabulary that was not learned from the training set."""
    named = name_vocabulary(config.tokenizer)
    return f" (from {named.model}, SHA-256 {named.sha256})" if named.model else ""


def _portable_command(command: str) -> str:
    try:
        arguments = shlex.split(command)
    except ValueError:  # not a valid shell command, so treated as one argument
        return shorten_paths(command)
    return shlex.join(map(shorten_paths, arguments))


def _origin_line(origin: Origin | None) -> str:
    if origin is None:
        return ""
    return f"- continued from: `{origin.name}` (SHA-256 of its weights: `{origin.weights}`)\n"


def _data_name(data: DataConfig) -> str:
    name = data.train or data.hub
    return f"`{name}`" if name else "passed from Python"


def _unknown(row: ValidationRow) -> str:
    return f"; {format_share(row['unknown'])} of the tokens are unknown" if row["unknown"] else ""


def _quality(config: Config, row: ValidationRow, signature: str) -> Iterator[str]:
    """Yield the name and the value of each validation score.

    signature: how sacreBLEU computed BLEU.
    """
    settings = config.validation
    how = "greedy" if settings.beam == 1 else f"beam {settings.beam}"
    how += f", of the first {settings.lines:,} lines" if settings.lines else ""
    if row["bleu"] is not None:
        yield f"BLEU: {row['bleu']:.2f} ({how}; `{signature}`)"
    for title in ("chrF", "TER", "WER", "SER"):
        value = cast(Mapping[str, float | None], row)[title.lower()]
        if value is not None:
            yield f"{title}: {value:.2f} ({how})"
    if row["accuracy"] is not None:
        yield f"accuracy: {100 * row['accuracy']:.2f} %"
    if row["exact_match"] is not None:
        yield f"exact match: {row['exact_match']:.2f} %"


def _parts(config: Config) -> list[str]:
    encoder, decoder, context = config.encoder, config.decoder, config.context
    stack = "bidirectional " if encoder.bidirectional else ""
    of_encoder = f"encoder: {encoder.layers} × {stack}{encoder.cell.upper()} {encoder.hidden}"
    if config.task.source == "condition":
        of_encoder = f"input: a {encoder.kind}"
    kind = str(context.kind)
    if context.has_weights and not context.is_transducer:
        kind += f" attention, {context.placement}"
    of_context = f"context: {kind}, {context.size}; summary: {context.pooling}"
    stack = "bidirectional " if decoder.bidirectional else ""
    of_decoder = f"decoder: {decoder.layers} × {stack}{decoder.cell.upper()} {decoder.hidden}"
    if config.task.labels_each_word:
        return [of_encoder]
    if not config.task.has_source:
        return [of_decoder]
    if not config.task.has_target_text:
        return [of_encoder, f"summary: {context.pooling}, {context.size}"]
    return [of_encoder, of_context, of_decoder]
