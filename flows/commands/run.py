"""`winnow run FLOW`: a flow with its parameters, in this terminal; also what `winnow demo` stands on."""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from flows.commands.options import EngineOption, JsonOption, StoreOption, WorkersOption
from flows.parameters import parameters
from flows.server import TAG, prefect_api, settle_environment
from flows.settings import printed
from storage.problem import Problem

FLOWS = {
    "corpus": "your own crawl to clean text",
    "tokenizer": "a vocabulary learnt from a corpus",
    "pretrain": "a base model from corpora",
    "posttrain": "a chat model from a base model and conversations",
    "align": "a chat model that people prefer, or that reasons",
    "release": "a model to GGUF files and a package",
    "ablate": "which filter earns its place",
    "extractor": "a model of the main-text extractor",
    "demo": "everything, on a made-up web",
}


def run(
    flow: Annotated[
        str,
        typer.Argument(help="Which flow: " + "; ".join(f"{name} ({what})" for name, what in FLOWS.items()) + "."),
    ],
    config: Annotated[Path | None, typer.Option("--config", help="JSON file with the flow's parameters.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One parameter, name=value or stage.name=value; may be given many times.")
    ] = None,
    store: StoreOption = "./store",
    engine: EngineOption = None,
    workers: WorkersOption = None,
    settings: Annotated[bool, typer.Option("--settings", help="Print everything that --set can change, and end.")] = False,
    json_: JsonOption = False,
) -> None:
    """Run a flow: what is there already is left alone, what is missing is computed.

    Example: winnow run corpus --set 'sources=["crawl/*.warc.gz"]' --set language.languages='["en","de"]'
    """
    if settings:
        settle_environment()
        print(printed(_flow(flow)[0], json_))
        return
    execute(flow, config, set_ or [], {"store": store, "engine": engine, "workers": workers}, json_)


def execute(name: str, config: Path | None, sets: list[str], options: dict[str, Any], as_json: bool) -> None:
    """Check the parameters, find or start a Prefect API, run the flow, print what came out."""
    settle_environment()
    model, flow = _flow(name)
    chosen = parameters(model, config, sets, options)
    console = Console(stderr=True, highlight=False)
    from prefect import tags  # only now: it reads its settings when it is imported

    begun = time.monotonic()
    with prefect_api() as address, tags(TAG):
        console.print(f"{name}: Prefect at {address.removesuffix('/api')}, store {options['store']}")
        try:
            result: dict[str, Any] = flow(chosen)
        except KeyboardInterrupt:
            console.print(f"{name}: stopped; what is finished is kept, run the same command again to go on", soft_wrap=True)
            sys.exit(130)
        finally:
            _drain()
    seconds = time.monotonic() - begun
    if as_json:
        print(json.dumps({"flow": name, "state": "completed", "seconds": round(seconds, 1), "artifacts": result}))
        return
    cached = sum(one["cached"] for one in result.values())
    console.print(
        f"{name}: done in {seconds:.0f} s, {cached} of {len(result)} stages cached. Look inside: winnow show {list(result)[-1]}"
    )


def _drain() -> None:
    """Logs and events that are still on their way have nobody to go to, and complain of it, once a private server is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=5)


def _flow(name: str) -> tuple[type[BaseModel], Callable[[Any], Any]]:
    if name not in FLOWS:
        raise Problem(f"there is no flow {name!r}; flows are {', '.join(FLOWS)}")
    # Imported here: Prefect must see its environment first, and `winnow --help` need not wait for it.
    module = importlib.import_module(f"flows.{name}")
    return getattr(module, f"{name.capitalize()}Parameters"), getattr(module, name)
