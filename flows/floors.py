"""What the demo must reach with the settings that it is shipped with: a model below a floor has not learnt its world, and the run fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from storage.problem import Problem


@dataclass(frozen=True)
class Floor:
    name: str
    """Of a figure among a stage's stats."""
    says: str
    least: float


BASE = (Floor("cloze_withheld", "facts completed whose sentence no page has", 0.75),)


def hold(floors: Sequence[Floor], stats: Mapping[str, float], console: Console) -> None:
    """Print each floor beside what was reached. Raises Problem where one was missed."""
    for floor in floors:
        reached = stats[floor.name]
        console.print(f"  {floor.says}: {reached:.3f}, at least {floor.least} expected", highlight=False)
    missed = [floor for floor in floors if not stats[floor.name] >= floor.least]
    if missed:
        told = "; ".join(f"{floor.says}: {stats[floor.name]:.3f}, expected at least {floor.least}" for floor in missed)
        raise Problem(
            f"the demo's model fell short: {told}. Everything that was made is kept; please report it with `winnow doctor`"
        )
