"""The funnel of a corpus run: how many documents each stage saw, kept and dropped, and why; as a table, as Markdown, in Prefect."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from rich.console import Console
from rich.table import Table

from flows.identity import Dataset
from storage.funnel import in_funnel


@dataclass(frozen=True)
class Step:
    stage: str
    seen: int
    kept: int
    reasons: dict[str, int]
    """Dropped rows by reason, the most frequent first."""
    reference: str

    @property
    def dropped(self) -> int:
        return self.seen - self.kept

    @property
    def share(self) -> float:
        """Of what this stage saw, the part that it kept."""
        return self.kept / self.seen if self.seen else 1.0

    def why(self, most: int = 3) -> str:
        named = [f"{reason} {count:,}" for reason, count in list(self.reasons.items())[:most]]
        rest = len(self.reasons) - most
        return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")


def funnel(datasets: Sequence[Dataset]) -> list[Step]:
    """A step for each stage that filters, and the corpus as it is."""
    chosen = [one.snapshot for one in datasets if in_funnel(one.snapshot)]
    return [Step(one.stage, one.rows, one.kept, one.reasons, one.reference) for one in chosen]


def linked(text: str, path: str) -> str:
    """`text` as Markdown, leading into the viewer where `winnow up` has one running."""
    viewer = os.environ.get("WINNOW_VIEWER")
    return f"[{text}]({viewer}/{path})" if viewer else text


def markdown(steps: Sequence[Step], run: str) -> str:
    rows = [
        f"| {linked(one.stage, one.reference)} | {one.seen:,} | {one.kept:,} | {one.dropped:,} | {one.share:.1%} | {one.why()} |"
        for one in steps
    ]
    table = "\n".join(["| stage | seen | kept | dropped | kept of seen | why |", "|---|--:|--:|--:|--:|---|", *rows])
    title = linked("Funnel", f"runs/{run}/funnel")
    return f"## {title}\n\n{table}\n\n```mermaid\n{mermaid(steps)}\n```\n"


def mermaid(steps: Sequence[Step]) -> str:
    """The way of the documents from left to right, what each stage drops falling out below it."""
    lines = ["flowchart LR"]
    for index, one in enumerate(steps):
        lines.append(f'  s{index}["{one.stage}<br/>{one.seen:,}"]')
        if index:
            lines.append(f"  s{index - 1} -->|{steps[index - 1].kept:,}| s{index}")
        if one.dropped:
            lines.append(f'  s{index} -.-> d{index}(["{one.dropped:,} dropped<br/>{one.why(1)}"])')
    return "\n".join(lines)


def publish(steps: Sequence[Step], run: str) -> None:
    """As artifacts of the Prefect run at hand."""
    table = [
        {
            "stage": one.stage,
            "seen": one.seen,
            "kept": one.kept,
            "dropped": one.dropped,
            "why": one.why(),
            "artifact": linked(one.reference, one.reference),
        }
        for one in steps
    ]
    create_table_artifact(table=table, key="funnel-table", description="Documents by stage")
    create_markdown_artifact(markdown=markdown(steps, run), key="funnel", description="Documents by stage, with a picture")


def show(steps: Sequence[Step], console: Console) -> None:
    table = Table(title="Funnel", title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in ("stage", "seen", "kept", "dropped", "kept of seen", "why"):
        table.add_column(name, justify="left" if name in ("stage", "why") else "right")
    for one in steps:
        table.add_row(one.stage, f"{one.seen:,}", f"{one.kept:,}", f"{one.dropped:,}", f"{one.share:.1%}", one.why())
    console.print(table)
