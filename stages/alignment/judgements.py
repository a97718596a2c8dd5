"""Judgements of people, as `winnow label` writes them: JSON lines, each with the item, its prompt and answers, and their ranks.

Of an item that somebody judged twice the last judgement counts. A line that was cut off in the middle (the power went) is passed over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from storage.problem import Problem

NEEDED = frozenset({"item", "annotator", "ranks", "answers"})


def read(path: Path) -> list[dict[str, Any]]:
    """Those that count, in the order in which they were made; none where there is no file."""
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise Problem(
            f"cannot read {path}: {error.strerror}; expected judgements in lines of JSON, or a file that is not there yet"
        ) from error
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.keys() >= NEEDED:
            who = str(row["item"]), str(row["annotator"])
            last.pop(who, None)
            last[who] = row
    return list(last.values())
