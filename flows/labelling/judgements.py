"""Judgements in a file: JSON lines that are only ever appended to, each synced to the disk before the next one is asked for.

What was cut off in the middle of a line (the power went) is left where it is; the next line begins behind it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.alignment.agreement import Judgement
from storage.problem import Problem


def append(path: Path, judgement: Mapping[str, Any]) -> None:
    """Raises Problem where it cannot be kept."""
    line = json.dumps(judgement, ensure_ascii=False) + "\n"
    try:
        new = not path.exists()
        with path.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        if new:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # else a power cut could take the file's name away
            finally:
                os.close(folder)
    except OSError as error:
        raise Problem(
            f"cannot write {path}: {error.strerror}; expected a file that can be appended to. Nothing was lost before"
        ) from error


def values(rows: Sequence[Mapping[str, Any]]) -> list[Judgement]:
    return [Judgement(str(row["item"]), str(row["annotator"]), tuple(row["ranks"])) for row in rows]
