"""The process that evaluates expressions: one line of JSON in (a text), one line of JSON out (a text), until its input ends.

It has no site packages and no environment, may open no file, and holds at most MEMORY bytes. A call that takes more than CPU_SECONDS
ends it (SIGXCPU); who asked starts another. It also ends when its parent is gone, even if somebody else inherited the pipe.
"""

from __future__ import annotations

import json
import math
import os
import resource
import select
import signal
import time
from collections.abc import Iterator

from models.chat.tools.expression import evaluate

MEMORY = 256 << 20
CPU_SECONDS = 1
PARENT_SECONDS = 5.0
"""How often it looks whether its parent lives."""


def limit() -> None:
    """For good: memory, no new files, nothing written to any file, no core dump. Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_call() -> None:
    """The soft limit on CPU time moves on with each call: whole seconds, so a call gets CPU_SECONDS to CPU_SECONDS + 1."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + CPU_SECONDS, hard))


def requests(parent: int) -> Iterator[str]:
    waiting = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], PARENT_SECONDS)[0]:
            continue
        received = os.read(0, 1 << 16)
        if not received:
            return
        *lines, waiting = (waiting + received).split(b"\n")
        yield from (json.loads(line) for line in lines)


def serve() -> None:
    parent = os.getppid()
    limit()
    for request in requests(parent):
        limit_call()
        answer = json.dumps(evaluate(request)).encode() + b"\n"
        while answer:
            answer = answer[os.write(1, answer) :]
