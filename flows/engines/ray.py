"""The Ray engine, for people who outgrew one machine: the same functions over the same tasks on a cluster, local or remote.

Workers write shards straight into the store, so results are a few hundred bytes each; the store must be reachable from every node.
Losing a worker costs the shards in flight.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flows.engines.attempt import attempt
from flows.engines.engine import Died
from flows.engines.local import THREADS
from storage.problem import Problem


class RayEngine:
    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """`address`: a running cluster (`auto`, `ray://host:10001`, `host:6379`); without one, a local cluster for this run."""
        try:
            import ray
        except ImportError as error:
            raise Problem("the engine `ray` needs the package ray: pip install -e '.[ray]', or use --engine local") from error
        self._ray = ray
        self._started = not ray.is_initialized()
        if self._started:
            try:
                ray.init(
                    address=address or "local",
                    num_cpus=None if address else workers,
                    include_dashboard=False if not address else None,
                    log_to_driver=False,
                    configure_logging=False,
                    runtime_env={"env_vars": THREADS},
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise Problem(
                    f"no Ray cluster at {address!r}: {error}. Start one (`ray start --head`) or leave the address out"
                ) from error
        self.workers = workers or int(ray.cluster_resources().get("CPU", 1))
        # Deaths are counted here, as in the local engine, so that a page that kills its worker is found; Ray's own retries are off.
        self._remote = ray.remote(num_cpus=1, max_retries=0)(attempt)

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any], tries: int = 2) -> Iterator[tuple[int, Any]]:
        ray = self._ray
        waiting = deque(range(len(tasks)))
        deaths = [0] * len(tasks)
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < 2 * self.workers:
                    index = waiting.popleft()
                    running[self._remote.remote(function, tasks[index])] = index
                done, _ = ray.wait(list(running), num_returns=1)
                for reference in done:
                    index = running.pop(reference)
                    try:
                        result = ray.get(reference)
                    except ray.exceptions.RayError as error:
                        deaths[index] += 1
                        if deaths[index] < tries:
                            waiting.append(index)
                            continue
                        result = Died(None, f"lost by Ray: {type(error).__name__}")
                    yield index, result
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def close(self) -> None:
        if self._started:
            self._ray.shutdown()
