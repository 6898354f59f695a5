"""The structure of the package: one name for each thing, no circles, few calls, short functions."""

from __future__ import annotations

import ast
import subprocess
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from seq2seq.nn.attention import Attention
from seq2seq.tasks import TASKS

PACKAGE = Path(__file__).parent.parent / "seq2seq"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
# From the ground up: a package may import those before it, and itself.
LAYERS = (
    (
        "errors",
        "tasks",
        "file_types",
        "files",
        "checked_files",
        "jsonl",
        "progress",
        "signals",
        "runtime",
        "system",
    ),
    ("config",),
    ("text",),
    ("nn",),
    ("models",),
    ("export",),
    ("decoding",),
    ("bulk",),
    ("evaluation",),
    ("training",),
    ("serve",),
    ("cli", "__main__"),
)


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(tree: ast.Module, *, lazy: bool = True) -> Iterator[str]:
    """The modules of the package that a module imports; `lazy`: those within functions too."""
    nodes = ast.walk(tree) if lazy else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in inner]
        else:
            continue
        yield from (name for name in names if name in MODULES)


def layer_of(module: str) -> int:
    """The package itself, the public API, stands above all."""
    name = [*module.split("."), ""][1]
    return next((i for i, names in enumerate(LAYERS) if name in names), len(LAYERS))


def test_nothing_is_imported_from_above() -> None:
    upward = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        for other in imports(TREES[path])
        if layer_of(other) > layer_of(module) and other != "seq2seq"
    ]
    assert upward == []


def test_no_imports_go_in_circles() -> None:
    following = {module: set(imports(TREES[path])) for module, path in MODULES.items()}
    state: dict[str, str] = {}

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert state.get(module) != "open", f"a circle: {' -> '.join((*way, module))}"
        if module not in state:
            state[module] = "open"
            for other in sorted(following[module] - {"seq2seq"}):
                visit(other, (*way, module))
            state[module] = "done"

    for module in MODULES:
        visit(module, ())


def test_names_of_tasks_stand_in_the_table_alone() -> None:
    allowed = {PACKAGE / "tasks.py", PACKAGE / "config" / "migration.py"}
    written = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value!r}"
        for path, tree in TREES.items()
        if path not in allowed
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in TASKS
    ]
    assert written == []


def public_names(tree: ast.Module) -> Iterator[str]:
    """What a module defines at its top, without what it imports."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def test_no_public_name_is_defined_in_two_modules() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in TREES.items():
        for name in set(public_names(tree)):
            places[name].append(str(path.relative_to(PACKAGE)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_functions_and_files_are_short() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.name} has {length} lines"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert long == []
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert sum(length > 250 for length in lengths.values()) <= 4, {
        str(path.relative_to(PACKAGE)): length for path, length in lengths.items() if length > 250
    }


@pytest.mark.parametrize(
    "module", ["engine", "stepping", "greedy", "beam", "sampling", "options", "minimum_risk"]
)
def test_a_search_does_not_import_torch(module: str) -> None:
    code = f"import sys, seq2seq.decoding.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


_HEAVY = ("torch", "datasets", "pyarrow", "pandas", "sacrebleu", "matplotlib", "onnx")
_RUN_AN_EXPORT = f"""
import sys
from seq2seq.cli import main
sys.argv = ["seq2seq", *sys.argv[1:]]
try:
    main()
finally:
    print([name for name in {_HEAVY} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("options", [[], ["--scores", "--beam", "1"], ["--sample"]], ids=str)
def test_an_export_translates_without_torch(options, attending, tmp_path) -> None:
    from seq2seq.export.writer import export_model
    from seq2seq.models.folder import load_model

    export_model(load_model(attending / "model"), tmp_path / "export", "int8")
    command = [sys.executable, "-c", _RUN_AN_EXPORT, "translate", tmp_path / "export", *options]
    said = subprocess.run(command, input=b"the red cat runs\n", capture_output=True)
    assert said.stderr == b"[]\n"
    assert said.stdout.count(b"\n") == 1


def frames_of_the_package() -> list[str]:
    return [
        f"{Path(frame.filename).stem}.{frame.name}"
        for frame in traceback.extract_stack()
        if PACKAGE in Path(frame.filename).parents
    ]


@pytest.mark.parametrize("placement", ["parallel", "classic"])
@pytest.mark.parametrize("search", [["--beam", 1], ["--beam", 4], ["--sample"]], ids=str)
def test_few_calls_from_translate_to_attention(
    placement, search, attending, toy, shell, tmp_path, monkeypatch
) -> None:
    from seq2seq.models.folder import build_model, load_model, save_model

    learned = load_model(attending / "model")
    context = learned.config.context.model_copy(update={"placement": placement})
    config = learned.config.model_copy(update={"context": context})
    save_model(tmp_path / "model", build_model(config, learned.codec), "card\n")
    stacks = []
    for kind in Attention.__subclasses__():
        plain = kind.forward

        def noted(self, *given, plain=plain):
            stacks.append(frames_of_the_package())
            return plain(self, *given)

        monkeypatch.setattr(kind, "forward", noted)
    said = shell("translate", tmp_path / "model", *search, stdin=b"the red cat runs\n")
    assert said.code == 0
    # The stacks were noted one call above attention itself.
    assert {frames[0] for frames in stacks} == {"__init__.main"}
    assert max(map(len, stacks)) + 1 <= 9, stacks[0]


def test_few_calls_from_train_to_the_backward_pass(toy, shell, tmp_path, monkeypatch, no_picture):
    stacks = []
    plain = torch.Tensor.backward

    def noted(self, *given, **named):
        stacks.append(frames_of_the_package())
        return plain(self, *given, **named)

    monkeypatch.setattr(torch.Tensor, "backward", noted)
    settings = ["--set", "training.updates=2", "--set", "validation.metric=loss"]
    assert shell("train", toy.path, *settings, "--out", tmp_path / "run").code == 0
    assert {frames[0] for frames in stacks} == {"__init__.main"}
    assert max(map(len, stacks)) <= 6, stacks[0]
