"""Low-rank adapters: a frozen matrix W and beside it a learnt product of two thin ones, W + (alpha / rank) B A.

In: a model, and which of its matrices are to learn. Out: the same model with an `Adapted` in the place of each; only A and B are
trained. B begins as zero, so that nothing changes before the first step; A is drawn as in the authors' implementation (uniform, its
bound 1 / sqrt(inputs)) from torch's global generator. `merge` adds the products to the weights: then it is an ordinary model again.

| target | matrix |
|---|---|
| q, k, v, o | of attention |
| gate, up, down | of the feed-forward network; GPT-2 has no gate; those of experts are one tensor and take no adapter |

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1. Left out: dropout on the input (the data of
a fine-tuning are seen once or twice), adapters of embeddings.

R rank, I inputs, O outputs.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer.linear import Linear
from models.transformer.transformer import Transformer
from models.unusable import Unusable

ATTENTION = ("q", "k", "v", "o")
FEED_FORWARD = ("gate", "up", "down")


@dataclass(frozen=True)
class Lora:
    rank: int = 16
    """R"""
    alpha: float = 32.0
    """The product is scaled by alpha / rank, so that a rate found at one rank holds at another."""
    targets: tuple[str, ...] = ATTENTION + FEED_FORWARD

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0:
            raise Unusable(
                f"a LoRA of rank {self.rank} and alpha {self.alpha}; expected a rank of 1 or more and an alpha above 0"
            )
        unknown = [target for target in self.targets if target not in ATTENTION + FEED_FORWARD]
        if unknown or not self.targets:
            raise Unusable(
                f"LoRA has {', '.join(map(repr, unknown)) or 'nothing'} to adapt; expected some of {', '.join(ATTENTION + FEED_FORWARD)}"
            )


class Adapted(nn.Module):
    """A Linear with its adapter. Like one it has `weight`, `bias` and `forward`: whatever reads the weight gets W + (alpha / rank) B A."""

    def __init__(self, linear: Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.rank = rank
        self.alpha = alpha
        self.scale = alpha / rank
        self.frozen = linear.weight
        """W, [O, I]."""
        self.bias = linear.bias
        outputs, inputs = linear.weight.shape
        self.lora_a = nn.Parameter(torch.empty(rank, inputs, device=linear.weight.device))
        self.lora_b = nn.Parameter(torch.zeros(outputs, rank, device=linear.weight.device))
        nn.init.uniform_(self.lora_a, -(inputs**-0.5), inputs**-0.5)

    @property
    def weight(self) -> Tensor:
        return self.frozen + self.scale * (self.lora_b @ self.lora_a)

    def forward(self, x: Tensor) -> Tensor:
        kind = x.dtype
        out = F.linear(x, self.frozen.to(kind), None if self.bias is None else self.bias.to(kind))
        return out + self.scale * F.linear(F.linear(x, self.lora_a.to(kind)), self.lora_b.to(kind))

    def merged(self) -> Linear:
        outputs, inputs = self.frozen.shape
        with torch.device("meta"):
            linear = Linear(inputs, outputs, self.bias is not None)
        linear.weight = nn.Parameter(self.weight.detach())
        linear.bias = self.bias
        return linear


def adapt(model: Transformer, lora: Lora) -> None:
    """Put adapters beside the targets of every layer and freeze all else. Raises Unusable where the model has no such matrix."""
    if any(True for _ in adapted(model)):
        raise Unusable("the model has adapters already; merge them before it gets others")
    found = [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, Linear) and path.rpartition(".")[2] in lora.targets
    ]
    have = {path.rpartition(".")[2] for path, _ in found}
    if missing := [target for target in lora.targets if target not in have]:
        why = "; its experts' matrices take no adapter" if model.shape.experts is not None else ""
        raise Unusable(
            f"the model has no matrix {', '.join(missing)} to adapt{why}; of the targets it has "
            f"{', '.join(target for target in lora.targets if target in have) or 'none'}"
        )
    model.requires_grad_(False)
    for path, module in found:
        _put(model, path, Adapted(module, lora.rank, lora.alpha))


def merge(model: Transformer) -> None:
    """Add each adapter to its weights and take it away; every weight may be trained again."""
    for path, module in [*adapted(model)]:
        _put(model, path, module.merged())
    model.requires_grad_(True)


def adapted(model: nn.Module) -> Iterator[tuple[str, Adapted]]:
    """Path and module of each adapted matrix, in the order of the model."""
    for path, module in model.named_modules():
        if isinstance(module, Adapted):
            yield path, module


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """While the block runs the model computes as if it had none: a reference that needs no copy."""
    scales = [(module, module.scale) for _, module in adapted(model)]
    for module, _ in scales:
        module.scale = 0.0
    try:
        yield
    finally:
        for module, scale in scales:
            module.scale = scale


def adapter_state(model: Transformer) -> dict[str, Tensor]:
    """A and B alone, by their names in the model: `blocks.0.attention.q.lora_a` [R, I], `...lora_b` [O, R]."""
    return {f"{path}.{name}": getattr(module, name).detach() for path, module in adapted(model) for name in ("lora_a", "lora_b")}


def load_adapter_state(model: Transformer, state: Mapping[str, Tensor]) -> None:
    """Fill the adapters of `model`. Raises Unusable where names or shapes are not theirs."""
    expected = adapter_state(model)
    if state.keys() != expected.keys():
        odd = sorted(state.keys() ^ expected.keys())
        raise Unusable(f"the adapter's tensors are not the model's: {odd[0]} and {len(odd) - 1} more are in one of them alone")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise Unusable(f"the adapter's {name} is {list(tensor.shape)}; the model's is {list(expected[name].shape)}")
        expected[name].copy_(tensor)


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
