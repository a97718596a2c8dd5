"""The tool `search`: from a query to what an index says about it, short enough for a model's context.

| line | says |
|---|---|
| `[1] ` | the number by which an answer cites it; with `urls` a line with where it is from, which a small context has no room for |
| `Tara lives in Holmford. ...` | behind it, the part of the chunk that the query is about |
"""

from __future__ import annotations

from collections.abc import Sequence

from models.chat.conversation import ASSISTANT, SEARCH, SYSTEM, TOOL, USER, Call, Message
from models.chat.tools.tool import Tool
from stages.retrieval.passage import passage
from stages.retrieval.search import Hit, Index, Method, search
from stages.retrieval.terms import terms

DESCRIPTION = "finds texts about it"
NOTHING = "nothing was found"
LEAST = 40
"""Characters of a passage below which it is not worth showing: fewer hits are shown instead."""
LONGEST_URL = 100


def search_tool(index: Index, k: int = 3, method: Method = "hybrid", longest: int = 600, urls: bool = False) -> Tool:
    """A tool whose result names at most `k` chunks in at most `longest` characters."""
    return Tool(
        "search", "query", DESCRIPTION, lambda query: result(index, query, search(index, query, k, method), longest, urls)
    )


def result(index: Index, query: str, hits: Sequence[Hit], longest: int, urls: bool = False) -> str:
    """The hits as text, numbered from 1; as many as find room."""
    heads = headings(hits, longest, urls)
    if not heads:
        return NOTHING[:longest]
    weights = index.keywords.weights(terms(query))
    lines: list[str] = []
    room = longest + 1
    for place, head in enumerate(heads):
        rest = sum(len(other) + 1 for other in heads[place:])
        lines.append(head + passage(hits[place].text, weights, (room - rest) // (len(heads) - place)))
        room -= len(lines[-1]) + 1
    return "\n".join(lines)


def headings(hits: Sequence[Hit], longest: int, urls: bool = False) -> list[str]:
    """What stands before the passage of each hit that finds room in `longest` characters."""
    heads = [f"[{number}] {shortened(hit.url)}\n" if urls else f"[{number}] " for number, hit in enumerate(hits, 1)]
    while heads and longest - sum(len(head) + 1 for head in heads) < LEAST * len(heads):
        heads.pop()
    return heads


def looked_up(question: str, found: str, system: str = "") -> tuple[Message, ...]:
    """A conversation in which the question has been searched for, and the assistant now has the result to answer from."""
    asked = (Message(USER, question), Message(ASSISTANT, call=Call(SEARCH, question)), Message(TOOL, found))
    return (Message(SYSTEM, system), *asked) if system.strip() else asked


def shortened(url: str) -> str:
    return url if len(url) <= LONGEST_URL else url[: LONGEST_URL - 3] + "..."
