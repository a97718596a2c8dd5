"""A stage's work as a job: a process of its own, or several through torchrun, that may be killed at any moment.

In: `entry`, the name `module:function` of `function(inputs, out, config, compute) -> stats`, which every process calls; stats are those
of rank 0. The job gets its threads by its environment, before anything heavy is imported, and dies with the process that started it.
What it prints goes to `out/.job/log`, never to the caller's terminal. A Problem or Unusable that it raises comes back as a Problem with
the same text; memory that ran out, as a Problem that says which setting to lower; anything else as JobFailed, with the end of the log.

| file in out/.job | |
|---|---|
| call.pickle | what to do |
| lock | held while a job is at work: one that outlives its parent for a moment is waited for |
| log | what it printed |
| pid-lead, pid-RANK | its processes |
| problem-RANK.json, result.json, died.json | how it ended |
"""

import contextlib
import fcntl
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.transformer.allocation import freed_memory_kept
from models.unusable import Unusable
from stages.compute import Compute
from stages.stage import Config
from storage.problem import Problem

FOLDER = ".job"
TAIL = 4_000  # characters of the log that an error carries
POOLS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


class JobFailed(RuntimeError):
    """A bug, with the end of what the job printed."""


def run_job(entry: str, inputs: Mapping[str, Any], out: Path, config: Config, compute: Compute) -> dict[str, Any]:
    """What `entry` returned in the job. `inputs` may be Input, Path, mappings: whatever pickles."""
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    (folder / "call.pickle").write_bytes(pickle.dumps((entry, dict(inputs), out.absolute(), config, compute)))
    command = [sys.executable, "-m", "stages.job", "lead", str(folder.absolute()), str(os.getpid())]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(compute), start_new_session=True
        )
        try:
            code = process.wait()
        finally:
            if process.poll() is None:  # Ctrl-C, or the run was cancelled
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return _ended(folder, code, compute)


def _clear(folder: Path) -> None:
    """What an earlier job left of its end."""
    for old in folder.glob("*.json"):
        old.unlink(missing_ok=True)


def _environment(compute: Compute) -> dict[str, str]:
    """The worker of a pool has one thread; a job has its own number. Threads that wait for each other look up for as long as waking takes,
    then sleep: sleeping at once makes two threads no faster than one, spinning for longer costs dearly beside other processes."""
    threads = dict.fromkeys(POOLS, str(compute.threads_each))
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | threads | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "1000",  # some 20 microseconds; where the library is not GNU's they sleep at once
        "MKL_DYNAMIC": "FALSE",  # as many threads as were asked for, whatever else runs: another number sums in another order
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS may sum in another order each time
        "PYTHONPATH": path,
    }  # fmt: skip


def _ended(folder: Path, code: int, compute: Compute) -> dict[str, Any]:
    for told in sorted(folder.glob("problem-*.json")):
        raise Problem(json.loads(told.read_text(encoding="utf-8"))["text"])
    if code == 0 and (folder / "result.json").exists():
        result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return result
    died = folder / "died.json"
    killer = -json.loads(died.read_text(encoding="utf-8"))["code"] if died.exists() else -code
    if killer == signal.SIGKILL:
        raise Problem(f"the job was killed (SIGKILL): most often memory ran out. {_lower(compute)}")
    tail = (folder / "log").read_text(encoding="utf-8", errors="replace")[-TAIL:]
    how = f"was ended by {signal.Signals(killer).name}" if killer > 0 else f"failed with exit code {code}"
    raise JobFailed(f"the job {how}. The end of its log, {folder / 'log'}:\n{tail}")


def _lower(compute: Compute) -> str:
    rows = f"now {compute.micro_rows}" if compute.micro_rows else "now 0, chosen for the model: try 1"
    return (
        f"Lower compute.micro_rows ({rows}), then the length of the rows, or take a smaller preset; what is done is kept: run again and it "
        "goes on from its last checkpoint"
    )


def lead(folder: Path, parent: int) -> None:
    """The first process of a job: does the work itself, or has torchrun start those that do."""
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    entry, inputs, out, config, compute = pickle.loads((folder / "call.pickle").read_bytes())
    with _locked(folder):
        _clear(folder)  # once more: a job that outlived its parent may have ended meanwhile
        (folder / "pid-lead").write_text(str(os.getpid()), encoding="utf-8")
        if compute.processes == 1:
            _work(folder, 0, entry, inputs, out, config, compute)
            return
        from torch.distributed import run
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        given = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={compute.processes}"]
        try:
            run.run(run.parse_args([*given, "-m", "stages.job", "follow", str(folder)]))
        except ChildFailedError as error:
            first = min(error.failures.values(), key=lambda failure: failure.timestamp)
            _write(folder / "died.json", {"rank": first.local_rank, "code": first.exitcode})
            raise SystemExit(1) from error


def follow(folder: Path) -> None:
    """One of the processes that torchrun started."""
    leader = int((folder / "pid-lead").read_text(encoding="utf-8"))
    threading.Thread(target=_follow, args=(leader,), daemon=True).start()
    _work(folder, int(os.environ["RANK"]), *pickle.loads((folder / "call.pickle").read_bytes()))


def _work(folder: Path, rank: int, entry: str, inputs: Any, out: Path, config: Config, compute: Compute) -> None:
    (folder / f"pid-{rank}").write_text(str(os.getpid()), encoding="utf-8")
    module, _, name = entry.partition(":")
    try:
        with freed_memory_kept():
            stats = getattr(importlib.import_module(module), name)(inputs, out, config, compute)
    except (Problem, Unusable) as error:
        _write(folder / f"problem-{rank}.json", {"text": str(error)})
        raise SystemExit(1) from error
    except (MemoryError, RuntimeError) as error:
        traceback.print_exc()
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in MEMORY):
            _write(folder / f"problem-{rank}.json", {"text": f"memory ran out: {_first_line(error)}. {_lower(compute)}"})
        raise SystemExit(1) from error
    if rank == 0:
        _write(folder / "result.json", stats)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _follow(parent: int) -> None:
    """Die with the process that started this one, even when it was killed."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "lead":
        lead(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        follow(Path(sys.argv[2]))
