import json
from pathlib import Path
from typing import Any

import pytest

from stages.pretraining import progress
from stages.pretraining.progress import Progress, clock


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / ".progress.jsonl").read_text().splitlines()]


def test_plain_steps_are_told_once_a_second_and_looks_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    told = Progress(tmp_path, 40)
    for step in range(1, 41):
        now += 0.25
        row = {"step": float(step), "tokens": 1000.0 * step, "loss": 9.0 - step / 10}
        told.row(row | ({"validation_loss": 2.5} if step == 10 else {}))
    found = events(tmp_path)
    assert [event["done"] for event in found] == [1, 5, 9, 10, 14, 18, 22, 26, 30, 34, 38, 40]
    assert found[-1]["text"] == "loss 5.000 · 4,000 tok/s · 0:00 left"
    assert found[3]["text"] == "loss 8.000 · validation 2.500 · 4,000 tok/s · 0:08 left"
    assert all((event["total"], event["unit"]) == (40, "steps") for event in found)
    assert found[-1]["metrics"] == {"step": 40.0, "tokens": 40000.0, "loss": 5.0}


def test_a_resumed_run_tells_again_what_it_had_come_to(tmp_path: Path) -> None:
    rows = [{"step": float(step), "tokens": 10.0 * step, "loss": 1.0} for step in range(1, 2001)]
    rows[777]["validation_loss"] = 3.0
    samples = [{"step": 5, "prompt": "a", "completion": "b", "seed": 0}]
    told = Progress(tmp_path, 4000)
    told.watcher(1, lambda: samples).resumed(rows)
    assert not (tmp_path / ".progress.jsonl").exists()  # another process than the first is quiet
    told.watcher(0, lambda: samples).resumed(rows)
    found = events(tmp_path)
    steps = [event["metrics"]["step"] for event in found[:-1]]
    assert len(steps) == 501
    assert steps == sorted(steps)
    assert 778.0 in steps
    assert found[-1] == {"sample": samples[0]}


def test_time_left_reads_as_a_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59, 190, 3700)] == ["0:00", "0:59", "3:10", "1:01:40"]
