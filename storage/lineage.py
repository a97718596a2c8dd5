"""Where an artifact comes from: the snapshots it was made from, those that they were made from, back to the crawl."""

from dataclasses import dataclass

from storage.runs import records
from storage.snapshot import Snapshot
from storage.store import Store


@dataclass(frozen=True)
class Node:
    reference: str
    inputs: dict[str, str]
    """Name of the input -> reference. `file:` inputs are leaves."""
    run: str


def provenance(store: Store) -> dict[str, Node]:
    """Reference -> node, for everything that any recorded run made; the earliest run that made it is named."""
    nodes: dict[str, Node] = {}
    for record in records(store):
        for made in record.artifacts.values():
            nodes[made.reference] = Node(made.reference, made.inputs, record.id)
    return nodes


def ancestors(store: Store, snapshot: Snapshot) -> list[Node]:
    """`snapshot` and all that it descends from, each once, inputs before what is made from them."""
    nodes = provenance(store)
    ordered: dict[str, Node] = {}

    def visit(reference: str) -> None:
        if reference in ordered or reference not in nodes:
            return
        for parent in nodes[reference].inputs.values():
            visit(parent)
        ordered[reference] = nodes[reference]

    visit(snapshot.reference)
    return list(ordered.values())


def mermaid(nodes: list[Node]) -> str:
    """The graph as Mermaid text, which Prefect, GitHub and most editors draw."""
    lines = ["flowchart TD"]
    for node in nodes:
        stage = node.reference.partition("/")[0]
        lines.append(f'  {_id(node.reference)}["{stage}<br/>{node.reference.partition("/")[2]}"]')
        for name, parent in node.inputs.items():
            if parent.startswith("file:"):
                lines.append(f'  {_id(node.reference + name)}(["{name}<br/>{parent[:17]}"])')
                parent = node.reference + name
            lines.append(f"  {_id(parent)} --> {_id(node.reference)}")
    return "\n".join(lines)


def _id(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text)
