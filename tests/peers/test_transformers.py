"""Models go both ways between Winnow and Hugging Face's transformers, and their logits agree."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.formats.configuration import CLASSES, shape_of
from models.formats.pretrained import load_model, save_model
from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.transformer.transformer import Transformer

transformers = pytest.importorskip("transformers")

SIZES: dict[str, Any] = {
    "vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 24,
}  # fmt: skip
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3 with heads of its own width, untied, stretched": ("Qwen3", {"head_dim": 12, "rope_parameters": LLAMA3}),
    "llama": ("Llama", {}),
    "llama of 3.1": ("Llama", {"rope_parameters": LLAMA3, "rms_norm_eps": 1e-5}),
    "llama without grouped heads": ("Llama", {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "mistral without a window": ("Mistral", {"sliding_window": None}),
    "qwen3-moe": ("Qwen3Moe", {"head_dim": 8, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 24}),
    "qwen3-moe, weights that add up to one": (
        "Qwen3Moe", {"num_experts": 4, "num_experts_per_tok": 3, "moe_intermediate_size": 20, "norm_topk_prob": True},
    ),
    "mixtral": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
}  # fmt: skip
TOKENS = torch.arange(2 * 50).view(2, 50) * 7 % 61


def foreign(kind: str, fields: dict[str, Any]) -> Any:
    """A tiny model of transformers, its random weights far from zero: a wrong layout must show."""
    torch.manual_seed(0)
    if kind == "GPT2":
        config = transformers.GPT2Config(
            vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2, **fields
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = getattr(transformers, f"{kind}Config")(**SIZES | fields)
        model = getattr(transformers, f"{kind}ForCausalLM")(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.3)
    return model.eval()


@pytest.mark.parametrize("name", [*MODELS, "gpt2", "gpt2 untied"])
def test_a_model_of_transformers_computes_the_same_here(name: str, tmp_path: Path) -> None:
    kind, fields = MODELS.get(name, ("GPT2", {"tie_word_embeddings": name == "gpt2"}))
    theirs = foreign(kind, fields)
    theirs.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    with torch.no_grad():
        expected, found = theirs(TOKENS).logits, ours(TOKENS)
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    with torch.enable_grad():  # another path on CPUs
        torch.testing.assert_close(ours(TOKENS).detach(), expected, rtol=0, atol=1e-4)


BASE = Shape(vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=64)
SHAPES = {
    "qwen3": BASE,
    "qwen3 untied, stretched": replace(BASE, tied=False, theta=100.0, scaling=Llama3Scaling(8.0, 1.0, 4.0, 24), head_width=12),
    "llama": replace(BASE, qk_norm=False, eps=1e-5),
    "llama of 3.1": replace(BASE, qk_norm=False, theta=100.0, scaling=Llama3Scaling(8.0, 1.0, 4.0, 24)),
    "qwen3_moe": replace(BASE, experts=Experts(count=5, active=2, hidden=24, normalised=False, balance=0.02)),
    "mixtral": replace(BASE, qk_norm=False, hidden=24, experts=Experts(count=4, active=2, hidden=24)),
    "gpt2": replace(BASE, family="gpt2", qk_norm=False, kv_heads=4, hidden=128),
    "gpt2 untied, another hidden": replace(BASE, family="gpt2", qk_norm=False, kv_heads=4, tied=False),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_of_ours_computes_the_same_in_transformers(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = Transformer(SHAPES[name])
    for weight in ours.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.3)
        weight.data = weight.data.to(dtype).float()  # so that writing in `dtype` loses nothing
    save_model(ours, tmp_path, start=1, stops=(2, 3), pad=0, dtype=dtype)
    theirs, said = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, output_loading_info=True)
    assert not any(said.values()), said  # no tensor missing, left over or of another shape
    assert type(theirs).__name__ == CLASSES[name.split()[0]]  # type: ignore[index]
    with torch.no_grad():
        torch.testing.assert_close(theirs(TOKENS).logits, ours(TOKENS), rtol=0, atol=1e-4)
    generation = theirs.generation_config
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (1, [2, 3], 0)
    again = load_model(tmp_path)
    assert again.shape == ours.shape
    assert torch.equal(again(TOKENS), ours(TOKENS))


def test_greedy_continuations_in_transformers_are_those_of_our_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = Transformer(BASE)
    for weight in ours.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.3)
    save_model(ours, tmp_path, start=1, stops=(60,), pad=0)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    begun = TOKENS[:1, :5]
    expected = begun
    for _ in range(10):
        expected = torch.cat((expected, ours(expected)[:, -1].argmax(-1, keepdim=True)), 1)
    found = theirs.generate(begun, do_sample=False, max_new_tokens=10, attention_mask=torch.ones_like(begun))
    assert 60 not in expected[0, 5:]
    assert found.tolist() == expected.tolist()


HARMLESS = {
    "attention_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "initializer_range", "use_cache", "pretraining_tp",
    "output_router_logits", "router_jitter_noise", "bos_token_id", "eos_token_id", "pad_token_id", "max_window_layers",
    "reorder_and_upcast_attn", "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
    "summary_first_dropout", "n_ctx",
}  # fmt: skip


class Noting(dict[str, Any]):
    """A config that knows which of its fields were asked for."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.asked: set[str] = set()

    def get(self, field: str, default: Any = None) -> Any:
        self.asked.add(field)
        return super().get(field, default)


@pytest.mark.parametrize("architecture", CLASSES)
def test_every_field_that_transformers_has_is_read_or_known_to_be_harmless(architecture: str) -> None:
    """A field of a later version must not slip through unread."""
    fields = transformers.AutoConfig.for_model(architecture).to_dict()
    config = Noting(fields | {"use_sliding_window": True, "sliding_window": None})
    shape_of(config)
    own = set(fields) - set(transformers.PretrainedConfig().to_dict())
    assert own - config.asked - HARMLESS == set()


def test_weights_in_shards_are_read(tmp_path: Path) -> None:
    theirs = foreign("Qwen3", {"head_dim": 16})
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]) > 10
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(TOKENS), theirs(TOKENS).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_become_fp32(dtype: torch.dtype, tmp_path: Path) -> None:
    foreign("Llama", {}).to(dtype).save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert {weight.dtype for weight in ours.parameters()} == {torch.float32}
    with torch.no_grad():
        torch.testing.assert_close(ours(TOKENS), theirs(TOKENS).logits, rtol=0, atol=1e-4)


def test_a_bare_gpt2_as_it_was_published_is_read(tmp_path: Path) -> None:
    """Without the prefix `transformer.` and with causal masks among the tensors."""
    from safetensors.torch import load_file, save_file

    theirs = foreign("GPT2", {})
    theirs.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
    save_file(tensors | {f"h.{layer}.attn.bias": torch.ones(1, 1, 64, 64).tril() for layer in range(2)}, file)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(TOKENS), theirs(TOKENS).logits, rtol=0, atol=1e-4)


def test_the_balance_loss_of_one_row_is_that_of_transformers() -> None:
    torch.manual_seed(0)
    model = Transformer(replace(BASE, layers=1, experts=Experts(count=5, active=2, hidden=24, balance=0.5)))
    routed: list[torch.Tensor] = []
    model.experts()[0].router.register_forward_hook(lambda module, given, logits: routed.append(logits))
    model.hidden(TOKENS[:1])
    from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

    expected = load_balancing_loss_func(tuple(routed), 5, 2)
    torch.testing.assert_close(model.balance(), 0.5 * 50 * expected)
