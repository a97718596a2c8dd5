"""Which Prefect API a command talks to: the configured one, else that of `winnow up`, else a private server for as long as the command runs.

As a module (`python -m flows.server PORT [services] PARENT`) it is that private server: Prefect on loopback, with its UI, state in PREFECT_HOME
(`./.winnow/prefect` unless set), gone as soon as the command that started it is gone, even if that was killed.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from flows.engines.child import follow
from storage.locks import lock
from storage.problem import Problem
from storage.store import Store

UP = Path(".winnow/up.json")
"""Where `winnow up` says where it listens."""
TAG = "winnow"  # of every run that we start
# Prefect's UI asks amplitude.com for its configuration on every page, whatever the settings are: browsers are told to ask nobody but us.
PAGES = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
START_SECONDS = 120  # the first start on a busy laptop makes the database: 10 s are usual


def settle_environment() -> None:
    """Prefect reads its settings when it is imported: call this before. What the user has set stands."""
    os.environ.setdefault("PREFECT_HOME", str(Path(".winnow/prefect").absolute()))
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT", "false")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # the terminal is ours; the UI gets every line
    os.environ.setdefault("PREFECT_RESULTS_PERSIST_BY_DEFAULT", "false")
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")  # seconds, Prefect's least; see up.py


@contextlib.contextmanager
def prefect_api() -> Iterator[str]:
    """The address of an API that answers, set for Prefect within the block."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    configured = PREFECT_API_URL.value()
    if configured:
        if not healthy(configured):
            raise Problem(
                f"no Prefect server answers at {configured} (PREFECT_API_URL). Start it, or unset PREFECT_API_URL for a private one"
            )
        yield configured
        return
    started = of_winnow_up()
    if started:
        with temporary_settings({PREFECT_API_URL: started}):
            yield started
        return
    with private_server() as address, temporary_settings({PREFECT_API_URL: address}):
        yield address


def of_winnow_up() -> str | None:
    """The API of the `winnow up` that runs in this folder, if one does."""
    try:
        api = f"{json.loads(UP.read_text())['prefect']}/api"
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return api if healthy(api) else None


def healthy(api: str) -> bool:
    return answers(f"{api}/health")


def answers(address: str) -> bool:
    """Whether a GET there is answered with 200."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


@contextlib.contextmanager
def private_server() -> Iterator[str]:
    with lock(Store(os.environ["PREFECT_HOME"]), "start", lambda who: None):  # two at once would both make the database
        server, address = _started()
    try:
        yield address
    finally:
        from prefect.logging.handlers import APILogWorker

        # Lines that are still on their way have nobody to go to once the server is gone, and Prefect would try for a minute.
        APILogWorker.drain_all(timeout=5)
        _stop(server)


def _started() -> tuple["subprocess.Popen[bytes]", str]:
    """A server that answers, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/api"
    server = subprocess.Popen(
        [sys.executable, "-m", "flows.server", str(port), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is the command's to answer: it still has the end of the run to report here
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not healthy(address):
            if server.poll() is not None:
                raise Problem(
                    f"the private Prefect server ended with {server.returncode}; its words are above. Most often its state in "
                    f"{os.environ.get('PREFECT_HOME')} cannot be written; give another place with PREFECT_HOME"
                )
            if time.monotonic() > deadline:
                raise Problem(
                    f"the private Prefect server did not answer within {START_SECONDS} s; is the machine out of memory?"
                )
            time.sleep(0.1)
    except BaseException:
        _stop(server)
        raise
    return server, address


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()


def main() -> None:
    port, parent = int(sys.argv[1]), int(sys.argv[-1])
    threading.Thread(target=follow, args=(parent,), daemon=True).start()
    # Before Prefect is imported: its UI asks for the API here.
    os.environ["PREFECT_SERVER_UI_API_URL"] = f"http://127.0.0.1:{port}/api"
    import uvicorn
    from prefect.server.api.server import create_app

    # Schedules and automations are services; a server for one command needs none.
    services = "services" in sys.argv
    app = create_app(ephemeral=not services, final=services)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", headers=[("Content-Security-Policy", PAGES)])


if __name__ == "__main__":
    main()
