"""Low-rank adapters: they begin as nothing, learn alone, and merge into the very model that they made."""

import copy

import pytest
import torch
import torch.nn.functional as F

from models.transformer.generate import Request, generate
from models.transformer.lora import Lora, adapt, adapted, adapter_state, load_adapter_state, merge
from models.transformer.sampling import Sampling
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

SHAPE = Shape(vocab=50, width=16, layers=2, heads=4, kv_heads=2, head_width=4, hidden=24, context=12)
GPT2 = Shape(vocab=50, width=16, layers=2, heads=4, kv_heads=4, head_width=4, hidden=24, context=12, family="gpt2", qk_norm=False)
TOKENS = torch.arange(20).view(2, 10) * 7 % 50


def random_model(shape: Shape = SHAPE, compute: torch.dtype = torch.float32) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(shape, compute)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.2)
    return model


def filled(model: Transformer) -> None:
    """Adapters that have learnt something."""
    torch.manual_seed(2)
    with torch.no_grad():
        for _, module in adapted(model):
            module.lora_b.normal_(std=0.3)


def test_a_new_adapter_changes_nothing() -> None:
    model = random_model()
    before = model(TOKENS)
    adapt(model, Lora(rank=4))
    assert torch.equal(model(TOKENS), before)


@pytest.mark.parametrize("shape", [SHAPE, GPT2], ids=["qwen3", "gpt2"])
def test_the_merged_model_computes_what_the_adapted_one_did(shape: Shape) -> None:
    model = random_model(shape)
    names, before = set(model.state_dict()), model(TOKENS)
    targets = ("q", "k", "v", "o", "up", "down") if shape is GPT2 else Lora().targets
    adapt(model, Lora(rank=3, alpha=5.0, targets=targets))
    filled(model)
    learnt = model(TOKENS)
    assert (learnt - before).abs().max() > 0.1
    merge(model)
    torch.testing.assert_close(model(TOKENS), learnt, atol=1e-5, rtol=1e-5)
    assert set(model.state_dict()) == names
    assert all(weight.requires_grad for weight in model.parameters())
    assert not [*adapted(model)]


def test_the_product_is_scaled_by_alpha_over_rank() -> None:
    model = random_model()
    weight = model.blocks[1].attention.v.weight.detach().clone()
    adapt(model, Lora(rank=2, alpha=6.0, targets=("v",)))
    filled(model)
    a, b = (adapter_state(model)[f"blocks.1.attention.v.lora_{one}"].clone() for one in "ab")
    merge(model)
    torch.testing.assert_close(model.blocks[1].attention.v.weight.detach(), weight + 3.0 * b @ a)


def test_only_the_adapters_learn() -> None:
    model = random_model()
    adapt(model, Lora(rank=2, targets=("q", "down")))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert sum(weight.numel() for weight in trained) == 2 * 2 * (16 + 16) + 2 * 2 * (24 + 16)
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    losses = []
    for _ in range(5):
        loss = F.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == set(adapter_state(model))


def test_whoever_reads_the_weight_of_an_adapted_matrix_gets_that_of_the_merged_one() -> None:
    model = random_model()
    plain = model.blocks[0].attention.k.weight.detach().clone()
    adapt(model, Lora(rank=2))
    filled(model)
    read = model.blocks[0].attention.k.weight.detach().clone()
    assert (read - plain).abs().max() > 0.1
    merge(model)
    assert torch.equal(model.blocks[0].attention.k.weight, read)


def test_generation_uses_what_the_adapters_have_learnt() -> None:
    model = random_model()
    request = Request([3, 5, 7], max_new_tokens=8, sampling=Sampling(temperature=0))
    before = generate(model, [request])[0].tokens
    adapt(model, Lora(rank=2))
    filled(model)
    adapted_tokens = generate(model, [request])[0].tokens
    merge(model)
    assert adapted_tokens == generate(model, [request])[0].tokens
    assert adapted_tokens != before


def test_bf16_mathematics_leaves_the_adapters_in_fp32() -> None:
    model = random_model(compute=torch.bfloat16)
    adapt(model, Lora(rank=2))
    filled(model)
    assert model(TOKENS).dtype == torch.bfloat16
    assert {tensor.dtype for tensor in adapter_state(model).values()} == {torch.float32}


def test_an_adapter_goes_from_one_model_to_another_of_its_kind() -> None:
    model, lora = random_model(), Lora(rank=4, targets=("gate", "o"))
    other = copy.deepcopy(model)
    adapt(model, lora)
    filled(model)
    adapt(other, lora)
    load_adapter_state(other, adapter_state(model))
    assert torch.equal(other(TOKENS), model(TOKENS))


def test_an_adapter_of_another_rank_or_of_other_targets_is_refused() -> None:
    model, other, third = random_model(), random_model(), random_model()
    adapt(model, Lora(rank=4, targets=("q",)))
    adapt(other, Lora(rank=2, targets=("q",)))
    adapt(third, Lora(rank=4, targets=("k",)))
    with pytest.raises(Unusable, match=r"blocks.0.attention.q.lora_a is \[2, 16\]; the model's is \[4, 16\]"):
        load_adapter_state(model, adapter_state(other))
    with pytest.raises(Unusable, match=r"blocks.0.attention.k.lora_a and 7 more are in one of them alone"):
        load_adapter_state(model, adapter_state(third))


def test_what_the_model_lacks_is_refused_and_the_model_stays_whole() -> None:
    experts = Shape(**{**vars(SHAPE), "experts": Experts(count=2, active=1, hidden=8)})
    for shape, targets, text in (
        (experts, ("q", "up"), "no matrix up to adapt; its experts' matrices take no adapter; of the targets it has q"),
        (GPT2, ("gate",), "no matrix gate to adapt; of the targets it has none"),
    ):
        model = random_model(shape)
        before = model(TOKENS)
        with pytest.raises(Unusable, match=text):
            adapt(model, Lora(targets=targets))
        assert torch.equal(model(TOKENS), before)
        assert all(weight.requires_grad for weight in model.parameters())


def test_a_second_adapter_and_settings_without_sense_are_refused() -> None:
    model = random_model()
    adapt(model, Lora())
    with pytest.raises(Unusable, match="has adapters already"):
        adapt(model, Lora())
    with pytest.raises(Unusable, match="rank 0 and alpha"):
        Lora(rank=0)
    with pytest.raises(Unusable, match="'embedding' to adapt; expected some of q, k"):
        Lora(targets=("q", "embedding"))
    with pytest.raises(Unusable, match="nothing to adapt"):
        Lora(targets=())
