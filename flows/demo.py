"""The demo flow: a made-up web whose truth is known goes the way of a real crawl; the end says how right every step was."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.corpus import CorpusParameters, make_corpus
from flows.run import open_run
from stages.corpus.assess import ASSESS, AssessConfig
from stages.corpus.simulate import SIMULATE, SimulateConfig

JUDGED = (
    "records",
    "url",
    "extract",
    "language",
    "gopher_repetition",
    "gopher_quality",
    "c4",
    "fineweb",
    "dedup",
    "pii",
    "corpus",
)


class DemoParameters(CorpusParameters):
    """Settings of the made-up web, then those of the corpus flow."""

    sources: list[str] = []
    """Left empty: the demo reads the crawl that it makes."""
    simulate: SimulateConfig = SimulateConfig()


@flow(name="demo", persist_result=False)
def demo(parameters: DemoParameters) -> dict[str, Any]:
    """Simulate a crawl, make a corpus from it, compare every decision with the truth."""
    p = parameters
    with open_run("demo", p.model_dump(mode="json"), p) as run:
        crawl = run.stage(SIMULATE, p.simulate)
        folder = f"{p.store.rstrip('/')}/{crawl.snapshot.folder}"
        make_corpus(run, p.model_copy(update={"sources": p.sources or [f"{folder}/*.warc.gz"]}))
        assessed = run.stage(ASSESS, AssessConfig(), crawl=crawl, **{name: run.made[name] for name in JUDGED})
        report = run.store.read(f"{assessed.snapshot.folder}/report.md").decode("utf-8")
        create_markdown_artifact(markdown=report, key="report", description="Every step against the truth")
        return run.summary()
