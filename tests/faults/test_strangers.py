"""A stranger's model is opened or refused in bounded time and memory, and never crashes."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_limits import SECONDS, WHOLE, Outcome, record, run_limited

import seq2seq
from seq2seq.checked_files import seal_manifest
from seq2seq.export.artifact import MANIFEST_NAME
from seq2seq.files import sha256_of
from seq2seq.text.protobuf import message_fields, write_field

_FLIPS = 100 if WHOLE else 2  # of each file, with checksums that fit
_LINES = ["the red cat", "a dog", "", "ﬁ ① 中文 x"]


def reseal(folder: Path) -> None:
    """Write a manifest that fits the files, as a stranger would."""
    for name in ("manifest.json", MANIFEST_NAME):
        if (path := folder / name).exists():
            values = json.loads(path.read_text())
            values.pop("checksum", None)
            files = [file for file in folder.iterdir() if file.is_file() and file.name != name]
            sums = {file.name: sha256_of(file) for file in files if file.stat().st_size < 1 << 30}
            path.write_text(seal_manifest({**values, "sha256": {**values["sha256"], **sums}}))


def use(folder: Path) -> list[str]:
    """Open a model and run it. Returns one result for each line."""
    model = seq2seq.load(folder, device="cpu", batch_size=2)
    if isinstance(model, seq2seq.Translator):
        results = model.translate(_LINES)
    else:
        results = [str(result) for result in model.tag(_LINES)]
    assert len(results) == len(_LINES)
    return results


def set_key(key: str, value: str) -> Callable[[Path], None]:
    section, name = key.split(".")

    def change(folder: Path) -> None:
        path = folder / "config.toml"
        lines, inside, done = path.read_text().split("\n"), "", False
        for number, line in enumerate(lines):
            inside = line.strip("[]") if line.startswith("[") else inside
            if inside == section and line.startswith(f"{name} ="):
                lines[number], done = f"{name} = {value}", True
        if not done and section == "top":
            lines = [line for line in lines if not line.startswith(f"{name} =")]
            lines.insert(0, f"{name} = {value}")
        path.write_text("\n".join(lines))

    return change


def text_of(name: str, content: str | bytes) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content

    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def fifo(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def link(name: str, target: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return change


def directory(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return change


def sparse(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return change


def header(change: Callable[[dict], None], *, resize: Callable[[bytes], bytes] = bytes):
    """Change the header of the weights, and perhaps the numbers."""

    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        content = path.read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        entries = json.loads(content[8 : 8 + length])
        change(entries)
        text = json.dumps(entries).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + resize(content[8 + length :]))

    return apply


def retyped(dtype: str) -> Callable[[dict], None]:
    def change(entries: dict) -> None:
        for name, entry in entries.items():
            if name != "__metadata__":
                entry["dtype"] = dtype

    return change


def with_number(value: float) -> Callable[[Path], None]:
    number = np.float32(value).tobytes()
    return header(lambda entries: None, resize=lambda data: data[:-4] + number)


def many_tensors(entries: dict) -> None:
    for number in range(200_000):
        entries[f"x{number}"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def vocabulary(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "tokenizer.model"
        path.write_bytes(change(path.read_bytes()))

    return apply


def pieces(count: int) -> bytes:
    score = b"\x15\x00\x00\x80\xbf"
    return b"".join(write_field(1, write_field(1, b"w%d" % i) + score) for i in range(count))


def character_map(model: bytes, change: Callable[[bytearray], None]) -> bytes:
    content = bytearray()
    for field, value in message_fields(memoryview(model)):
        if field == 3:
            inner = bytearray()
            for number, part in message_fields(value):
                part = part if isinstance(part, int) else bytes(part)
                if number == 2:
                    damaged = bytearray(part)
                    change(damaged)
                    part = bytes(damaged)
                inner += write_field(number, part)
            content += write_field(3, bytes(inner))
        else:
            content += write_field(field, value if isinstance(value, int) else bytes(value))
    return bytes(content)


def far_trie(content: bytearray) -> None:
    for at in range(4, len(content) // 2, 4):
        content[at : at + 4] = struct.pack("<I", 0x7FFFFF00 | content[at])


DOTS = ".".join(["a"] * 80_000)
MODEL: dict[str, Callable[[Path], None]] = {
    **{
        f"{key} = {value}": set_key(key, value)
        for key, value in [
            ("encoder.layers", "1000000"),
            ("encoder.hidden", "1000000000"),
            ("encoder.hidden", "65536"),
            ("decoder.layers", "100"),
            ("decoder.hidden", "65536"),
            ("decoder.embedding", "60000"),
            ("context.size", "65536"),
            ("context.heads", "1000000000"),
            ("training.threads", "100000"),
            ("tokenizer.vocabulary", "1000000000000"),
            ("top.seed", "1" + "0" * 30),
            ("top.seed", "9" * 5000),
            ("top.seed", "0x" + "f" * 100_000),
        ]
    },
    "config: nested arrays": text_of("config.toml", "a = " + "[" * 100_000),
    "config: nested tables": text_of("config.toml", "a = " + "{a=" * 50_000),
    "config: a key of 80,000 parts": text_of("config.toml", f"{DOTS} = 1"),
    "config: a table of 80,000 parts": text_of("config.toml", f"[{DOTS}]"),
    "config: 1 TB": sparse("config.toml", 1 << 40),
    "config: not UTF-8": text_of("config.toml", b"task = '\xff\xfe\x00'"),
    "manifest: nested": text_of("manifest.json", "[" * 900_000),
    "manifest: 1 TB": sparse("manifest.json", 1 << 40),
    "statistics: nested": text_of("statistics.json", "[" * 900_000),
    "statistics: infinite": text_of(
        "statistics.json", '{"length_ratio": 1e999, "length_margin": 1e999}'
    ),
    "statistics: wrong types": text_of("statistics.json", '{"length_ratio": [], "tags": 1}'),
    "statistics: 250 MB of lists": lambda folder: (folder / "statistics.json").write_bytes(
        b'{"tags": [' + b"[]," * 83_000_000 + b"[]]}"
    ),
    **{
        f"{name}: {kind}": make(name)
        for name in ("config.toml", "tokenizer.model", "model.safetensors", "statistics.json")
        for kind, make in {
            "a named pipe": fifo,
            "/dev/zero": lambda name: link(name, "/dev/zero"),
            "a link to itself": lambda name: link(name, name),
            "a folder": directory,
        }.items()
    },
    "weights: 1 TB": sparse("model.safetensors", 1 << 40),
    "weights: endless header": text_of("model.safetensors", b"\xff" * 8 + b"{}"),
    "weights: nested header": text_of(
        "model.safetensors", struct.pack("<Q", 500_000) + b"[" * 500_000
    ),
    "weights: 200,000 tensors": header(many_tensors),
    "weights: int8": header(retyped("I8")),
    "weights: float64": header(retyped("F64")),
    "weights: unknown type": header(retyped("F31")),
    "weights: NaN": with_number(np.nan),
    "weights: infinite": with_number(np.inf),
    "weights: empty": text_of("model.safetensors", b""),
    "vocabulary: 3,000,000 pieces": vocabulary(lambda model: model + pieces(3_000_000)),
    "vocabulary: 499,000 pieces": vocabulary(lambda model: model + pieces(499_000)),
    "vocabulary: 1 TB": sparse("tokenizer.model", 1 << 40),
    "vocabulary: 200 MB of zeros": sparse("tokenizer.model", 200 << 20),
    "vocabulary: NUL in a symbol": vocabulary(
        lambda model: model + write_field(1, write_field(1, b"a\0b") + write_field(3, 4))
    ),
    "vocabulary: not UTF-8": vocabulary(lambda model: model + write_field(1, b"\x0a\x01\xff")),
    "vocabulary: a group": vocabulary(lambda model: b"\x0b\x0c" + model),
    "vocabulary: no pieces": text_of("tokenizer.model", b""),
    "character map: far references": vocabulary(lambda model: character_map(model, far_trie)),
    "character map: cut": vocabulary(
        lambda model: character_map(model, lambda content: content.__delitem__(slice(5000, None)))
    ),
    "character map: endless replacement": vocabulary(
        lambda model: character_map(
            model, lambda content: content.__setitem__(slice(-20_000, None), b"x" * 20_000)
        )
    ),
}


def graph(change: Callable, name: str = "step.onnx") -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        import onnx

        model = onnx.load(str(folder / name))
        change(model.graph, onnx)
        (folder / name).write_bytes(model.SerializeToString())

    return apply


def external(graph, onnx) -> None:
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../../etc/passwd")


def huge(graph, onnx) -> None:
    graph.initializer[0].dims[:] = [1 << 40]


def another_operator(kind: str, domain: str = "") -> Callable:
    def change(graph, onnx) -> None:
        graph.node[0].op_type, graph.node[0].domain = kind, domain

    return change


def expanded(graph, onnx) -> None:
    shape = onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "s")
    graph.initializer.append(shape)
    graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["s"], ["huge"]))


def with_nan(graph, onnx) -> None:
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            count = len(tensor.raw_data) // 4
            tensor.raw_data = np.full(count, np.nan, np.float32).tobytes()


def manifest(**changes: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / MANIFEST_NAME
        values = json.loads(path.read_text())
        del values["checksum"]
        path.write_text(seal_manifest({**values, **changes}))

    return apply


def axis(number: int) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        memory = json.loads((folder / MANIFEST_NAME).read_text())["memory"]
        manifest(memory=dict.fromkeys(memory, number))(folder)

    return apply


def array_header(folder: Path) -> None:
    path = folder / "shortlist.npy"
    content = path.read_bytes()
    end = content.index(b"\n")
    shape = re.sub(rb"'shape': \(\d+,", b"'shape': (10000000000,", content[10:end])
    path.write_bytes(content[:10] + shape.rstrip().ljust(end - 10) + content[end:])


EXPORT: dict[str, Callable[[Path], None]] = {
    "graph: constant in another file": graph(external),
    "graph: constant of 2^40 numbers": graph(huge),
    "graph: shape of 2^40 numbers": graph(expanded),
    "graph: If": graph(another_operator("If")),
    "graph: operator of another domain": graph(another_operator("Add", "ai.onnx.ml")),
    "graph: unknown operator": graph(another_operator("Nothing")),
    "graph: NaN": graph(with_nan),
    "graph: another graph": lambda folder: shutil.copy(
        folder / "encode.onnx", folder / "step.onnx"
    ),
    "graph: a named pipe": fifo("step.onnx"),
    "graph: /dev/zero": link("encode.onnx", "/dev/zero"),
    "graph: 1 TB": sparse("prepare.onnx", 1 << 40),
    "graph: empty": text_of("step.onnx", b""),
    "shortlist: pickled": text_of("frequent.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O'"),
    "shortlist: 10^12 rows": array_header,
    "manifest: unknown states": manifest(rows=["nothing"]),
    "manifest: no states": manifest(rows=[]),
    "manifest: wrong axes": manifest(memory={"memory": "x"}),
    **{f"manifest: axis {number}": axis(number) for number in (-1, 0, 9, 10**30)},
    "vocabulary: 3,000,000 pieces": vocabulary(lambda model: model + pieces(3_000_000)),
    "config: hidden of 10^9": set_key("encoder.hidden", "1000000000"),
}


def judge(outcome: Outcome) -> str | None:
    """Why an outcome breaks the promise, or None."""
    if outcome.kind in ("opened", "refused") and "\n" not in outcome.said.strip():
        return None if outcome.seconds < SECONDS else f"{outcome.seconds:.0f} s"
    return f"{outcome.kind}: {outcome.said}"


@pytest.mark.parametrize("kind", ["model", "export"])
def test_the_list(subjects, kind, tmp_path):
    failed, slowest = {}, 0.0
    changes = {"model": MODEL, "export": EXPORT}[kind]
    for number, (name, change) in enumerate(changes.items()):
        folder = Path(shutil.copytree(subjects[kind], tmp_path / str(number)))
        change(folder)
        if not name.startswith("manifest"):
            reseal(folder)
        outcome = run_limited(lambda folder=folder: use(folder))
        slowest = max(slowest, outcome.seconds)
        if outcome.kind == "opened" and name != "training.threads = 100000":
            failed[name] = f"opened: {outcome.said}"
        elif why := judge(outcome):
            failed[name] = why
        shutil.rmtree(folder)
    note = f"slowest: {slowest:.1f} s"
    record(f"strangers' {kind}s of the list", len(changes), len(changes) - len(failed), note)
    assert failed == {}


@pytest.mark.parametrize("kind", ["model", "export", "tagger"])
def test_generated_strangers(subjects, kind, tmp_path):
    """A byte is changed, and the checksums are changed to fit."""
    folder = Path(shutil.copytree(subjects[kind], tmp_path / kind))
    failed, tried = [], 0
    for path in sorted(folder.iterdir()):
        content, draw = path.read_bytes(), random.Random(path.name)
        for _ in range(0 if path.name == "README.md" else _FLIPS):
            at, change = draw.randrange(len(content)), draw.randrange(1, 256)
            path.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
            if path.suffix != ".json" or path.name == "statistics.json":
                reseal(folder)
            tried += 1
            if why := judge(run_limited(lambda: use(folder))):
                failed.append(f"{path.name}, byte {at} xor {change}: {why}")
        path.write_bytes(content)
        reseal(folder)
    record(f"generated strangers: a byte of each file ({kind})", tried, tried - len(failed))
    assert failed == []
