"""One task in one worker, whatever the engine: faults of input and output that pass are tried again, others are carried home."""

import errno
import pickle
import time
import traceback
from collections.abc import Callable
from typing import Any

from flows.engines.engine import Failed

PAUSES = (0.5, 2.0, 8.0)  # seconds before the second, third and fourth try
LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def attempt(function: Callable[[Any], Any], task: Any) -> Any:
    """The result of `function(task)`, or Failed."""
    for pause in (*PAUSES, None):
        try:
            return function(task)
        except Exception as error:
            if pause is None or not passing(error):
                return Failed(_portable(error), traceback.format_exc())
            time.sleep(pause)
    raise AssertionError("unreachable: the last try returns")


def external(error: BaseException) -> bool:
    """True for faults of disks, networks and clouds, as against faults of ours."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("aiohttp", "botocore")


def passing(error: Exception) -> bool:
    """True for what a network or a busy disk does now and then: worth another try."""
    lasting = isinstance(error, FileNotFoundError | PermissionError) or getattr(error, "errno", None) in LASTING
    return external(error) and not lasting


def _portable(error: Exception) -> Exception:
    """`error` if it survives pickling, else its text: an error must never be lost on its way to the parent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
