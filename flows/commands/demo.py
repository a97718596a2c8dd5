"""`winnow demo`: the whole way on a made-up web, without network or data, ending with how right every step was."""

from typing import Annotated

import typer

from flows.commands.options import EngineOption, JsonOption, StoreOption, WorkersOption
from flows.commands.run import execute


def demo(
    pages: Annotated[int | None, typer.Option("--pages", help="How many pages the made-up web has; default: 3000.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed, another web; default: 1.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="corpus, base, chat, aligned or release (default): how far to go.")
    ] = None,
    longer: Annotated[bool, typer.Option("--longer", help="Let GRPO practise three times as long.")] = False,
    store: StoreOption = "./store",
    engine: EngineOption = None,
    workers: WorkersOption = None,
    json_: JsonOption = False,
) -> None:
    """Simulate a small crawl whose truth is known, make a corpus of it, train a model on that, teach it to chat, to be polite and to reason, write GGUF files, and report how right every step was."""
    sets = [f"simulate.{name}={value}" for name, value in (("pages", pages), ("seed", seed)) if value is not None]
    sets += [f"until={until}"] if until else []
    sets += ["longer=true"] if longer else []
    execute("demo", None, sets, {"store": store, "engine": engine, "workers": workers}, json_)
