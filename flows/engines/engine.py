"""What materialize asks of an engine: run one function over many tasks, anywhere, and say when a worker died of one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Died:
    """In place of a result: the workers that ran this task were killed each time. `signal` is null where it is not known."""

    signal: int | None
    detail: str


@dataclass(frozen=True)
class Failed:
    """In place of a result: the function raised, and it was not a fault of input or output that passes."""

    error: BaseException
    traceback: str


class Engine(Protocol):
    workers: int

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any], tries: int = 2) -> Iterator[tuple[int, Any]]:
        """Yield (index of the task, result, Died or Failed) as they finish. A task whose worker dies is given `tries` workers."""
        ...

    def close(self) -> None:
        """Stop every worker now."""
        ...
