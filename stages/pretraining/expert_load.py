"""How a mixture of experts is used while it trains: figures of each step, and the share of each expert at each look.

L layers, E experts.
"""

from models.transformer.experts import load_figures
from models.transformer.train import Row
from models.transformer.transformer import Transformer
from models.transformer.world import World


class ExpertLoad:
    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, float]] = []
        """step, layer, expert, share: EXPERTS of metrics.py."""

    def figures(self, model: Transformer, world: World, step: int, look: bool) -> Row:
        """Of the tokens since the last call; every process must ask. `look`: whether the share of each expert is noted. Empty of a dense
        model."""
        load_LE = model.take_load()
        if load_LE is None:
            return {}
        load_LE = world.total(load_LE)
        if look:
            share_LE = load_LE.double() / load_LE.sum(-1, keepdim=True)
            self.rows += [
                (step, layer, expert, one) for layer, row in enumerate(share_LE.tolist()) for expert, one in enumerate(row)
            ]
        figures = load_figures(load_LE)
        return {"expert_highest": figures.highest, "expert_lowest": figures.lowest, "expert_entropy": figures.entropy}

    def state(self) -> list[list[float]]:
        return [list(one) for one in self.rows]

    def restore(self, state: list[tuple[int, int, int, float]]) -> None:
        self.rows = [(step, layer, expert, one) for step, layer, expert, one in state]
