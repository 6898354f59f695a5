"""Where a figure came from: the machine, the commit, and whether the tree was clean."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError

if TYPE_CHECKING:
    import torch

# Rows are recorded one after the other, before the commit that adds them.
RESULT_FILES = ("results.jsonl", "RESULTS.md")


def describe_hardware(device: torch.device | None = None) -> dict[str, str | int]:
    """The machine: cpu (model name), cores (usable by us), threads (torch's), torch (version).

    With a ``device`` that is a GPU there is also gpu, its name.
    """
    import torch

    from seq2seq import runtime

    machine: dict[str, str | int] = {
        "cpu": _cpu_name(),
        "cores": runtime.usable_cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if device is not None and device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    return machine


def current_commit(folder: Path) -> str:
    """The commit that is checked out where ``folder`` lies, in full; "unknown" outside git.

    Ends in "+changes" where the tree has changes that are not in the commit, files of recorded
    results not counted.
    """
    try:
        head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD").strip()
        changed = [path for path in dirty_files(folder) if path.name not in RESULT_FILES]
    except UserError:
        return "unknown"
    return f"{head}+changes" if changed else head


def dirty_files(folder: Path) -> list[Path]:
    """What git would not bring back: changed tracked files, and untracked ones not ignored.

    Takes any folder of a git tree, looks at the whole tree, and gives absolute paths.
    Raises UserError where git cannot say.
    """
    root = git_root(folder)
    # Entries are "XY path", parted by NUL, so that any file name comes through unquoted.
    status = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    return [root / entry[3:] for entry in status.split("\0") if entry]


def git_root(folder: Path) -> Path:
    """The top of the git tree that holds a folder. Raises UserError where there is none."""
    return Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n")).resolve()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    # Only looking: do not hold the index lock that somebody's commit may need.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        output = error.stderr.decode(errors="replace") if hasattr(error, "stderr") else str(error)
        reason = " ".join(output.split()) or "no commit yet"
        raise UserError(f"{folder}: git cannot say what is committed ({reason})") from error
    return os.fsdecode(done.stdout)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").split("\n")
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
