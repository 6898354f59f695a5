"""The table and the picture of benchmarks/decode.py."""

from __future__ import annotations

import platform
import statistics
from pathlib import Path
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]


def values(rows: Rows, system: str, kind: str, **key: Any) -> list[Any]:
    """Return the values of the rows with these properties."""
    wanted = {"system": system, "kind": kind, **key}
    return [row["value"] for row in rows if wanted.items() <= row.items()]


def best_batch(rows: Rows, system: str, beam: int) -> tuple[int, float] | None:
    """Return the fastest batch size in the trials, and its sentences per second."""
    trials = [
        (row["value"], row["batch"])
        for row in rows
        if (row["system"], row["kind"], row.get("beam")) == (system, "trial", beam)
    ]
    if not trials:
        return None
    speed, batch = max(trials)
    return batch, speed


def table(rows: Rows, titles: dict[str, str], cores: int) -> str:
    """Return the table: a row for each system."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = info.split("model name")[1].split("\n")[0].strip(" \t:")
    known = {"avx512_bf16": "bf16", "avx512_vnni": "VNNI", "avx_vnni": "VNNI", "avx2": "AVX2"}
    has = sorted({short for flag, short in known.items() if flag in info.split()})
    peaks = values(rows, "int8", "peak")
    peak = cores * statistics.median(peaks) if peaks else 0.0
    columns = {
        "system": lambda system: titles[system],
        "batch": lambda system: "; ".join(
            str((best_batch(rows, system, beam) or "–")[0]) for beam in (1, 5)
        ),
        "greedy: sentences/s (tokens/s)": lambda system: _speed(rows, system, 1),
        "beam 5": lambda system: _speed(rows, system, 5),
        "× Eole": lambda system: _ratios(rows, system, "eole"),
        "× CTranslate2": lambda system: _ratios(rows, system, "ctranslate2"),
        "one line, greedy, ms: median (99 %)": lambda system: _latency(rows, system, 1),
        "one line, beam 5": lambda system: _latency(rows, system, 5),
        "start-up, s": lambda system: _median(rows, system, "start", ".2f"),
        "memory, MiB (with one worker)": lambda system: _memory(rows, system),
        "model, MiB": lambda system: _median(rows, system, "folder", ".1f"),
        "of int8 peak": lambda system: _share(rows, system, peak),
        "imports torch": lambda system: {True: "yes", False: "no"}.get(
            next(iter(values(rows, system, "imports torch")), None), ""
        ),
    }
    lines = [
        f"{name}, {cores} cores ({', '.join(has)}), Python {platform.python_version()}; "
        f"int8 peak {peak / 1e9:.0f} G multiply-adds/s",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" + "|---:" * (len(columns) - 1) + "|",
    ]
    lines += ["| " + " | ".join(f(system) for f in columns.values()) + " |" for system in titles]
    return "\n".join(lines)


def _speed(rows: Rows, system: str, beam: int) -> str:
    found = values(rows, system, "speed", beam=beam)
    if not found:
        return "–"
    speed = statistics.median(found)
    return f"{speed:,.0f} ({16 * speed:,.0f})"


def _ratios(rows: Rows, system: str, base: str) -> str:
    """Return the ratios of greedy search and of beam 5: medians over the rounds."""
    parts = []
    for beam in (1, 5):
        one, other = (
            {
                row["round"]: row["value"]
                for row in rows
                if (row["system"], row["kind"], row.get("beam")) == (name, "speed", beam)
            }
            for name in (system, base)
        )
        ratios = [one[number] / other[number] for number in one if number in other]
        parts.append(f"{statistics.median(ratios):.2f}" if ratios else "–")
    return "; ".join(parts)


def _latency(rows: Rows, system: str, beam: int) -> str:
    times = [time for found in values(rows, system, "latency", beam=beam) for time in found]
    if not times:
        return "–"
    return f"{np.median(times):.1f} ({np.percentile(times, 99):.1f})"


def _median(rows: Rows, system: str, kind: str, how: str) -> str:
    found = values(rows, system, kind)
    return format(statistics.median(found), how) if found else "–"


def _memory(rows: Rows, system: str) -> str:
    one = values(rows, system, "memory of one")
    return _median(rows, system, "memory", ".0f") + (f" ({one[0]:.0f})" if one else "")


def _share(rows: Rows, system: str, peak: float) -> str:
    """Return which share of the peak the necessary products take, greedy and with beam 5."""
    parts = []
    for beam in (1, 5):
        speeds = values(rows, system, "speed", beam=beam)
        products = values(rows, system, "products", beam=beam)
        if not (speeds and products and peak):
            return ""
        parts.append(f"{statistics.median(speeds) * products[0] / peak:.0%}")
    return "; ".join(parts)


def draw(rows: Rows, titles: dict[str, str], path: Path) -> None:
    """Draw the sentences per second of each system at each batch size."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "decode"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for beam, axis in zip((1, 5), axes, strict=True):
        for system, title in titles.items():
            trials = sorted(
                (row["batch"], row["value"])
                for row in rows
                if (row["system"], row["kind"], row.get("beam")) == (system, "trial", beam)
            )
            style = "o-" if title.startswith("ours") else "s--"
            if trials:
                axis.plot(*zip(*trials, strict=True), style, label=title, markersize=4)
        axis.set(xscale="log", yscale="log", xlabel="lines in a batch")
        axis.set_title("greedy" if beam == 1 else f"beam {beam}")
        axis.set_xticks(batches := sorted({row["batch"] for row in rows if "batch" in row}))
        axis.set_xticklabels(map(str, batches))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("sentences of 16 tokens a second")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(path, metadata={"Date": None})
