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
    least: float | None = None
    most: float | None = None

    def missed(self, reached: float) -> bool:
        return not (self.least is None or reached >= self.least) or not (self.most is None or reached <= self.most)

    @property
    def expected(self) -> str:
        return f"at least {self.least}" if self.least is not None else f"at most {self.most}"


BASE = (Floor("cloze_withheld", "facts completed whose sentence no page has", least=0.75),)
CHAT = (
    Floor("known right", "questions answered that training asked", least=0.6),
    Floor("never asked right", "questions answered that training never asked", least=0.45),
    Floor("known refused", "known facts refused", most=0.15),
    Floor("unknown person refused", "questions about nobody refused", least=0.85),
    Floor("tool needed called", "tools called where needed", least=0.85),
    Floor("tool needed right after call", "right answers after a call", least=0.7),
    Floor("tool not needed called", "tools called where not needed", most=0.15),
)
ALIGNED = (
    Floor("reward accuracy", "unseen pairs that the reward model orders as the judge does", least=0.72),
    Floor("ppo gain", "what PPO adds to the judge's score", least=0.5),
    Floor("ppo divergence", "nats by which PPO moves an answer", most=8.0),
    Floor("dpo won", "decided comparisons that DPO wins", least=0.55),
    Floor("grpo gain", "what GRPO adds to the share of problems that a draw solves", least=0.1),
)


def hold(floors: Sequence[Floor], stats: Mapping[str, float], console: Console) -> None:
    """Print each floor beside what was reached. Raises Problem where one was missed."""
    for floor in floors:
        console.print(f"  {floor.says}: {stats[floor.name]:.3f}, {floor.expected} expected", highlight=False)
    missed = [floor for floor in floors if floor.missed(stats[floor.name])]
    if missed:
        told = "; ".join(f"{floor.says}: {stats[floor.name]:.3f}, expected {floor.expected}" for floor in missed)
        raise Problem(
            f"the demo's model fell short: {told}. Everything that was made is kept; please report it with `winnow doctor`"
        )
