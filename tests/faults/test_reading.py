"""docs/reliability.md has a verdict on every call that opens, renames, starts or runs something."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import seq2seq

_SOURCE = Path(seq2seq.__file__).parent
_PAGE = _SOURCE.parent / "docs" / "reliability.md"
_BEGIN, _END = "<!-- calls: begin -->", "<!-- calls: end -->"
_ANYWHERE = {  # whatever the object is
    *("open", "fdopen", "memory_map", "read_bytes", "read_text", "write_bytes", "write_text"),
    *("rename", "renameat2", "rmtree", "unlink", "execv", "Popen"),
    *("tofile", "fromfile", "import_module", "__import__", "read_csv", "copytree", "copyfile"),
}
_OF_MODULES = {
    *("torch.load", "torch.save", "np.load", "np.save", "onnx.load", "pickle.loads", "pickle.load"),
    *("subprocess.run", "os.system", "os.replace", "os.remove", "os.truncate", "os.ftruncate"),
    *("yaml.load", "yaml.safe_load", "tomllib.load", "ctypes.CDLL", "shutil.move"),
    *("os.write", "os.dup", "os.dup2"),
}


def calls(tree: ast.AST) -> Iterator[str]:
    """The names of the calls that need a verdict."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        # Path.replace has one argument, str.replace has at least two.
        renames = last == "replace" and "." in name and len(node.args) == 1 and not node.keywords
        if name in _OF_MODULES | {"eval", "exec"}:
            yield name
        elif last in _ANYWHERE or renames:
            yield last


def found_calls() -> dict[str, str]:
    """The calls of each file of the package."""
    found = {}
    for path in sorted(_SOURCE.rglob("*.py")):
        if names := sorted(calls(ast.parse(path.read_text(encoding="utf-8")))):
            counted = [
                f"{name} {names.count(name)}×" if names.count(name) > 1 else name
                for name in sorted(set(names))
            ]
            found[path.relative_to(_SOURCE).as_posix()] = ", ".join(counted)
    return found


def test_every_call_has_a_verdict():
    table = _PAGE.read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0]
    rows = [row.strip("| ").split(" | ") for row in table.strip().split("\n")[2:]]
    assert {name.strip("`"): names for name, names, _ in rows} == found_calls()
    assert all(len(verdict) > 5 for _, _, verdict in rows)


if __name__ == "__main__":
    for file, names in found_calls().items():
        print(f"| `{file}` | {names} | |")
