"""Write a Transformer of 4 layers of 256 units with random weights for CTranslate2, in int8.

    python random_transformer.py VOCABULARY FOLDER

Four heads, 1,024 units between the layers of the feed-forward networks, no weights shared.
VOCABULARY has a piece per line. Speed does not depend on the values of the weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ctranslate2.specs import TransformerSpec
from ctranslate2.specs.model_spec import visit_spec

LAYERS, HEADS, UNITS, BETWEEN = 4, 4, 256, 1024


def fill(spec: TransformerSpec, size: int) -> None:
    """Give each weight of the model its shape and random values."""
    random = np.random.default_rng(1)

    def fill_one(layer: object, name: str, value: object) -> None:
        *_, part, kind = name.split("/")
        if value is not None or kind not in ("weight", "bias", "gamma", "beta"):
            return
        scope = name.split("/")
        inputs, outputs = UNITS, UNITS
        if part.startswith("embeddings"):
            inputs, outputs = UNITS, size
        elif part == "projection":
            outputs = size
        elif "attention" in scope[-3]:
            self_attention = scope[-3] == "self_attention"
            first = part == "linear_0"
            outputs *= 3 if first and self_attention else 1
            outputs *= 2 if part == "linear_1" and not self_attention else 1
        elif scope[-3] == "ffn":
            inputs, outputs = (UNITS, BETWEEN) if part == "linear_0" else (BETWEEN, UNITS)
        if kind == "weight":
            array = random.normal(0, inputs**-0.5, (outputs, inputs))
        else:
            normed = part.endswith("layer_norm")
            array = np.full(UNITS if normed else outputs, 1.0 if kind == "gamma" else 0.0)
        setattr(layer, kind, array.astype(np.float32))

    visit_spec(spec, fill_one)


def main() -> None:
    vocabulary, folder = Path(sys.argv[1]), Path(sys.argv[2])
    pieces = vocabulary.read_text(encoding="utf-8").split("\n")[:-1]
    tokens = ["<blank>", "<unk>", "<s>", "</s>", *pieces]
    spec = TransformerSpec.from_config(LAYERS, HEADS, pre_norm=True)
    fill(spec, len(tokens))
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = "<unk>", "<s>", "</s>"
    spec.config.decoder_start_token = "<s>"
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize("int8")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))


if __name__ == "__main__":
    main()
