"""The services of deploy/compose.yaml as processes of this machine: same commands, same environment, other hosts and ports.

What the images postgres and redis do at their start (make a database, listen on every address) is done here by hand.
"""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    return loaded


def filled(value: Any, variables: dict[str, str]) -> Any:
    """`value` with ${NAME:?message} and ${NAME:-default} put in, as compose does it."""
    if isinstance(value, dict):
        return {name: filled(inner, variables) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        if name in variables:
            return variables[name]
        assert kind == "-", f"{name} has no value: {text}"
        return str(text)

    return VARIABLE.sub(put, value)


def postgres_program(name: str) -> str | None:
    """Debian keeps them off the path."""
    return shutil.which(name) or next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(answer: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.2)
    return found


class Composed:
    """Starts, stops and kills services by their names in compose.yaml."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("5432", "6379", "4200", "4280", "8080")}
        self.services = filled(compose()["services"], variables)
        self.processes: dict[str, psutil.Popen] = {}

    def here(self, text: str) -> str:
        """A container's addresses and folders, as they are on this machine."""
        text = re.sub(r"(?<=[@/])(postgres|redis|server)(?=:)", "127.0.0.1", text).replace("0.0.0.0", "127.0.0.1")
        for port, mine in self.ports.items():
            text = re.sub(rf"(^|:){port}(?=/|$)", rf"\g<1>{mine}", text)
        return text.replace("/tmp/prefect-ui", str(self.folder / "ui"))

    def environment(self, service: str) -> dict[str, str]:
        """What the container would have, and the little that a process of this machine needs."""
        base = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        theirs = self.services[service].get("environment", {})
        own = {name: self.here(value) for name, value in theirs.items() if value is not None}
        places = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "PREFECT_HOME": str(self.folder / service)}
        return base | places | {"PYTHONPATH": str(ROOT)} | own

    def start(self, service: str, more: tuple[str, ...] = ()) -> None:
        program, *arguments = [self.here(argument) for argument in self.services[service]["command"]]
        if program in ("prefect", "python"):
            program = str(Path(sys.executable).with_name(program))
        # Appended: what a service said before it was started again is still wanted when a test fails.
        with (self.folder / f"{service}.log").open("a") as log:
            self.processes[service] = psutil.Popen(
                [program, *arguments, *more], env=self.environment(service), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def healthy(self, service: str) -> None:
        """Wait until the health check of compose.yaml passes."""
        _, python, *arguments = [
            re.sub(r":(\d{4})/", lambda found: f":{self.ports[found[1]]}/", argument)
            for argument in self.services[service]["healthcheck"]["test"]
        ]
        assert python == "python"

        def passes() -> bool:
            assert self.processes[service].poll() is None, self.log(service)
            check = subprocess.run([sys.executable, *arguments], env=self.environment(service), capture_output=True, check=False)
            return check.returncode == 0

        until(passes, 120)

    def run(self, service: str) -> None:
        """One that ends by itself."""
        self.start(service)
        assert self.processes.pop(service).wait(timeout=120) == 0, self.log(service)

    def stop(self, service: str) -> None:
        process = self.processes.pop(service)
        process.terminate()
        process.wait(timeout=60)

    def kill(self, service: str) -> None:
        """As when its machine loses power: the process and all below it, at once."""
        process = self.processes.pop(service)
        with contextlib.suppress(psutil.NoSuchProcess):
            below = process.children(recursive=True)
            process.kill()
            for one in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        process.wait()

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()[-5000:]

    def start_postgres(self) -> None:
        wanted = self.services["postgres"]["environment"]
        data, secret = self.folder / "pgdata", self.folder / "pgsecret"
        # PostgreSQL refuses to run as root.
        user = "nobody" if os.geteuid() == 0 else None
        secret.write_text(wanted["POSTGRES_PASSWORD"])
        data.mkdir(mode=0o700)
        if user:
            for path in (data, secret):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        initdb, server, createdb = (postgres_program(name) or name for name in ("initdb", "postgres", "createdb"))
        make = [initdb, "--pgdata", str(data), "--username", wanted["POSTGRES_USER"], "--pwfile", str(secret)]
        make += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"]
        subprocess.run(make, user=user, cwd="/", check=True, capture_output=True)
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", str(self.ports["5432"])]
        with (self.folder / "postgres.log").open("w") as log:
            self.processes["postgres"] = psutil.Popen(
                [server, "-D", str(data), *listen], user=user, cwd="/", stdout=log, stderr=subprocess.STDOUT
            )
        target = ["--host", "127.0.0.1", "--port", str(self.ports["5432"]), "--username", wanted["POSTGRES_USER"]]
        command = [createdb, *target, wanted["POSTGRES_DB"]]
        secrets = os.environ | {"PGPASSWORD": wanted["POSTGRES_PASSWORD"]}
        until(lambda: subprocess.run(command, env=secrets, capture_output=True, check=False).returncode == 0, 60)

    def start_redis(self) -> None:
        self.start("redis", ("--port", str(self.ports["6379"]), "--bind", "127.0.0.1", "--dir", str(self.folder)))


@contextlib.contextmanager
def composed(variables: dict[str, str]) -> Iterator[Composed]:
    # Not below pytest's folder, which PostgreSQL's user may not enter.
    with tempfile.TemporaryDirectory(prefix="winnow-deploy-") as folder:
        Path(folder).chmod(0o755)
        made = Composed(
            Path(folder), {"WINNOW_STORE": f"{folder}/store", "WINNOW_CRAWL": f"{folder}/crawl/*.warc.gz"} | variables
        )
        try:
            yield made
        finally:
            for service in reversed(list(made.processes)):
                made.kill(service)
