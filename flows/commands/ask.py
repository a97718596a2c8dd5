"""`winnow ask MODEL QUESTION --corpus ARTIFACT`: a chat model answers from what a search in a corpus finds, and the sources are named."""

import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console, visible
from flows.engines.local import LocalEngine
from flows.identity import Given
from flows.materialize import Context, materialize
from flows.stored import stored
from flows.work import Artifact, open_side
from storage.artifact import resolve
from storage.problem import Problem
from storage.runs import RunRecord
from storage.snapshot import Snapshot
from storage.store import Store

LEAST_ANSWER = 16
"""Tokens that must be left for an answer."""
LEAST_RESULT = 50
"""Characters of a search result below which there is no use in it."""


@dataclass(frozen=True)
class Source:
    number: int
    """By which the model, and a reader of what it was shown, know it."""
    id: str
    url: str
    title: str | None
    chunk: str
    score: float
    text: str


@dataclass(frozen=True)
class Answer:
    question: str
    answer: str
    finished: bool
    """Whether the model came to an end by itself."""
    shown: str
    """What the model was given to answer from."""
    sources: list[Source]
    calls: list[dict[str, str]]
    """What the model called by itself afterwards, and what came back."""


def ask(
    model: Annotated[str, typer.Argument(help="A chat model: an artifact (a stage, a key, a path) or a Hugging Face folder.")],
    question: Annotated[str, typer.Argument(help="What to ask.")],
    corpus: Annotated[
        str, typer.Option("--corpus", help="Where to search: an artifact with id, url and text, or an index of one.")
    ] = "corpus@latest",
    hits: Annotated[int, typer.Option("--hits", min=1, max=100, help="Most chunks that the model is shown.")] = 3,
    method: Annotated[str, typer.Option("--method", help="How to search: keyword, vector or hybrid.")] = "hybrid",
    characters: Annotated[
        int, typer.Option("--characters", min=LEAST_RESULT, help="Most characters of them; fewer where the context is small.")
    ] = 600,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Most tokens of the answer.")] = 100,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0 takes the likeliest token each time.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws at a temperature above 0.")] = 0,
    system: Annotated[str, typer.Option("--system", help="System message, put before the list of tools.")] = "",
    embedder: Annotated[
        Path | None,
        typer.Option("--embedder", help="Folder of a sentence-transformers model; default: vectors made of the corpus."),
    ] = None,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Ask a chat model about a corpus: it is shown what a search finds, and answers with citations.

    Example: winnow ask sft@latest "Where does Tara live?" --corpus corpus@latest
    """
    if not question.strip():
        raise Problem("the question is empty; ask something")
    progress = Console(stderr=True, highlight=False)
    opened = open_store(store)
    files = index_files(opened, corpus, embedder, progress)
    folder = Path(model) if Path(model).is_dir() else local(opened, resolve(opened, model))
    found = answered(folder, files, question, hits, method, characters, tokens, temperature, seed, system, embedder)
    if json_:
        print(json.dumps(asdict(found)))
    else:
        show(found, console())


def local(store: Store, snapshot: Snapshot) -> Path:
    """The artifact's files, checked, in a folder of this machine."""
    return Path(open_side(store, Artifact(snapshot.stage, snapshot.key, snapshot.id)).folder)


def index_files(store: Store, corpus: str, embedder: Path | None, progress: Console) -> Path:
    """The folder of an index over the artifact that a person calls `corpus`; it is made if it is not there yet."""
    from stages.retrieval.index import INDEX, IndexConfig  # only now: `winnow --help` need not wait for its libraries

    snapshot = resolve(store, corpus)
    if snapshot.stage != INDEX.name:
        given: dict[str, Given] = {"docs": stored(store, corpus), **({"embedder": embedder} if embedder else {})}
        record = RunRecord("index", {"corpus": snapshot.reference, **({"embedder": str(embedder)} if embedder else {})})
        engine = LocalEngine(1)
        say = progress.print
        begun = time.monotonic()
        with ExitStack() as ends:
            ends.callback(engine.close)

            def advance(stage: str, done: int, total: int) -> None:
                if not done:
                    say(f"making an index of {snapshot.reference}, once", soft_wrap=True)
                    ends.enter_context(record.kept(store, say))  # a run only where there is something to do

            index = materialize(Context(store, engine, say, advance), INDEX, IndexConfig(), None, given)
            record.add(INDEX.name, index.snapshot, dict(index.inputs), index.cached, time.monotonic() - begun)
            snapshot = index.snapshot
    return local(store, snapshot)


def answered(
    model: Path,
    index_folder: Path,
    question: str,
    most: int,
    method: Any,
    characters: int,
    tokens: int,
    temperature: float,
    seed: int,
    system: str,
    embedder: Path | None,
) -> Answer:
    """Search, put what was found before the model as the result of its own search, and let it answer."""
    from models.chat.generated import generated
    from models.chat.renderer import prompt
    from models.chat.tools.answer import answering
    from models.chat.tools.tool import listing
    from models.formats.pretrained import load_model
    from models.tokenizer.load import load
    from models.transformer.generate import Request, generate
    from models.transformer.sampling import Sampling
    from stages.retrieval.search import open_index, search
    from stages.retrieval.tool import headings, looked_up, result, search_tool

    index = open_index(index_folder, embedder)
    found = search(index, question, most, method)
    tokenizer, network = load(model), load_model(model)
    tool = search_tool(index, most, method, characters)
    told = "\n\n".join(part for part in (system.strip(), listing([tool])) if part)
    room = network.shape.context - min(tokens, LEAST_ANSWER)
    shown = result(index, question, found, characters)
    begin = prompt(looked_up(question, shown, told), tokenizer)
    while len(begin) > room:
        characters = characters * 3 // 4
        if characters < LEAST_RESULT:
            raise Problem(
                f"the question takes {len(begin)} tokens with {len(shown)} characters of what was found, and the model's context is "
                f"{network.shape.context}; ask in fewer words, or a model with a longer context"
            )
        shown = result(index, question, found, characters)
        begin = prompt(looked_up(question, shown, told), tokenizer)

    calls: list[dict[str, str]] = []
    answer = answering(
        [tool],
        tokenizer,
        longest=characters,
        told=lambda call, text: calls.append({"tool": call.tool, "text": call.text, "result": text}),
    )
    request = Request(begin, tokens, Sampling(temperature=temperature), tokenizer.stops, seed, answer=answer)
    [completion] = generate(network, [request])
    said = generated(completion.tokens, tokenizer)
    cited = found[: len(headings(found, characters))]
    sources = [
        Source(number, hit.document, hit.url, hit.title, hit.chunk, hit.score, hit.text) for number, hit in enumerate(cited, 1)
    ]
    return Answer(question, said.answer, said.finished, shown, sources, calls)


def show(found: Answer, out: Console) -> None:
    for call in found.calls:
        out.print(
            f"{call['tool']}: {visible(call['text'])}\n{visible(call['result'])}\n", style="dim", markup=False, soft_wrap=True
        )
    out.print(visible(found.answer) or "(no answer)", markup=False, soft_wrap=True)
    if not found.finished:
        out.print("(cut off: no room is left, or --tokens is too small)", style="dim")
    out.print()
    for source in found.sources:
        out.print(f"[{source.number}] {visible(source.url)}  {visible(source.id)}", markup=False, soft_wrap=True)
    if not found.sources:
        out.print("The search found nothing.", style="dim")
