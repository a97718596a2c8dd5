"""The flows as deployments: what `winnow up` serves, and what a person starts, schedules and cancels in the Prefect UI.

    corpus/corpus         by hand, with every parameter in the form
    corpus/nightly        each night over a folder or bucket that grows; only new shards are computed; shipped paused
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

import signal
import sys
import threading
from typing import Any

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.ablate import ablate
from flows.align import align
from flows.corpus import corpus
from flows.demo import demo
from flows.engines.child import follow
from flows.extractor import extractor
from flows.posttrain import posttrain
from flows.pretrain import pretrain
from flows.release import release
from flows.server import TAG
from flows.tokenizer import tokenizer

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


def main() -> None:
    store, crawl, parent = sys.argv[1:4]
    threading.Thread(target=follow, args=(int(parent),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(*deployments(store, crawl), print_starting_message=False, pause_on_shutdown=False)


if __name__ == "__main__":
    main()
