"""`winnow lineage ARTIFACT`: from an artifact back to the crawl."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.tree import Tree

from flows.commands.options import ArtifactArgument, JsonOption, StoreOption, open_store
from flows.commands.terminal import console
from storage.artifact import resolve
from storage.lineage import Node, ancestors, mermaid
from storage.problem import Problem


def lineage(
    artifact: ArtifactArgument,
    store: StoreOption = "./store",
    picture: Annotated[bool, typer.Option("--mermaid", help="Print the graph as Mermaid text.")] = False,
    json_: JsonOption = False,
) -> None:
    """Show what an artifact was made from, back to the crawl."""
    opened = open_store(store)
    snapshot = resolve(opened, artifact)
    nodes = ancestors(opened, snapshot)
    if not nodes:
        raise Problem(f"no run record says how {snapshot.reference} was made; were the files in {opened.full('runs')} deleted?")
    if json_:
        print(json.dumps({"artifact": snapshot.reference, "lineage": [asdict(node) for node in nodes]}))
    elif picture:
        print(mermaid(nodes))
    else:
        console().print(_tree({node.reference: node for node in nodes}, snapshot.reference))


def _tree(nodes: dict[str, Node], root: str) -> Tree:
    shown: set[str] = set()

    def grow(tree: Tree, reference: str) -> None:
        if reference in shown or reference not in nodes:
            return
        shown.add(reference)
        for name, parent in nodes[reference].inputs.items():
            again = " [dim](above)[/dim]" if parent in shown else ""
            grow(tree.add(f"[dim]{name}:[/dim] {parent}{again}"), parent)

    tree = Tree(f"{root} [dim]made by run {nodes[root].run}[/dim]")
    grow(tree, root)
    return tree
