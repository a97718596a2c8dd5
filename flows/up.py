"""Everything at once, on loopback: the Prefect server, the flows as deployments, the viewer. `winnow up`.

Three processes of this one, which go when it goes. Where they listen is written to `.winnow/up.json`, so that other commands of this
folder use the running server instead of starting a private one.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

from flows.server import START_SECONDS, TAG, UP, answers, of_winnow_up, settle_environment
from storage.problem import Problem

LAST = "demo/weekly"  # deployments are registered in order: once this one is known, all are
MISSED = 3  # a run whose process was killed is known to be dead after as many heartbeats


@dataclass(frozen=True)
class Addresses:
    prefect: str
    """The Prefect UI; its API is at `/api`."""
    viewer: str
    store: str
    pid: int

    @property
    def api(self) -> str:
        return f"{self.prefect}/api"


@contextmanager
def up(store: str, crawl: str, prefect_port: int, viewer_port: int) -> Iterator[tuple[Addresses, Callable[[], str | None]]]:
    """The addresses once all three answer, and a function that names a process that has ended. Raises Problem where one cannot start."""
    settle_environment()
    if of_winnow_up():
        raise Problem(f"`winnow up` runs in this folder already ({UP.read_text()}); stop it, or start in another folder")
    from prefect.settings import PREFECT_API_URL

    configured = PREFECT_API_URL.value()
    for name, port in (("Prefect", prefect_port), ("the viewer", viewer_port)):
        if not (configured and name == "Prefect"):
            _check_free(name, port)
    prefect = configured.removesuffix("/api") if configured else f"http://127.0.0.1:{prefect_port}"
    addresses = Addresses(prefect, f"http://127.0.0.1:{viewer_port}", store, os.getpid())
    environment = os.environ | {
        "PREFECT_API_URL": addresses.api,
        "PREFECT_SERVER_UI_API_URL": addresses.api,
        "WINNOW_STORE": store,
        "WINNOW_VIEWER": addresses.viewer,
    }
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments, str(os.getpid())]
        processes[name] = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is this process's to answer: runs have their end to tell to a server that is still there
        )

    def ended() -> str | None:
        return next(
            (f"{name} ended with {process.returncode}" for name, process in processes.items() if process.poll() is not None), None
        )

    try:
        if configured:
            _wait(f"{addresses.api}/health", ended)
        else:
            start("the Prefect server", "flows.server", str(prefect_port), "services")
            _wait(f"{addresses.api}/health", ended)
        crash_silent_runs(addresses.api, MISSED * int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]))
        start("the process that serves the flows", "flows.served", store, crawl)
        start("the viewer", "flows.viewer", store, str(viewer_port), addresses.prefect)
        _wait(f"{addresses.viewer}/health", ended)
        _wait(f"{addresses.api}/deployments/name/{LAST}", ended)
        UP.parent.mkdir(exist_ok=True)
        UP.write_text(json.dumps(asdict(addresses)))
        yield addresses, ended
    finally:
        UP.unlink(missing_ok=True)
        # One after the other: runs that are stopped tell the server, which goes last.
        for process in reversed(processes.values()):
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def _check_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Problem(
                f"port {port} for {name} cannot be had: {error.strerror}. Another program listens there; stop it, or give another port "
                "with --prefect-port or --viewer-port"
            ) from None


def _wait(address: str, ended: Callable[[], str | None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(address):
        if gone := ended():
            raise Problem(f"{gone} before it answered at {address}; its words are above")
        if time.monotonic() > deadline:
            raise Problem(f"nothing answers at {address} after {START_SECONDS} s")
        time.sleep(0.1)


def crash_silent_runs(api: str, seconds: int) -> None:
    """An automation that marks runs of ours as crashed that have sent no heartbeat for so long; Prefect shows them as running for ever.

    Where only the run's process dies, the one that serves the flows says so at once. This is for the rest: commands, and machines.
    """
    from prefect.automations import AutomationCore
    from prefect.client.orchestration import get_client
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.server.schemas.states import StateType
    from prefect.settings import PREFECT_API_URL, temporary_settings

    beat = "prefect.flow-run.heartbeat"
    ends = ("Completed", "Failed", "Cancelled", "Crashed", "AwaitingRetry", "Scheduled")
    trigger = EventTrigger(
        after={beat},
        expect={beat, *(f"prefect.flow-run.{end}" for end in ends)},
        match={"prefect.resource.id": ["prefect.flow-run.*"]},
        match_related={"prefect.resource.id": [f"prefect.tag.{TAG}"]},  # others' runs on this server may beat more slowly
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )
    automation = AutomationCore(
        name="winnow: runs whose process is gone are crashed",
        trigger=trigger,
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="its process is gone; run it again, it goes on where it stopped")
        ],
    )
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        for known in client.read_automations_by_name(automation.name):
            if known.trigger.model_dump(exclude={"id"}) == trigger.model_dump(exclude={"id"}):
                return  # a new trigger would forget the runs that were silent while this command was not running
            client.delete_automation(known.id)
        client.create_automation(automation)
