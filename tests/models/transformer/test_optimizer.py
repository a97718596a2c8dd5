"""Which optimizer moves what; Muon against torch's own, stacks of matrices slice by slice; states that go on to the bit."""

import copy

import pytest
import torch
from torch import nn

from models.transformer.muon import Muon, orthogonalise
from models.transformer.optimizer import optimizers, split
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer

SHAPE = Shape(
    vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=16, tied=False,
    experts=Experts(count=4, active=2, hidden=24),
)  # fmt: skip


def moved(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter], steps: int) -> None:
    for step in range(steps):
        for place, weight in enumerate(weights):
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(100 * step + place))
        optimizer.step()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_muon_moves_matrices_as_torch_does(weight_decay: float) -> None:
    shapes = [(16, 16), (48, 16), (16, 48), (48, 16), (1, 16)]
    ours = [nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1))) for shape in shapes]
    theirs = copy.deepcopy(ours)
    moved(Muon(ours, lr=0.02, weight_decay=weight_decay), ours, 5)
    moved(torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=weight_decay), theirs, 5)
    for mine, other in zip(ours, theirs, strict=True):
        # Five steps of at most .02 * sqrt(3); both orthogonalise in bfloat16, which has three decimal digits.
        torch.testing.assert_close(mine, other, rtol=0, atol=5e-4)


def test_the_direction_of_muon_has_singular_values_near_one() -> None:
    for shape in ((3, 20, 50), (3, 50, 20)):
        found = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert found.min() > 0.5
        assert found.max() < 1.3


def test_muon_moves_every_expert_by_itself() -> None:
    stack = nn.Parameter(torch.randn(4, 24, 16, generator=torch.Generator().manual_seed(1)))
    apart = [nn.Parameter(one.clone()) for one in stack.detach()]
    for step in range(3):
        stack.grad = torch.randn(stack.shape, generator=torch.Generator().manual_seed(step)) * torch.tensor([1, 10, 0.1, 5]).view(
            4, 1, 1
        )
        for weight, grad in zip(apart, stack.grad, strict=True):
            weight.grad = grad.clone()
        if step == 0:
            together, alone = Muon([stack], dtype=torch.float32), [Muon([one], dtype=torch.float32) for one in apart]
        together.step()
        for optimizer in alone:
            optimizer.step()
    torch.testing.assert_close(stack, torch.stack(list(apart)), rtol=0, atol=1e-5)


def test_muon_takes_no_vector() -> None:
    with pytest.raises(ValueError, match=r"matrices and stacks of them, found a weight of shape \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_embeddings_outputs_routers_norms_and_biases_are_not_muons() -> None:
    model = Transformer(SHAPE)
    matrices, others = split(model.named_parameters())
    names = {weight: name for name, weight in model.named_parameters()}
    inside = {names[weight].split(".", 2)[-1] for weight in matrices}
    assert inside == {
        *(f"attention.{one}.weight" for one in "qkvo"), "feed_forward.gate", "feed_forward.up", "feed_forward.down",
    }  # fmt: skip
    assert {names[weight] for weight in others} >= {
        "embedding.weight",
        "output.weight",
        "blocks.0.feed_forward.router.weight",
        "norm.weight",
    }
    assert len(matrices) + len(others) == len(names)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_frozen_weights_are_left_out_and_every_other_is_moved_once(kind: str) -> None:
    model = Transformer(SHAPE)
    model.embedding.weight.requires_grad_(False)
    for weight in model.blocks[0].parameters():
        weight.requires_grad_(False)
    found = [weight for one in optimizers(model, kind) for group in one.param_groups for weight in group["params"]]  # type: ignore[arg-type]
    assert sorted(map(id, found)) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)


def test_rates_and_decay_are_those_of_the_group() -> None:
    muon, adamw = optimizers(Transformer(SHAPE), matrix_rate=0.1, rate=0.2, embedding_rate=0.3, weight_decay=0.4)
    assert [(group["lr"], group["weight_decay"]) for group in muon.param_groups] == [(0.1, 0.4)]
    assert [(group["lr"], group["weight_decay"]) for group in adamw.param_groups] == [(0.2, 0.0), (0.3, 0.0)]
    [alone] = optimizers(Transformer(SHAPE), "adamw", rate=0.2, weight_decay=0.4)
    assert [(group["lr"], group["weight_decay"]) for group in alone.param_groups] == [(0.2, 0.4), (0.2, 0.0)]


@pytest.mark.parametrize("kind", ["muon", "adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_state_that_was_stored_goes_on_to_the_bit(kind: str, dtype: torch.dtype) -> None:
    def steps(model: Transformer, found: list[torch.optim.Optimizer], first: int, last: int) -> None:
        for step in range(first, last):
            for place, weight in enumerate(model.parameters()):
                weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1000 * step + place))
            for optimizer in found:
                optimizer.step()

    torch.manual_seed(0)
    whole = Transformer(SHAPE)
    resumed = copy.deepcopy(whole)
    one, two, three = (optimizers(model, kind, compute=dtype) for model in (whole, resumed, resumed))  # type: ignore[arg-type]
    steps(whole, one, 0, 6)
    steps(resumed, two, 0, 3)
    for old, new in zip(two, three, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    steps(resumed, three, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
