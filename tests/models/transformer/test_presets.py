import pytest
import torch

from models.transformer.counting import flops_per_token, parameters
from models.transformer.presets import BLOCK, PRESETS, of_depth, preset
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

ONES = {"vocab": 31, "width": 16, "layers": 2, "heads": 4, "kv_heads": 2, "head_width": 4, "hidden": 24, "context": 20}
OTHERS = [
    Shape(**ONES, qk_norm=False, tied=False),
    Shape(**ONES, experts=Experts(count=5, active=2, hidden=8)),
    Shape(**ONES | {"kv_heads": 4}, family="gpt2", qk_norm=False, tied=False),
]


@pytest.mark.parametrize("shape", [*PRESETS.values(), *OTHERS])
def test_parameters_are_counted_as_they_are(shape: Shape) -> None:
    with torch.device("meta"):
        model = Transformer(shape)
    counted = parameters(shape)
    assert counted.total == sum(weight.numel() for weight in model.parameters())
    assert counted.embedding == sum(
        weight.numel() for name, weight in model.named_parameters() if name.startswith(("emb", "pos"))
    )
    resting = 0 if shape.experts is None else shape.experts.count - shape.experts.active
    experts = [weight for name, weight in model.named_parameters() if weight.ndim == 3]
    assert counted.active == counted.total - sum(resting * weight[0].numel() for weight in experts)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "demo"])
def test_every_width_into_a_matrix_is_a_multiple_of_256(name: str) -> None:
    with torch.device("meta"):
        model = Transformer(PRESETS[name])
    matrices = {key: weight for key, weight in model.named_parameters() if weight.ndim >= 2 and not key.startswith("positions")}
    assert len(matrices) > 6 * PRESETS[name].layers
    assert all(weight.shape[-1] % BLOCK == 0 for weight in matrices.values())


def test_sizes_are_those_of_their_names() -> None:
    millions = {name: round(parameters(shape).total / 1e6) for name, shape in PRESETS.items()}
    assert millions == {
        "demo": 1, "small": 7, "small-moe": 22, "35m": 34, "100m": 103, "gpt2-124m": 124, "400m": 416, "1.5b": 1577,
    }  # fmt: skip


def test_gpt2_is_the_published_one() -> None:
    assert parameters(PRESETS["gpt2-124m"]).total == 124_439_808  # of the checkpoint `gpt2`


def test_the_mixture_computes_as_much_as_small() -> None:
    dense, mixture = PRESETS["small"], PRESETS["small-moe"]
    assert parameters(mixture).total > 3 * parameters(dense).total
    assert flops_per_token(mixture) == pytest.approx(flops_per_token(dense), rel=0.005)  # the router


def test_another_vocabulary_and_context_may_be_asked_for() -> None:
    shape = preset("small", vocab=777, context=99)
    assert (shape.vocab, shape.context, shape.width) == (777, 99, 256)
    assert preset("small") == PRESETS["small"]


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(Unusable, match="no preset is called 'tiny'; expected one of demo, small, "):
        preset("tiny")


def test_the_dial_makes_models_larger() -> None:
    sizes = [parameters(of_depth(depth, 1000, 64)).total for depth in range(4, 40)]
    assert sizes == sorted(set(sizes))
    with pytest.raises(Unusable, match="a depth of 3 layers"):
        of_depth(3, 1000, 64)


def test_flops_are_those_of_palm() -> None:
    """Chowdhery et al. 2022, appendix B: 6 N + 12 L H Q T, with N without the embedding; GPT-2's tied output matrix multiplies."""
    shape = PRESETS["gpt2-124m"]
    matrices = 12 * 12 * 768**2
    assert flops_per_token(shape) == 6 * (matrices + 50257 * 768) + 12 * 12 * 12 * 64 * 1024
    assert flops_per_token(shape, 512) == 6 * (matrices + 50257 * 768) + 12 * 12 * 12 * 64 * 512
