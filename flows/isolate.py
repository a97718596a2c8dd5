"""When two workers died of one shard: find the pages that no process survives, and let all others through.

Runs inside a worker of any engine, with one child process: the rows in pieces of about their square root, then the pages of a piece that
killed its child one by one. So a killer is met twice more and not once for each halving: one that dies of its CPU time takes it each time.
That page becomes a row with `{stage}_error:crashed`, or `:cpu_limit` where the kernel's limit on CPU time ended the child.
"""

import math
import signal
from dataclasses import replace

import polars as pl

from flows.engines.engine import Died, Failed
from flows.engines.local import LocalEngine
from flows.work import ShardTask, rowwise, run_rows, task_rows
from stages.stage import REASON
from storage.shards import File, write_shard


def divisible(task: ShardTask) -> bool:
    """Rows can be run alone, and one that cannot be run can be tagged."""
    return rowwise(task) and task.stage.filters


def run_isolated(task: ShardTask) -> tuple[File, dict[str, str]]:
    """The written shard, and id -> what its page did. Raises what the stage raises."""
    rows = task_rows(task)
    frames: dict[int, pl.DataFrame] = {}
    killers: dict[str, str] = {}
    size = max(1, math.isqrt(rows.height))
    todo = [(first, min(first + size, rows.height)) for first in range(0, max(1, rows.height), size)]
    child = LocalEngine(1)
    try:
        while todo:
            first, behind = todo.pop()
            [(_, result)] = child.map(run_rows, [replace(task, rows=(first, behind))], tries=1)
            if isinstance(result, Failed):
                raise result.error
            if not isinstance(result, Died):
                frames[first] = result
            elif behind - first > 1:
                todo += [(row, row + 1) for row in range(first, behind)]
            else:
                what = "cpu_limit" if result.signal == signal.SIGXCPU else "crashed"
                frames[first] = _tagged(task, rows[first], f"{task.stage.name}_error:{what}")
                killers[str(rows[first]["id"][0])] = f"{what} ({result.detail})"
    finally:
        child.close()
    frame = pl.concat([frames[first] for first in sorted(frames)])
    return write_shard(task.store, task.folder, task.name, frame, task.stage.schema(task.before), task.origin), killers


def _tagged(task: ShardTask, row: pl.DataFrame, reason: str) -> pl.DataFrame:
    """The output row of a page of which nothing is known but the reason."""
    known = {name: value for name, value in row.to_dicts()[0].items() if name not in task.stage.adds}
    columns = task.stage.schema(task.before)
    values = {name: None if name in REASON else known.get(name) for name in columns} | {"reason": reason}
    return pl.DataFrame([values], schema=columns)
