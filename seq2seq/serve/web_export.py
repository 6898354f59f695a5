"""Write a folder with a web page that translates in the browser, with a model and ONNX Runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.export.artifact import Export, load_export
from seq2seq.files import atomic_folder
from seq2seq.serve.language_names import language_name
from seq2seq.text.languages import language_code, uses_spaces
from seq2seq.text.statistics import TextStatistics
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

if TYPE_CHECKING:  # the folder of an export is written without PyTorch
    from seq2seq.models.folder import Model

_HERE = Path(__file__).parent
_PACKAGE = Path("node_modules") / "onnxruntime-web"
_SETTINGS = "web.json"
_RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_NORMALIZER = "normalizer.model"
_BEAM = 5
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)


def is_web_folder(folder: Path) -> bool:
    """Return whether `write_web_folder` wrote a folder."""
    return (folder / "model" / _SETTINGS).is_file()


def find_runtime(start: Path) -> Path:
    """Return the folder with the files of onnxruntime-web, which npm has installed.

    start: the folder where the search begins. The search goes on in the folders above it, as the
        search of Node.js does.

    Raises UserError if onnxruntime-web is not installed, or if it lacks a file.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        runtime = folder / _PACKAGE / "dist"
        if runtime.is_dir():
            break
    else:
        raise UserError(
            f"the npm package onnxruntime-web is not installed in {start.resolve()}: "
            "run npm install onnxruntime-web in this folder, and export again"
        )
    for name in _RUNTIME:
        if not (runtime / name).is_file():
            raise UserError(
                f"{runtime / name} is missing: "
                "run npm install onnxruntime-web@latest, and export the model again"
            )
    return runtime


def write_web_folder(exported: Path, folder: Path, runtime: Path, name: str) -> None:
    """Write a folder with a web page that runs a model in the browser.

    Any web server can serve the folder.

    exported: the export of the model.
    folder: the folder to write. It is written as a whole or not at all.
    runtime: the folder with the files of onnxruntime-web.
    name: the name of the model on the page.

    Raises UserError if the page cannot run the model.
    """
    export = load_export(exported)
    require_web_model(export, exported)
    settings = _settings(export, name)
    with atomic_folder(folder) as aside:
        for path in (_HERE / "page").iterdir():
            if path.name not in ("index.html", "engine.js"):
                shutil.copyfile(path, aside / path.name)
        for path in (_HERE / "web").iterdir():
            shutil.copyfile(path, aside / path.name)
        html = (_HERE / "page" / "index.html").read_text(encoding="utf-8")
        policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        html = html.replace("<title>", f"{policy}\n<title>", 1)
        (aside / "index.html").write_text(html, encoding="utf-8")
        (aside / "ort").mkdir()
        for file in _RUNTIME:
            shutil.copyfile(runtime / file, aside / "ort" / file)
        shutil.copytree(exported, aside / "model")
        if settings["normalizer"]:
            (aside / "model" / _NORMALIZER).write_bytes(_nfkc_model())
        text = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
        (aside / "model" / _SETTINGS).write_text(text, encoding="utf-8")


def require_web_model(model: Model | Export, folder: Path) -> None:
    """Raise UserError if the web page cannot run a model.

    folder: the folder of the model, for the message.
    """
    task, codec = model.config.task, model.codec
    statistics = codec.statistics or TextStatistics()
    reasons = {
        f"its task is {task.name}": task.source != "text"
        or not task.has_target_text
        or task.same_length,
        "it has a shortlist": isinstance(model, Export) and model.has_shortlist,
        "it is a transducer (context.kind)": model.config.context.is_transducer,
        "its source has features": model.config.data.features is not None,
        "its vocabulary has symbols": bool(model.config.tokenizer.symbols),
        "its lines begin with tags": bool(statistics.tags),
    }
    for tokenizer in (codec.source, codec.target):
        reasons[f"its tokens are of the kind {tokenizer.kind!r}"] = tokenizer.kind not in (
            "bpe",
            "unigram",
        )
    for reason, holds in reasons.items():
        if holds:
            raise UserError(
                f"{folder}: --web cannot run this model, because {reason}; use a "
                "translation model with bpe or unigram tokens"
            )


def _settings(export: Export, name: str) -> dict[str, Any]:
    """Return the content of web.json, which describes the model to the web page."""
    config, codec = export.config, export.codec
    statistics = codec.statistics or TextStatistics()
    names = (config.data.source, config.data.target)
    codes = [language_code(one) for one in names]
    are_languages = None not in codes and codes[0] != codes[1]
    joint = codec.source.shares_vocabulary(codec.target)
    sides = {"source": codec.source, "target": codec.target}
    rules = {side: _rules(tokenizer) for side, tokenizer in sides.items()}
    nfkc = any(rule["normalization"] == "nmt_nfkc" for rule in rules.values())
    return {
        "name": name,
        "languages": dict(zip(sides, codes if are_languages else (None, None), strict=True)),
        "names": {code: language_name(code) for code in codes if code},
        "attends": config.context.has_weights,
        "spaced": uses_spaces(names[1]),
        "max_tokens": config.data.max_tokens,
        "length_ratio": statistics.length_ratio,
        "length_margin": statistics.length_margin,
        "beam": _BEAM,
        "tokenizers": {
            side: "tokenizer.model" if joint else f"tokenizer.{side}.model" for side in sides
        },
        "rules": rules,
        "normalizer": _NORMALIZER if nfkc else None,
    }


def _rules(tokenizer: Tokenizer) -> dict[str, object]:
    rules = tokenizer.rules
    return {
        "lowercase": rules.lowercase,
        "normalization": rules.normalization,
        "marked": rules.marker is not None,
    }


def _nfkc_model() -> bytes:
    """Return a SentencePiece model that serves only to normalise text by the rule nmt_nfkc."""
    config = TokenizerConfig(kind="char", vocabulary=300)
    return train_tokenizer(["a"], config, normalization="nmt_nfkc").model
