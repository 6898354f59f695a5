"""The model card: what a stranger who opens a model folder reads first."""

from __future__ import annotations

from typing import Any

import seq2seq
from seq2seq.models.folder import Model


def model_card(model: Model, row: dict[str, Any], command: str) -> str:
    """Markdown; row: the validation row of the weights that the folder holds."""
    config = model.config
    parameters = sum(p.numel() for p in model.network.parameters())
    encoder, decoder = config.encoder, config.decoder
    context: str = config.context.kind
    if context != "fixed":
        context += f" attention, {config.context.placement}"
    averaged = row.get("averaged")
    weights = (
        f"the average of those at updates {', '.join(map(str, averaged))}"
        if averaged
        else f"those at update {row['update']}"
    )
    bleu = "" if row["bleu"] is None else f"- validation BLEU: {row['bleu']:.2f}\n"
    return f"""# {config.data.source} → {config.data.target}

A recurrent translator made with seq2seq {seq2seq.__version__}.

- encoder: {encoder.layers} × {"bidirectional " if encoder.bidirectional else ""}\
{encoder.cell.upper()} {encoder.hidden}; context: {context}, \
{config.context.size}; summary: {config.context.pooling}
- decoder: {decoder.layers} × {decoder.cell.upper()} {decoder.hidden}
- subwords: {config.tokenizer.kind}, {len(model.tokenizers.target):,}
- parameters: {parameters:,}; weights: {weights}
{bleu}- validation loss: {row["loss"]:.4f} nats a subword
- training data: `{config.data.train or config.data.hub}`

Made by

    {command or "seq2seq.training.loop.train"}

Use it with

    echo "..." | seq2seq translate FOLDER
"""
