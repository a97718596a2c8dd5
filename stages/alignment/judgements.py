"""Judgements of people, as `winnow label` writes them: JSON lines, each with the item, its prompt and answers, and their ranks.

Of an item that somebody judged twice the last judgement counts. A line that was cut off in the middle (the power went) is passed over, as is what is no
judgement.
"""

from __future__ import annotations

import json
from math import isfinite
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
        if isinstance(row, dict) and row.keys() >= NEEDED and _ranked(row["ranks"], row["answers"]):
            who = str(row["item"]), str(row["annotator"])
            last.pop(who, None)
            last[who] = row
    return list(last.values())


def _ranked(ranks: Any, answers: Any) -> bool:
    """Whether each answer has a number."""
    both = isinstance(ranks, list) and isinstance(answers, list) and len(ranks) == len(answers) > 1
    return both and all(isinstance(one, int | float) and not isinstance(one, bool) and isfinite(one) for one in ranks)
