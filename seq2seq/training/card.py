"""The model card: what a stranger who opens a model folder reads first."""

from __future__ import annotations

import seq2seq
from seq2seq.config.schema import Config
from seq2seq.evaluation.scores import bleu_signature
from seq2seq.models.folder import Model
from seq2seq.text.languages import bleu_tokenizer
from seq2seq.training.callbacks import ValidationRow


def model_card(model: Model, row: ValidationRow, command: str) -> str:
    """Markdown; row: the validation row of the weights that the folder holds."""
    config = model.config
    use = config.task.example
    if config.decoder.bidirectional:  # it sees the tokens that it predicts, so it cannot write
        use = "seq2seq perplexity FOLDER"
    parameters = sum(p.numel() for p in model.network.parameters())
    quality = "" if row["bleu"] is None else _bleu(config, row["bleu"])
    if row["accuracy"] is not None:
        quality = f"- validation accuracy: {100 * row['accuracy']:.2f} %\n"
    sides = [side for side in (config.data.source, config.data.target) if side]
    return f"""# {" → ".join(sides)}

A {config.task.title} made with seq2seq {seq2seq.__version__}.

{"".join(f"- {line}" + chr(10) for line in _parts(config))}\
- tokens: {config.tokenizer.kind}, {len(model.codec.target):,}
- parameters: {parameters:,}; weights: those at update {row["update"]}
{quality}- validation loss: {row["loss"]:.4f} nats a token
- training data: {_data(config)}

Made by

    {command or "seq2seq.train(...)"}

Use it with

    {use}
"""


def _data(config: Config) -> str:
    name = config.data.train or config.data.hub
    return f"`{name}`" if name else "given in Python"


def _bleu(config: Config, value: float) -> str:
    settings, tokens = config.validation, bleu_tokenizer(config.data.target)
    signature = bleu_signature(lowercase=config.tokenizer.lowercase, tokens=tokens)
    how = "greedy" if settings.beam == 1 else f"beam {settings.beam}"
    lines = f", of the first {settings.lines:,} lines" if settings.lines else ""
    return f"- validation BLEU: {value:.2f} ({how}{lines}; `{signature}`)\n"


def _parts(config: Config) -> list[str]:
    encoder, decoder, context = config.encoder, config.decoder, config.context
    stack = "bidirectional " if encoder.bidirectional else ""
    of_encoder = f"encoder: {encoder.layers} × {stack}{encoder.cell.upper()} {encoder.hidden}"
    if config.task.source == "condition":
        of_encoder = f"given: a {encoder.kind}"
    kind = str(context.kind)
    if context.is_attention:
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
