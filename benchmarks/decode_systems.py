"""The systems that benchmarks/decode.py compares, and their decoder processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class System:
    """A model in a toolkit.

    decoder: the program of decoders/ that runs it. pooled: one worker of one thread per core,
    instead of one process with a thread per core. is_ours: it reads text rather than subwords.
    """

    name: str
    title: str
    python: str
    decoder: str
    model: Path
    pooled: bool = False
    is_ours: bool = False
    precision: str = "fp32"

    def command(self, cores: int) -> list[str]:
        """Return the command that starts the decoder."""
        threads, workers = (1, cores) if self.pooled else (cores, 1)
        options = ["--threads", str(threads), "--workers", str(workers)]
        options += ["--precision", self.precision]
        return [self.python, str(HERE / "decoders" / self.decoder), str(self.model), *options]


def all_systems(folder: Path) -> list[System]:
    """Return the systems that decode.sh makes."""
    peers, ours = folder.parent / "peers", {"python": sys.executable, "decoder": "ours.py"}
    ours |= {"is_ours": True}
    python = {name: str(folder.parent / name / "bin/python") for name in ("eole", "opennmt")}
    model = folder / "model"
    systems = [
        System("pytorch-fp32", "ours, PyTorch fp32", model=model, **ours),
        System("pytorch-bf16", "ours, PyTorch bf16", model=model, precision="bf16", **ours),
        System("fp32", "ours, export fp32", model=folder / "fp32", pooled=True, **ours),
        System("int8", "ours, export int8", model=folder / "int8", pooled=True, **ours),
        System(
            "shortlist", "ours, int8 + shortlist", model=folder / "shortlist", pooled=True, **ours
        ),
        System("eole", "Eole 0.6.4 fp32", python["eole"], "eole_toolkit.py", peers / "eole"),
        System(
            "opennmt",
            "OpenNMT-py 3.5.1 fp32",
            python["opennmt"],
            "opennmt.py",
            peers / "opennmt.pt",
        ),
        System(
            "ctranslate2",
            "CTranslate2 4.8 int8, Transformer 4 × 256",
            python["eole"],
            "ctranslate.py",
            peers / "transformer",
            pooled=True,
        ),
    ]
    has_bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return [system for system in systems if has_bf16 or system.precision != "bf16"]


class Running:
    """A decoder process, which starts with the first question."""

    def __init__(self, system: System, cores: int, **environment: str) -> None:
        self.command = system.command(cores)
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(cores), **environment}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """Start the process unless it runs already."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self.environment,
                text=True,
            )
        return self.process

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer. Raises RuntimeError if the process died."""
        process = self.start()
        assert process.stdin
        assert process.stdout
        try:
            print(json.dumps(request), file=process.stdin, flush=True)
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self.close()
            raise RuntimeError(f"this program died: {' '.join(self.command)}") from None
        return answer

    def close(self) -> None:
        """End the process."""
        if self.process and self.process.stdin:
            try:
                self.process.stdin.close()
                self.process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process = None
