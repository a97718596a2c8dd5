"""What a whole stage says of itself while it runs: lines of JSON in `.progress.jsonl` of its working folder, told on as they come.

| key | meaning |
|---|---|
| done, total, unit | how far it is: 120 of 500 "steps" |
| text | a line for the terminal: loss, speed, time left |
| metrics | {name: number} with `step`, where something was measured |
| sample | {step, prompt, completion}: what a model wrote |
"""

import contextlib
import contextvars
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = ".progress.jsonl"
PAUSE = 0.5  # seconds between two looks

Event = Mapping[str, Any]


@contextlib.contextmanager
def listening(folder: Path, tell: Callable[[Event], None]) -> Iterator[None]:
    """Within the block every line that is appended goes to `tell`, in another thread; lines of an earlier attempt do not."""
    path = folder / FILE
    over = threading.Event()
    begin = path.stat().st_size if path.exists() else 0
    # In the context of the caller: Prefect finds the run there that its artifacts belong to.
    told = contextvars.copy_context()
    thread = threading.Thread(target=lambda: told.run(_follow, path, begin, tell, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(path: Path, begin: int, tell: Callable[[Event], None], over: threading.Event) -> None:
    left = b""
    while True:
        ending = over.wait(PAUSE)
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(begin)
            data = file.read()
            begin += len(data)
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                tell(json.loads(line))
        if ending:
            return
