"""The tools that a person gives a model on the command line: `--tools python,search`."""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.commands.ask import LEAST_RESULT, index_files
from storage.problem import Problem
from storage.store import Store

KNOWN = ("python", "search")
ToolsOption = Annotated[str, typer.Option("--tools", help="Tools that a model may call, by commas: python, search.")]
CorpusOption = Annotated[
    str, typer.Option("--corpus", help="What `search` searches: an artifact with id, url and text, or an index of one.")
]
HitsOption = Annotated[int, typer.Option("--hits", min=1, max=100, help="Most passages of a search.")]
CharactersOption = Annotated[int, typer.Option("--characters", min=LEAST_RESULT, help="Most characters of a search's result.")]
EmbedderOption = Annotated[
    Path | None, typer.Option("--embedder", help="Folder of a sentence-transformers model, where the index needs it.")
]


def named_tools(text: str, corpus: str) -> list[str]:
    """The names, each once. `corpus`: what was given for `search` to search."""
    wanted = list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    unknown = [one for one in wanted if one not in KNOWN]
    if unknown:
        raise Problem(f"found the tool {unknown[0]!r}; expected python, search, or both with a comma between them")
    if corpus and "search" not in wanted:
        raise Problem("--corpus is given and the tool that reads it is not; add --tools search")
    return wanted


def opened_tools(
    wanted: list[str],
    store: Store | None,
    corpus: str,
    hits: int,
    characters: int,
    embedder: Path | None,
    stack: contextlib.ExitStack,
) -> list[Any]:
    """Tools at work until `stack` closes. `store` is there where search is wanted."""
    given = []
    for name in wanted:
        if name == "python":
            from models.chat.tools.python import Python, python_tool

            given.append(python_tool(stack.enter_context(Python())))
        else:
            from stages.retrieval.search import open_index
            from stages.retrieval.tool import search_tool

            assert store is not None
            index = index_files(store, corpus or "corpus@latest", embedder, Console(stderr=True, highlight=False))
            given.append(search_tool(open_index(index, embedder), hits, "hybrid", characters))
    return given
