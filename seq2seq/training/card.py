"""The model card: what a stranger who opens a model folder reads first."""

from __future__ import annotations

from typing import Any

import seq2seq
from seq2seq.config import Config
from seq2seq.models.folder import Model


def model_card(model: Model, row: dict[str, Any], command: str) -> str:
    """Markdown; row: the validation row of the weights that the folder holds."""
    config = model.config
    parameters = sum(p.numel() for p in model.network.parameters())
    averaged = row.get("averaged")
    weights = (
        f"the average of those at updates {', '.join(map(str, averaged))}"
        if averaged
        else f"those at update {row['update']}"
    )
    bleu = "" if row["bleu"] is None else f"- validation BLEU: {row['bleu']:.2f}\n"
    if config.shape == "language-model":
        title, what, use = "A language model", "recurrent language model", "generate FOLDER"
    else:
        title = f"{config.data.source} → {config.data.target}"
        what, use = "recurrent translator", "translate FOLDER"
    said = 'echo "..." | ' if config.shape == "translation" else ""
    return f"""# {title}

A {what} made with seq2seq {seq2seq.__version__}.

{_parts(config)}
- tokens: {config.tokenizer.kind}, {len(model.tokenizers.target):,}
- parameters: {parameters:,}; weights: {weights}
{bleu}- validation loss: {row["loss"]:.4f} nats a token
- training data: `{config.data.train or config.data.hub}`

Made by

    {command or "seq2seq.training.loop.train"}

Use it with

    {said}seq2seq {use}
"""


def _parts(config: Config) -> str:
    encoder, decoder, context = config.encoder, config.decoder, config.context
    both = "bidirectional " if decoder.bidirectional else ""
    of_decoder = f"- decoder: {decoder.layers} × {both}{decoder.cell.upper()} {decoder.hidden}"
    if config.shape == "language-model":
        return of_decoder
    both = "bidirectional " if encoder.bidirectional else ""
    kind = str(context.kind)
    if kind != "fixed":
        kind += f" attention, {context.placement}"
    return (
        f"- encoder: {encoder.layers} × {both}{encoder.cell.upper()} {encoder.hidden}; context: "
        f"{kind}, {context.size}; summary: {context.pooling}\n{of_decoder}"
    )
