"""Find the origin of a result: the hardware, the git commit, and uncommitted changes."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError

if TYPE_CHECKING:
    import torch

# Changes of these files do not count as uncommitted changes: several results may be recorded before
# they are committed together.
RESULT_FILES = ("results.jsonl", "RESULTS.md")


def describe_hardware(device: torch.device | None = None) -> dict[str, str | int]:
    """Return a dictionary that describes the machine.

    The keys are "cpu" (name of the processor), "cores" (number of CPU cores that this process may
    use), "threads" (number of threads of PyTorch) and "torch" (version of PyTorch). If `device` is
    a GPU, the key "gpu" holds the name of the GPU.
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
    """Return the full hash of the commit that is checked out in the git repository of `folder`.

    The suffix "+changes" is added if the repository has uncommitted changes. Changes of
    results.jsonl and RESULTS.md do not count. Outside a git repository, return "unknown".
    """
    try:
        head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD").strip()
        changed = [path for path in dirty_files(folder) if path.name not in RESULT_FILES]
    except UserError:
        return "unknown"
    return f"{head}+changes" if changed else head


def dirty_files(folder: Path) -> list[Path]:
    """Return the absolute paths of all uncommitted files in the git repository of `folder`.

    These are changed tracked files, and untracked files that git does not ignore.
    Raises UserError if git fails, for example outside a repository.
    """
    root = git_root(folder)
    # With -z, entries "XY path" are separated by NUL, and git does not quote file names.
    status = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    return [root / entry[3:] for entry in status.split("\0") if entry]


def git_root(folder: Path) -> Path:
    """Return the root folder of the git repository that contains `folder`.

    Raises UserError if no repository contains `folder`.
    """
    return Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n")).resolve()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    # git status must not lock the index, because somebody may be committing at the same time.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        output = error.stderr.decode(errors="replace") if hasattr(error, "stderr") else str(error)
        reason = " ".join(output.split()) or "no commit yet"
        raise UserError(
            f"{folder}: git cannot read the repository ({reason}); use a folder in a git repository"
        ) from error
    return os.fsdecode(done.stdout)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").split("\n")
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
