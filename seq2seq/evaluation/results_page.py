"""Render rows of results as a Markdown page."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

ResultRow = dict[str, Any]
Values = dict[str, float]


def render_results(rows: Sequence[ResultRow], title: str) -> str:
    """Return a Markdown page: a table of all rows, the signatures of the metrics, and the commands.

    Rows of the same variant, split and decoding form a group. Groups are sorted by the time of
    their first rows. If a group has several seeds, an additional line shows the mean ± sample
    standard deviation of each metric over the seeds. For each seed, the latest value counts.
    """
    page = [f"# {_plain(title)}", ""]
    if not rows:
        return "\n".join([*page, "No results yet.", ""])
    first = {_group(row): place for place, row in reversed(list(enumerate(rows)))}
    ordered = sorted(rows, key=lambda row: first[_group(row)])
    page += _table(ordered)
    page += ["", *_signatures(ordered), "## Commands", ""]
    for number, row in enumerate(ordered, start=1):
        name = _plain(", ".join((*_group(row), f"seed {row['seed']}")))
        page += [f"Row {number}: {name} ({_plain(row['date'][:10])})", ""]
        page += [*_code(row["command"]), ""]
    return "\n".join(page)


def describe_decoding(decoding: Mapping[str, object]) -> str:
    """Return a short description of a search, such as "greedy" or "beam 5, α 1.0".

    Without settings, return "–". A description of greedy search has no length penalty, because the
    length penalty does not affect greedy search.
    """
    rest = {key: value for key, value in decoding.items() if value is not None}
    beam, alpha = rest.pop("beam", None), rest.pop("length_penalty", None)
    words = []
    if beam == 1:
        words.append("greedy")
    elif beam is not None:
        words.append(f"beam {beam}")
    if alpha is not None and beam != 1:
        words.append(f"α {float(str(alpha))}")
    words += [f"{key.replace('_', ' ')} {value}" for key, value in rest.items()]
    return ", ".join(words) or "–"


def _group(row: ResultRow) -> tuple[str, str, str]:
    return row["variant"], row["split"], describe_decoding(row["decoding"])


def _values(row: ResultRow) -> Values:
    return {metric["name"]: metric["value"] for metric in row["metrics"]}


def _table(rows: Sequence[ResultRow]) -> list[str]:
    values = [_values(row) for row in rows]
    names = list(dict.fromkeys(name for row_values in values for name in row_values))
    # All values of a column have the same number of decimals: four if all are below 1, else two.
    decimals = {
        name: 2 if max(abs(row_values.get(name, 0.0)) for row_values in values) >= 1 else 4
        for name in names
    }
    head = ["#", "variant", "split", "decoding", *names]
    head += ["seed", "parameters (M)", "training (min)", "lines/s", "hardware", "commit"]
    right = {"#", "parameters (M)", "training (min)", "lines/s", "seed", *names}
    lines = [_line(head), _line(("---:" if name in right else "---" for name in head), plain=False)]
    number = 0
    for group, members in groupby(rows, key=_group):
        together = list(members)
        for row in together:
            number += 1
            row_values = _values(row)
            metrics = [
                f"{row_values[name]:.{decimals[name]}f}" if name in row_values else "–"
                for name in names
            ]
            lines.append(_line([str(number), *group, *metrics, *_about(row)]))
        # If a seed has several rows, the last value of each metric counts.
        seeds: dict[int, Values] = {}
        for row in together:
            seeds.setdefault(row["seed"], {}).update(_values(row))
        if len(seeds) > 1:
            spreads = [_spread(list(seeds.values()), name, decimals[name]) for name in names]
            about = [f"mean of {len(seeds)}", "", "", "", "", ""]
            lines.append(_line(["", *group, *spreads, *about]))
    return lines


def _about(row: ResultRow) -> list[str]:
    """Return the last columns of a row: seed, parameters, training time, speed, hardware, commit.

    These columns show the hardware and the commit of the training. If an old row does not state the
    hardware and commit of the training, the columns show those of the evaluation.
    """
    minutes, seconds = row["training_minutes"], row["seconds"]
    training = row.get("training", row)
    return [
        str(row["seed"]),
        f"{row['parameters'] / 1e6:.2f}",
        "–" if minutes is None else f"{minutes:,.1f}",
        f"{row['lines'] / seconds:,.1f}" if seconds > 0 else "–",
        _hardware(training["hardware"]),
        # The first digits identify a commit. The suffix "+changes" must not be cut off.
        training["commit"][:10] + ("+changes" if training["commit"].endswith("+changes") else ""),
    ]


def _hardware(machine: Mapping[str, object]) -> str:
    name = re.sub(r"\((?:R|TM)\)|\bCPU\b", "", str(machine.get("gpu") or machine.get("cpu", "?")))
    threads, cores = machine.get("threads", "?"), machine.get("cores", "?")
    torch = machine.get("torch", "?")
    return f"{' '.join(name.split())}, {threads} of {cores} cores, torch {torch}"


def _spread(seeds: Sequence[Values], name: str, decimals: int) -> str:
    values = [seed_values[name] for seed_values in seeds if name in seed_values]
    if len(values) < 2:
        return "–"
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


def _signatures(rows: Sequence[ResultRow]) -> list[str]:
    """Return lines of Markdown that list the signature of each metric.

    If a metric has several signatures, each signature has its own line, which lists its rows.
    """
    ways_by_name: dict[str, dict[str, list[int]]] = {}
    for number, row in enumerate(rows, start=1):
        for metric in row["metrics"]:
            if metric["signature"]:
                ways = ways_by_name.setdefault(metric["name"], {})
                ways.setdefault(metric["signature"], []).append(number)
    lines = []
    for name, ways in ways_by_name.items():
        for signature, numbers in ways.items():
            noun = "row" if len(numbers) == 1 else "rows"
            which = f" ({noun} {', '.join(map(str, numbers))})" if len(ways) > 1 else ""
            lines.append(f"- {_plain(name)}{which}: `{signature}`")
    return ["Signatures:", "", *lines, ""] if lines else []


def _line(cells: Iterable[str], *, plain: bool = True) -> str:
    return f"| {' | '.join(_plain(cell) if plain else cell for cell in cells)} |"


def _plain(text: str) -> str:
    """Escape the special characters of a text, so that Markdown shows the text unchanged."""
    return re.sub(r"([\\|*`<>\[\]])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> list[str]:
    """Return the lines of a Markdown code block. Backticks in the text do not end the block."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", text.strip("\n"), fence]
