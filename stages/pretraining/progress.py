"""A training's progress for the flow that waits for it: lines of JSON in `.progress.jsonl`, at most one a second for plain steps.

| key | |
|---|---|
| done, total, unit, text | how far it is; `loss 2.310 · 17,500 tok/s · 3:10 left` |
| metrics | a row of metrics: the newest, or one with validation |
| sample | {step, prompt, completion, seed} |
"""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.transformer.train import Row, Watcher

FILE = ".progress.jsonl"
PAUSE = 1.0  # seconds between two lines
WINDOW = 20  # lines that the time left is reckoned from
SUPERVISED = {"loss": "loss", "validation": "validation_loss"}
REINFORCED = {"reward": "reward", "right": "accuracy", "KL": "kl"}
"""What the line of a training says, and where it stands in a row of metrics: the loss of a policy says little."""
TOLD_AGAIN = 500  # rows of an interrupted run that whoever follows the resumed one is told


class Progress:
    def __init__(self, out: Path, total: int, counted: str = "tok") -> None:
        """`counted`: what the loss is a mean over."""
        self.path = out / FILE
        self.total = total
        self.counted = counted
        self._told = 0.0
        self._marks: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)  # (time, step, tokens)

    def row(self, row: Row) -> None:
        now = time.monotonic()
        if now - self._told < PAUSE and row["step"] < self.total and "validation_loss" not in row:
            return
        self._told = now
        self._marks.append((now, row["step"], row["tokens"]))
        self._write(done=int(row["step"]), total=self.total, unit="steps", text=self._text(row), metrics=row)

    def say(self, text: str) -> None:
        self._write(text=text)

    def samples(self, samples: Sequence[Mapping[str, Any]]) -> None:
        for sample in samples:
            self._write(sample=sample)

    def again(self, rows: Sequence[Row], samples: Sequence[Mapping[str, Any]]) -> None:
        """What a run that goes on had reached: so that curves begin at the beginning."""
        stride = -(-len(rows) // TOLD_AGAIN)
        for place, row in enumerate(rows):
            if place % stride == 0 or "validation_loss" in row:
                self._write(done=int(row["step"]), total=self.total, unit="steps", text="", metrics=row)
        self.samples(samples)

    def watcher(self, rank: int, samples: Callable[[], Sequence[Mapping[str, Any]]]) -> Watcher:
        """Rank 0 tells; the others are quiet. `samples`: those so far."""
        return Watcher() if rank else Watcher(self.say, self.row, lambda rows: self.again(rows, samples()))

    def _text(self, row: Row) -> str:
        shown = REINFORCED if "reward" in row else SUPERVISED
        parts = [f"{name} {row[key]:.3f}" for name, key in shown.items() if key in row]
        (begin, first, before), (end, last, after) = self._marks[0], self._marks[-1]
        if last > first:
            left = round((self.total - last) * (end - begin) / (last - first))
            parts += [f"{(after - before) / (end - begin):,.0f} {self.counted}/s", f"{clock(left)} left"]
        return " · ".join(parts)

    def _write(self, **event: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")


def clock(seconds: int) -> str:
    """190 -> 3:10, 3700 -> 1:01:40."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
