"""The demo flow: a made-up web whose truth is known goes the way of a real crawl; the end says how right every step was."""

import glob
import io
import shlex
from functools import partial
from typing import Any, Literal

import polars as pl
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field, field_validator
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.alignment import ALIGNED_MOMENTS, AlignmentSettings, make_aligned, reached
from flows.assistant import CHAT_MOMENTS, make_assistant, make_retrieval, show_scores
from flows.corpus import CorpusSettings, make_corpus
from flows.floors import ALIGNED, BASE, CHAT, hold
from flows.identity import Dataset
from flows.notify import on_end
from flows.pretrain import Base, BaseSettings, make_base, score_base
from flows.profiles import effective
from flows.release import ReleasingSettings, make_release
from flows.run import Mechanics, Run, open_run
from stages.corpus.assess import ASSESS, AssessConfig
from stages.corpus.simulate import SIMULATE, SimulateConfig
from stages.posttraining.sft import SftConfig
from stages.pretraining.pretrain import PretrainConfig
from stages.tokens.pack import PackConfig
from stages.tokens.tokenize import TOKENIZE, TokenizeConfig
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig
from storage.report import report
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


CHATTED = ("fact", "unknown", "arithmetic", "python", "identity")
STEPS = ("corpus", "base", "chat", "aligned", "release")
TUNING = SftConfig(
    epochs=1,
    rows=4,
    matrix_rate=0.012,
    rate=0.002,
    embedding_rate=0.002,
    replay_rows=1,
    replay_weight=0.3,
    dtype="fp32",
    prompts=("Who are you?", "Where does Mira live?", "What is 3+4-2?"),
)


class DemoSettings(CorpusSettings, BaseSettings, AlignmentSettings, ReleasingSettings):
    """Settings of the made-up web, those of the corpus flow, and those of models that learn in minutes."""

    sources: list[str] = []
    """Stays empty: the demo reads the crawl that it makes, whose truth is known."""
    simulate: SimulateConfig = SimulateConfig()
    until: Literal["corpus", "base", "chat", "aligned", "release"] = "release"
    """How far to go: to the corpus, the base model, the chat model, the aligned one, or its release."""
    seeds: int = Field(default=1, ge=1, le=100)
    """Models that are trained from the corpus on, each from its own seed; the scores are means over them."""
    tokenizer: TokenizerConfig = TokenizerConfig(size=1024)
    other_tokenizer: TokenizerConfig = TokenizerConfig(size=1024, kind="sentencepiece")
    """For comparison: nothing is trained on its tokens."""
    tokenize: TokenizeConfig = TokenizeConfig(validation=0.03)
    pack: PackConfig = PackConfig(row_length=256)
    pretrain: PretrainConfig = PretrainConfig(
        preset="demo",
        tokens=4_500_000,
        rows=8,
        prompts=("", "One morning", "Question: Where does"),
        validation_every=250,
        samples_every=250,
    )
    sft_first: SftConfig = TUNING
    sft: SftConfig = TUNING.model_copy(update={"matrix_rate": 0.008, "rate": 0.0015, "embedding_rate": 0.0015})

    @field_validator("sources")
    @classmethod
    def _own_crawl(cls, sources: list[str]) -> list[str]:
        if sources:
            raise ValueError("the demo reads only the crawl that it makes; for another use `winnow run corpus`")
        return sources


class DemoParameters(Mechanics, DemoSettings):
    """Settings of the made-up web and of the corpus flow, and where it runs."""


def run_name() -> str:
    """What the run does, for lists of runs."""
    simulate: SimulateConfig = flow_run.parameters["parameters"].simulate
    return f"demo of {simulate.pages:,} pages, seed {simulate.seed}"


