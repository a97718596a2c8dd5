"""`winnow doctor`: is this machine ready? Versions against the pins, cores, memory, disk, GPU, store, Prefect."""

import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil

from flows.commands.options import JsonOption, StoreOption
from flows.commands.terminal import console
from storage.problem import Problem
from storage.store import Store

NEEDED = (
    "prefect",
    "datatrove",
    "datasketch",
    "fasttext-numpy2-wheel",
    "pyarrow",
    "polars",
    "resiliparse",
    "fastwarc",
    "fastapi",
    "spacy",
)
OPTIONAL = ("s3fs", "ray", "torch")


@dataclass(frozen=True)
class Check:
    name: str
    state: Literal["ok", "note", "bad"]
    found: str
    advice: str = ""


def doctor(store: StoreOption = "./store", json_: JsonOption = False) -> None:
    """Check versions, pins, cores, memory, GPU, the store and Prefect; exit code 1 where something is bad."""
    checks = [*_python(), *_packages(), *_machine(), _model(), _store(store), _prefect()]
    if json_:
        print(json.dumps({"checks": [asdict(check) for check in checks]}))
    else:
        out = console()
        mark = {"ok": "[green]ok  [/green]", "note": "[yellow]note[/yellow]", "bad": "[red]bad [/red]"}
        for check in checks:
            out.print(
                f"{mark[check.state]} {check.name:<22} {check.found}" + (f"  [dim]{check.advice}[/dim]" if check.advice else ""),
                soft_wrap=True,
            )
    if any(check.state == "bad" for check in checks):
        sys.exit(1)


def _python() -> Iterator[Check]:
    right = sys.version_info[:2] == (3, 11)
    yield Check(
        "python", "ok" if right else "bad", platform.python_version(), "" if right else "Python 3.11 is needed: make install"
    )


def _pins() -> dict[str, str]:
    file = Path(__file__).resolve().parents[2] / "constraints.txt"
    if not file.exists():
        return {}
    return dict(
        line.strip().lower().split("==") for line in file.read_text().splitlines() if "==" in line and not line.startswith("#")
    )


def _packages() -> Iterator[Check]:
    pins = _pins()
    for package in (*NEEDED, *OPTIONAL):
        pin = pins.get(package.lower())
        try:
            found = version(package)
        except PackageNotFoundError:
            if package in OPTIONAL:
                yield Check(package, "note", "not installed", "only needed for s3:// stores, --engine ray or training")
            else:
                yield Check(package, "bad", "not installed", "make install")
            continue
        same = pin is None or found.partition("+")[0] == pin
        yield Check(
            package,
            "ok" if same else "note",
            found,
            "" if same else f"constraints.txt has {pin}; bytes may differ from other machines",
        )


def _machine() -> Iterator[Check]:
    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    enough = memory.available > 1.5e9 * cores
    yield Check("cores", "ok", str(cores))
    yield Check(
        "memory",
        "ok" if enough else "note",
        f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f}",
        "" if enough else f"a worker may take 1.5 GB: give --workers {max(int(memory.available / 1.5e9), 1)}",
    )
    yield _gpu()


def _gpu() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("gpu", "note", "not looked for", "torch is not installed; the corpus needs no GPU")
    import torch

    return Check("gpu", "ok", torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none; training runs on the CPU")


def _model() -> Check:
    from stages.corpus.language import default_model

    try:
        return Check("language model", "ok", default_model().name)
    except Problem as problem:
        return Check("language model", "bad", "not found", str(problem))


def _store(url: str) -> Check:
    store = Store(url)
    try:
        store.check()
    except Problem as problem:
        return Check("store", "bad", url, str(problem))
    if not store.is_local:
        return Check("store", "ok", f"{url} can be written")
    free = shutil.disk_usage(store.root).free
    low = free < 5e9
    return Check(
        "store", "note" if low else "ok", f"{url} can be written, {free / 1e9:.1f} GB free", "low for a real crawl" if low else ""
    )


def _prefect() -> Check:
    from flows.server import healthy, settle_environment

    settle_environment()
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    if not address:
        return Check("prefect server", "ok", "none configured; each command starts a private one")
    if healthy(address):
        return Check("prefect server", "ok", f"answers at {address}")
    return Check("prefect server", "bad", f"no answer at {address}", "start it or unset PREFECT_API_URL")
