"""What must hold of a model folder: it is complete, can be moved, and opening it runs no code."""

from __future__ import annotations

import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from seq2seq.config import toml
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.models.folder import Model, build_model, load_model, load_model_config, save_model
from seq2seq.text.codec import Codec
from seq2seq.text.tokenizer import train_tokenizer

TEXT = ["ein Haus am See", "a house by the lake", "zwei Boote", "two boats"]


def make(**sections: dict[str, Any]) -> Model:
    values: dict[str, Any] = {
        "data": {"source": "de", "target": "en", "train": "train"},
        "tokenizer": {"kind": "char", "vocabulary": 24},
        "encoder": {"embedding": 6, "hidden": 4},
        "context": {"size": 6, "heads": 2},
        "decoder": {"embedding": 6, "hidden": 7},
        "training": {"epochs": 1},
    }
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    parsed = toml.parse_config(values, "test")
    sides = [TEXT, TEXT] if parsed.tokenizer.joint else [TEXT[::2], TEXT[1::2]]
    learned = [train_tokenizer(side, parsed.tokenizer) for side in sides]
    codec = Codec(learned[0], learned[0] if parsed.tokenizer.joint else learned[1])
    torch.manual_seed(0)
    return build_model(parsed, codec)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", make(), "# A card\n")
    return tmp_path / "model"


def complaint(folder: Path) -> str:
    """What is wrong with a folder whose checksums are not asked: see test_manifest."""
    (folder / "manifest.json").unlink(missing_ok=True)
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def log_probabilities(model: Model) -> list[torch.Tensor]:
    """Of a few steps after a sentence; from the raw text on, so that tokenizers count too."""
    left, right = model.codec.source, model.codec.target
    ids = [*left.encode(["ein Boot"])[0], left.eos]
    model.network.eval()
    state = model.network.start(torch.tensor([ids]), torch.tensor([len(ids)]))
    found = []
    for token in [right.bos, *right.encode(["a boat"])[0]]:
        scores, state = model.network.decoder.step(state, torch.tensor([token]))
        found.append(scores)
    return found


@pytest.mark.parametrize(
    "sections",
    [
        {"decoder": {"tied": "none"}},
        {"decoder": {"tied": "output", "cell": "lstm", "layers": 2}},
        {"decoder": {"tied": "all"}},
        {"tokenizer": {"joint": False, "lowercase": True}, "context": {"pooling": "last"}},
    ],
    ids=str,
)
def test_saved_moved_and_loaded_it_is_the_same_model(tmp_path: Path, sections: Any) -> None:
    model = make(**sections)
    save_model(tmp_path / "model", model, "# A card\n")
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "model").rename(tmp_path / "elsewhere" / "other")
    loaded = load_model(moved)
    assert loaded.config == model.config
    assert not loaded.network.training
    for one, other in zip(log_probabilities(model), log_probabilities(loaded), strict=True):
        assert torch.equal(one, other)
    weights = loaded.network
    shared = weights.decoder.output.weight is weights.decoder.embedding.weight
    assert shared is (model.config.decoder.tied != "none")


def test_what_is_in_it(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.toml",
        "tokenizer.model",
        "model.safetensors",
        "README.md",
        "manifest.json",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["model"]  # nothing beside it
    assert (folder / "README.md").read_text() == "# A card\n"
    weights = load_file(folder / "model.safetensors")
    assert (
        sum(name in weights for name in ("decoder.embedding.weight", "decoder.output.weight")) == 1
    )


def test_separate_vocabularies_are_two_files(tmp_path: Path) -> None:
    save_model(tmp_path / "model", make(tokenizer={"joint": False}), "")
    names = {path.name for path in (tmp_path / "model").glob("tokenizer*")}
    assert names == {"tokenizer.source.model", "tokenizer.target.model"}
    (tmp_path / "model" / "tokenizer.target.model").unlink()
    assert "tokenizer.target.model is missing" in complaint(tmp_path / "model")


def test_a_model_takes_the_place_of_another(folder: Path) -> None:
    other = make(encoder={"hidden": 9})
    (folder / "left over").touch()
    save_model(folder, other, "")
    assert load_model(folder).config.encoder.hidden == 9
    assert not (folder / "left over").exists()


@pytest.mark.parametrize("name", ["config.toml", "tokenizer.model", "model.safetensors"])
def test_a_missing_piece_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{folder / name} is missing" in complaint(folder)


class _Malice:
    """A pickle that writes a file when it is opened."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("name", ["config.toml", "tokenizer.model", "model.safetensors"])
@pytest.mark.parametrize("content", ["empty", "cut", "garbage", "pickle", "torch", "folder"])
def test_a_broken_piece_is_named_and_nothing_of_it_is_run(
    folder: Path, tmp_path: Path, name: str, content: str
) -> None:
    path, witness = folder / name, tmp_path / "witness"
    whole = path.read_bytes()
    if content == "torch":
        torch.save({"weights": _Malice(witness)}, path)
    elif content == "folder":
        path.unlink()
        path.mkdir()
    else:
        broken = {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "garbage": b"\xff\x00garbage" * 50,
            "pickle": pickle.dumps(_Malice(witness)),
        }
        path.write_bytes(broken[content])
    assert str(path) in complaint(folder)
    assert not witness.exists()


@pytest.mark.parametrize("key", ["encoder.hidden", "decoder.layers", "context.size"])
def test_weights_of_another_shape(folder: Path, key: str) -> None:
    values = tomllib.loads((folder / "config.toml").read_text())
    section, name = key.split(".")
    values[section][name] += 2  # and parted among two heads still
    changed = toml.parse_config(values, "test")
    (folder / "config.toml").write_text(toml.dump_config(changed))
    said = complaint(folder)
    assert str(folder / "model.safetensors") in said
    assert "the weights do not fit config.toml" in said


def test_a_weight_too_few_or_too_many_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if "bias" in name)
    rest = {other: weight for other, weight in weights.items() if other != name}
    for written, wrong in ((rest, name), (weights | {"stranger": torch.zeros(1)}, "stranger")):
        save_file(written, path, metadata={"seq2seq": "3"})
        detail = f"missing or unexpected: {wrong}"
        expected = f"the weights do not fit config.toml ({detail}); copy the model folder again"
        assert complaint(folder) == f"{path}: {expected}"


@pytest.mark.parametrize("metadata", [None, {"seq2seq": "2"}, {"seq2seq": "4"}])
def test_weights_of_other_networks(folder: Path, metadata: dict[str, str] | None) -> None:
    path = folder / "model.safetensors"
    save_file(load_file(path), path, metadata=metadata)
    assert f"{path}: the weights belong to version" in complaint(folder)


def test_a_tokenizer_of_another_size(folder: Path) -> None:
    other = train_tokenizer(TEXT, TokenizerConfig(kind="char", vocabulary=15))
    (folder / "tokenizer.model").write_bytes(other.model)
    assert "the weights do not fit config.toml" in complaint(folder)


def test_mistakes_in_its_configuration(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("hidden =", "hiden ="))
    said = complaint(folder)
    assert str(path) in said
    assert "unknown key encoder.hiden; did you mean 'hidden'?" in said
    assert "unknown key decoder.hiden" in said


def test_no_folder_and_the_folder_of_a_run(tmp_path: Path, folder: Path) -> None:
    assert complaint(tmp_path / "nowhere") == (
        f"{tmp_path / 'nowhere'}: no such model folder; check the path"
    )
    assert f"did you mean {folder}?" in complaint(folder.parent)
    assert load_model_config(folder) == make().config