@flow(name="demo", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def demo(parameters: DemoParameters) -> dict[str, Any]:
    """Simulate a crawl, make a corpus from it, compare every decision with the truth."""
    p = effective(parameters, parameters.profile)
    with open_run("demo", p.model_dump(mode="json"), p) as run:
        crawl = run.stage(SIMULATE, p.simulate)
        folder = glob.escape(f"{p.store.rstrip('/')}/{crawl.snapshot.folder}")
        named = p.records.model_copy(update={"dump": p.simulate.dump})
        corpus = make_corpus(run, p.model_copy(update={"sources": [f"{folder}/*.warc.gz"], "records": named}))
        assessed = run.stage(ASSESS, AssessConfig(), None, {name: run.made[name] for name in JUDGED}, crawl=crawl)
        report = run.store.read(f"{assessed.snapshot.folder}/report.md").decode("utf-8")
        create_markdown_artifact(markdown=report, key="report", description="Every step against the truth")
        show_report(report, run.bar.console)
        model, answered = None, None
        if p.until != "corpus":
            run.stage(TOKENIZER, p.other_tokenizer, label="other_tokenizer", docs=corpus)
            model, answered = make_models(run, p, corpus, crawl)
            if answered is not None:
                run.bar.console.print("\n".join(short_chat(run.store, answered)), highlight=False, soft_wrap=True)
            run.bar.console.print(write_report(run.store, model), highlight=False, soft_wrap=True)
        run.bar.console.print(
            where_next(run.store, p.store, assessed.snapshot.folder, model, answered is not None), highlight=False, soft_wrap=True
        )
        return run.summary()


def make_models(run: Run, p: DemoParameters, corpus: Dataset, crawl: Dataset) -> tuple[Dataset, Dataset | None]:
    """From the corpus to the models, once for each seed; the first seed's come last, so that `@latest` names them. Back: the last model,
    and its evaluation as a chat model."""
    held = as_shipped(p)
    last: tuple[Dataset, Dataset | None] | None = None
    chat: dict[str, Dataset] = {}
    aligned: dict[str, Dataset] = {}
    made: dict[str, Dataset] = {}
    if reaches(p, "chat"):
        run.beside(lambda: make_retrieval(run, p, corpus, crawl))
    for seed in reversed(range(p.seeds)):
        turn = run.again(f"seed{seed}") if seed else run
        seeded = p.model_copy(update={"pretrain": p.pretrain.model_copy(update={"seed": p.pretrain.seed + seed})})
        base = make_base(turn, seeded, {"corpus": corpus})
        turn.beside(partial(judge_base, turn, seeded, base, crawl, held and not seed))
        last = base.model, None
        if reaches(p, "chat"):
            made = make_assistant(turn, seeded, base, crawl, seed)
            last = made["model"], made["chat"]
            chat |= {f"{moment}/{seed}": made[moment] for moment in CHAT_MOMENTS}
            if held and not seed:
                hold(CHAT, made["chat"].snapshot.stats, run.bar.console)
        if reaches(p, "aligned"):
            scores, made = make_aligned(turn, seeded, made, crawl, base, seed)
            last = made["model"], scores["grpo/chat"]
            if held and not seed:
                hold(ALIGNED, reached(scores, made), run.bar.console)
            aligned |= {name.replace("/", f"/{seed}/", 1): evaluation for name, evaluation in scores.items()}
    if chat:
        show_scores(run, chat, CHAT_MOMENTS, "chat-model", "The chat model before and after each training")
    if aligned:
        card = show_scores(run, aligned, ALIGNED_MOMENTS, "alignment", "The aligned model before and after each training")
        if reaches(p, "release"):
            make_release(run, p, made["model"], corpus, run.made[TOKENIZE.name], card)
    assert last is not None  # there is at least one seed
    return last


def judge_base(run: Run, p: DemoParameters, base: Base, crawl: Dataset, held: bool) -> None:
    """`held`: to its floors."""
    scored = score_base(run, p, base, crawl)
    if held:
        hold(BASE, scored.snapshot.stats, run.bar.console)


def short_chat(store: Store, evaluation: Dataset) -> list[str]:
    """One question of each kind and what the model answered, as its evaluation noted it."""
    data = store.read(f"{evaluation.snapshot.folder}/questions.parquet")
    asked = (
        pl.read_parquet(io.BytesIO(data))
        .filter(pl.col("kind").is_in(CHATTED))
        .sort("right", descending=True, maintain_order=True)
    )
    lines = ["[bold]A short chat[/bold], from its evaluation:"]
    for row in asked.unique("kind", keep="first", maintain_order=True).iter_rows(named=True):
        thought = f"({row['thinking']}) " if row["thinking"] else ""
        calls = "".join(f"({call}) " for call in row["calls"])
        said = " ".join(f"{thought}{calls}{row['answer']}".split())
        lines += [f"  > {escape(row['question'])}", f"    {escape(said)}{'' if row['right'] else '  [dim](wrong)[/dim]'}"]
    return lines


def write_report(store: Store, model: Dataset) -> str:
    """The page about the model, beside the store's artifacts. Back: where it lies."""
    path = f"reports/{model.snapshot.stage}-{model.snapshot.key}.html"
    store.write(path, report(store, model.snapshot).encode("utf-8"))
    return f"Its report, from the crawl to its weights: {escape(store.full(path))}"


def reaches(p: DemoParameters, step: str) -> bool:
    return STEPS.index(p.until) >= STEPS.index(step)


def as_shipped(p: DemoParameters) -> bool:
    """Whether every setting that changes the outcome is the demo's own."""
    free = {*Mechanics.model_fields, "lists", "compute", "until", "seeds", "longer"}
    return p.model_dump(exclude=free) == DemoSettings().model_dump(exclude=free)


def show_report(report: str, console: Console) -> None:
    """The report's first part: its table in the manner of the funnel (no name is cut at 80 columns), then its note."""
    title, _, rest = report.partition("## Rule by rule")[0].strip().partition("\n\n")
    rows, _, note = rest.partition("\n\n")
    header, _, *body = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows.splitlines()]
    table = Table(
        title=title.lstrip("# "), title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for name in header:
        table.add_column(name, justify="left" if name == "stage" else "right")
    for row in body:
        table.add_row(*row)
    console.print(table)
    console.print(note.replace("`", ""), markup=False)


def where_next(store: Store, url: str, report: str, model: Dataset | None, chats: bool) -> str:
    """What to type after a demo. `model`: the last one that was made; `chats`: whether it does."""
    option = "" if url == "./store" else escape(f" --store {shlex.quote(url)}")
    commands = {
        f"winnow show{option}": "every artifact that was made",
        f"winnow show c4 --reason curly_bracket{option}": "dropped pages, with what was measured",
        f"winnow why PAGE{option}": "one page's way; PAGE is an id or URL, the report names some that went wrong",
        f"winnow lineage corpus{option}": "what the corpus was made from",
        f"winnow demo --pages 10000{option}": "a larger web; run the same command twice and nothing is computed again",
    }
    if model is not None and chats:
        name = model.snapshot.stage
        commands = {
            f"winnow chat {name} --tools python,search --corpus index{option}": "talk to the model that was made",
            f"winnow serve {name}{option}": "a page to chat on, and OpenAI's interface",
        } | commands
    lines = [f"  [bold]{command:<52}[/bold] {what}" for command, what in commands.items()]
    return "\n".join([f"Page by page: {escape(store.full(report))}/report.md", "Where to look next:", *lines])
