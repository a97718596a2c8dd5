"""The flows as deployments: what `winnow up` serves, and what a person starts, schedules and cancels in the Prefect UI.

    corpus/corpus         by hand, with every parameter in the form
    corpus/nightly        each night over a folder or bucket that grows; only new shards are computed; shipped paused, then as it was left
    tokenizer/tokenizer   a vocabulary learnt from a corpus
    pretrain/pretrain     a base model from corpora of the store
    posttrain/posttrain   a chat model from a base model and conversations
    align/align           an aligned or reasoning model from a chat model
    ablate/ablate         which filter earns its place: the same model on corpora that differ in one thing
    release/release       a model to GGUF files and a package
    extractor/extractor   a model of the main-text extractor, from pages with gold text
    demo/demo             the made-up web, by hand
    demo/weekly           the whole factory on it, to see that everything still works; shipped paused

As a module (`python -m flows.served STORE CRAWL`) it is the process that starts the runs, each as a process of its own.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any

import psutil
from prefect import serve
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.ablate import ablate
from flows.align import align
from flows.corpus import corpus
from flows.demo import demo
from flows.extractor import extractor
from flows.posttrain import posttrain
from flows.pretrain import pretrain
from flows.release import release
from flows.server import TAG
from flows.tokenizer import tokenizer

END_SECONDS = 20  # a run that is stopped ends within one, if the server takes its last words
# Two runs of one flow would only wait for each other's locks: the second one queues instead.
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


def deployments(store: str, crawl: str) -> list[RunnerDeployment]:
    """`store`: where artifacts go; `crawl`: the folder, pattern or address that the nightly run watches."""
    return [
        _deployment(corpus, "corpus", {"store": store, "sources": [crawl]}),
        _deployment(corpus, "nightly", {"store": store, "sources": [crawl]}, "0 2 * * *"),
        _deployment(tokenizer, "tokenizer", {"store": store}),
        _deployment(pretrain, "pretrain", {"store": store}),
        _deployment(posttrain, "posttrain", {"store": store}),
        _deployment(align, "align", {"store": store}),
        _deployment(release, "release", {"store": store}),
        _deployment(ablate, "ablate", {"store": store}),
        _deployment(extractor, "extractor", {"store": store}),
        _deployment(demo, "demo", {"store": store}),
        _deployment(demo, "weekly", {"store": store}, "0 4 * * 0"),
    ]


def _deployment(flow: Flow[..., Any], name: str, parameters: dict[str, Any], cron: str | None = None) -> RunnerDeployment:
    made = flow.to_deployment(
        name,
        parameters={"parameters": parameters},
        schedules=[Cron(cron, active=False)] if cron else None,
        concurrency_limit=ONE_AT_A_TIME,
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=[TAG],
    )
    assert isinstance(made, RunnerDeployment)  # a coroutine only where a loop runs
    return made


def known_schedules(client: SyncPrefectClient, name: str) -> list[DeploymentScheduleCreate] | None:
    """Those that the deployment `flow/name` has on the server; None where it is not there yet. To register it anew replaces them, and people
    change them in the UI."""
    try:
        known = client.read_deployment_by_name(name).schedules
    except ObjectNotFound:
        return None
    return [DeploymentScheduleCreate(**one.model_dump(include=set(DeploymentScheduleCreate.model_fields))) for one in known]


def main() -> None:
    store, crawl, parent = sys.argv[1:4]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    served = deployments(store, crawl)
    with get_client(sync_client=True) as client:
        for one in served:
            if (known := known_schedules(client, one.full_name)) is not None:
                one.schedules = known  # type: ignore[assignment]
    # In a thread of its own Prefect leaves SIGTERM to us: what it does then lets the runs go on without it.
    serving = threading.Thread(
        target=serve, args=served, kwargs={"print_starting_message": False, "pause_on_shutdown": False}, daemon=True
    )
    serving.start()
    try:
        while serving.is_alive() and os.getppid() == int(parent):
            serving.join(timeout=0.5)
    finally:
        end_runs()
    if not serving.is_alive():
        sys.exit(1)  # its words are on stderr


def end_runs() -> None:
    """Stop the runs that are under way, and those that the thread that serves still starts; while they end, it tells the server so."""
    told: set[psutil.Process] = set()
    below: set[psutil.Process] = set()
    end = time.monotonic() + END_SECONDS
    while time.monotonic() < end:
        below.update(psutil.Process().children(recursive=True))
        for run in set(psutil.Process().children()) - told:
            told.add(run)
            with contextlib.suppress(psutil.NoSuchProcess):
                run.terminate()
        if not psutil.wait_procs(below, timeout=0.5)[1]:
            return
    for one in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


if __name__ == "__main__":
    main()
