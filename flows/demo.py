"""The demo flow: a made-up web whose truth is known goes the way of a real crawl; the end says how right every step was."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from rich.markdown import Markdown

from flows.corpus import CorpusParameters, make_corpus
from flows.run import open_run
from stages.corpus.assess import ASSESS, AssessConfig
from stages.corpus.simulate import SIMULATE, SimulateConfig
from storage.store import Store

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
        run.bar.console.print(Markdown(report.partition("## Rule by rule")[0]))
        run.bar.console.print(where_next(run.store, p.store, assessed.snapshot.folder), highlight=False, soft_wrap=True)
        return run.summary()


def where_next(store: Store, url: str, report: str) -> str:
    """What to type after a demo."""
    option = "" if url == "./store" else f" --store {url}"
    commands = {
        f"winnow show{option}": "every artifact that was made",
        f"winnow show c4 --reason curly_bracket{option}": "dropped pages, with what was measured",
        f"winnow why PAGE{option}": "one page's way; PAGE is an id or URL, the report names some that went wrong",
        f"winnow lineage corpus{option}": "what the corpus was made from",
        f"winnow demo --pages 10000{option}": "a larger web; run the same command twice and nothing is computed again",
    }
    lines = [f"  [bold]{command:<52}[/bold] {what}" for command, what in commands.items()]
    return "\n".join([f"Page by page: {store.full(report)}/report.md", "Where to look next:", *lines])
