"""Update the table of docs/reliability.md with the rows that a run of `make faults` has written.

python tests/faults/faults_report.py ROWS.jsonl PAGE.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_BEGIN, _END = "<!-- trials: begin -->", "<!-- trials: end -->"
_HEAD = ["| Trial | Tried | Survived | |", "|---|---|---|---|"]


def update(page: str, rows: list[dict]) -> str:
    """Replace the rows of the trials that were run. Keep the rows of the other trials."""
    before, rest = page.split(_BEGIN)
    table, after = rest.split(_END)
    lines = {}
    for line in table.strip().split("\n")[len(_HEAD) :]:
        lines[line.split("|")[1].strip()] = line
    for row in rows:
        counts = f"{row['tried']:,} | {row['survived']:,}"
        lines[row["trial"]] = f"| {row['trial']} | {counts} | {row['note']} |"
    return "\n".join([f"{before}{_BEGIN}", *_HEAD, *lines.values(), f"{_END}{after}"])


if __name__ == "__main__":
    written, path = map(Path, sys.argv[1:])
    text = (
        written.read_text(encoding="utf-8") if written.exists() else ""
    )  # some parts have no rows
    found = [json.loads(line) for line in text.splitlines()]
    path.write_text(update(path.read_text(encoding="utf-8"), found), encoding="utf-8")
