"""Progress in the terminal: a live bar where there is a terminal, else a line for each finished stage."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from storage.snapshot import Snapshot


class Bar:
    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._begun = time.monotonic()

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def advance(self, stage: str, done: int, total: int, unit: str = "shards", text: str = "") -> None:
        """`text`: what there is to say of it, such as loss and time left."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, unit=unit, text=text)
        self._progress.update(self._tasks[stage], completed=done, total=total, unit=unit, text=text)

    def finish(self, stage: str, snapshot: Snapshot, cached: bool, seconds: float) -> None:
        if stage in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage))
            self._progress.refresh()  # else the next print draws it once more
        dropped = snapshot.rows - snapshot.kept
        count, what = (snapshot.rows, "rows") if len(snapshot.shards) == len(snapshot.files) else (len(snapshot.files), "files")
        rows = f"{count:>9,} {what:<5}" + (f" {dropped:>8,} dropped" if dropped else "")
        why = f"  most: {next(iter(snapshot.reasons))}" if dropped else ""
        how = "cached" if cached else f"{seconds:.1f} s"
        self.console.print(
            f"  {stage:<18} {how:>8}  {rows:<37} {snapshot.reference}{why}", style="dim" if cached else None, soft_wrap=True
        )

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", style="yellow", markup=False, soft_wrap=True)
