"""How far a stage of the release is, for whoever watches it."""

import json
from pathlib import Path


def progress(out: Path, done: int, total: int, unit: str, text: str) -> None:
    with (out / ".progress.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"done": done, "total": total, "unit": unit, "text": text}) + "\n")
