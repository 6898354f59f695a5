"""Write an export: graphs, tokenizers and configuration in one folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.config import toml
from seq2seq.config.data_paths import name_data, name_vocabulary
from seq2seq.errors import UserError
from seq2seq.export.artifact import CONFIG_NAME, load_export, write_export_manifest
from seq2seq.export.check import Difference, compare, measure_ranges
from seq2seq.export.samples import sample_ids
from seq2seq.export.sessions import import_onnxruntime
from seq2seq.export.shortlist import learn_shortlist
from seq2seq.files import atomic_folder, write_new
from seq2seq.text.actions import forbidden_ids

if TYPE_CHECKING:
    from seq2seq.export.graph import GraphPrecision
    from seq2seq.models.folder import Model

_log = logging.getLogger(__name__)


def _vocabulary(model: Model) -> dict[str, object]:
    """Return the sizes and special ids that a program needs to search without the tokenizer."""
    source, target = model.codec.source, model.codec.target
    return {
        "source": len(source),
        "target": model.codec.target_size,
        "features": len(model.codec.features or ()),
        "source_eos": source.eos,
        "bos": target.bos,
        "eos": target.eos,
        "forbidden": forbidden_ids(target, transducer=model.codec.actions is not None),
    }


def export_model(
    model: Model, folder: Path, precision: GraphPrecision, *, shortlist: bool = False
) -> Difference:
    """Write a model as an export, and return the difference between both.

    shortlist: also learn a shortlist from the training pairs. The comparison ignores the shortlist.

    The folder is written as a whole or not at all. An existing folder with this name is replaced.
    Raises UserError if the difference exceeds the bound, if the model cannot be exported, and if
    the packages for ONNX are missing.
    """
    import_onnxruntime()
    try:
        from seq2seq.export.graphs import build_graphs
    except ImportError as error:
        raise UserError(
            f"exporting needs the package {error.name}, which is not installed: run "
            "pip install 'seq2seq-rnn[onnx]'"
        ) from None
    if model.config.decoder.bidirectional:
        raise UserError(
            "a bidirectional language model cannot be exported: it reads the tokens that it "
            "predicts, so it cannot be run step by step"
        )
    network, config = model.network.eval(), model.config
    if shortlist and network.is_mixture:
        raise UserError(
            "a shortlist does not work with copying (decoder.copying) or with context.kind = "
            "'monotonic' or 'transducer': export the model without --shortlist"
        )
    sources, targets = sample_ids(model)
    ranges = measure_ranges(model, sources, targets)
    lists = learn_shortlist(model) if shortlist else None
    built = build_graphs(model, precision, ranges, frequent=lists.frequent if lists else None)
    names = {"data": name_data(config.data), "tokenizer": name_vocabulary(config.tokenizer)}
    named = config.model_copy(update=names)
    with atomic_folder(folder) as aside:
        write_new(aside / CONFIG_NAME, toml.dump_config(named).encode())
        model.codec.save(aside)
        for name, graph in built.graphs.items():
            write_new(aside / f"{name}.onnx", graph.SerializeToString())
        if lists:
            lists.save(aside)
        manifest = {
            "precision": precision,
            "rows": built.rows,
            "memory": built.memory,
            "shortlist": shortlist,
            "vocabulary": _vocabulary(model),
        }
        write_export_manifest(aside, manifest)
        difference = compare(model, load_export(aside), sources, targets)
        difference.require_small(precision)
    parameters = sum(weight.numel() for weight in network.parameters())
    _log.debug("%s: %s, %d parameters", folder, precision, parameters)
    return difference
