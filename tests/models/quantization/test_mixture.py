"""Which kind each tensor gets."""

from models.formats.gguf_names import shapes
from models.quantization.mixture import kinds
from models.transformer.presets import PRESETS
from models.transformer.shape import Experts, Shape

EIGHT_B = Shape(
    vocab=128_256, width=4096, layers=32, heads=32, kv_heads=8, head_width=128, hidden=14_336, context=8, qk_norm=False, tied=False
)  # fmt: skip


def test_llama_8b_has_the_published_mixture_of_q4_k_m() -> None:
    found = kinds(shapes(EIGHT_B), "Q4_K_M")
    assert found["token_embd.weight"] == "Q4_K"
    assert found["output.weight"] == "Q6_K"
    assert found["blk.0.attn_norm.weight"] == "F32"
    more = [layer for layer in range(32) if found[f"blk.{layer}.attn_v.weight"] == "Q6_K"]
    assert more == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    assert all((found[f"blk.{layer}.ffn_down.weight"] == "Q6_K") == (layer in more) for layer in range(32))
    assert {found[f"blk.{layer}.ffn_up.weight"] for layer in range(32)} == {"Q4_K"}


def test_rows_that_do_not_divide_get_a_kind_of_smaller_blocks() -> None:
    found = kinds(shapes(PRESETS["demo"]), "Q4_K_M")  # rows of 128 and 384
    assert found["token_embd.weight"] == "Q8_0"
    assert found["blk.0.attn_q.weight"] == "Q5_0"
    assert {found[f"blk.{layer}.attn_v.weight"] for layer in range(4)} == {"Q5_0", "Q8_0"}
    odd = kinds({"token_embd.weight": (64, 40), "output.weight": (64, 40), "blk.0.attn_q.weight": (40, 40)}, "Q5_K_S")
    assert odd == {"token_embd.weight": "F16", "output.weight": "F16", "blk.0.attn_q.weight": "F16"}


def test_eight_experts_keep_more_bits_in_attention() -> None:
    shape = Shape(
        vocab=64, width=256, layers=2, heads=4, kv_heads=2, head_width=64, hidden=256, context=8, qk_norm=False,
        experts=Experts(8, 2, 256),
    )  # fmt: skip
    found = kinds(shapes(shape), "Q4_K_M", experts=8)
    assert (found["blk.0.attn_k.weight"], found["blk.0.attn_v.weight"], found["blk.0.attn_output.weight"]) == (
        "Q8_0",
        "Q8_0",
        "Q5_K",
    )
    assert found["blk.0.ffn_gate_inp.weight"] == "F32"


def test_with_importance_the_first_layers_of_q4_0_have_a_minimum() -> None:
    tensors = shapes(Shape(vocab=64, width=64, layers=8, heads=2, kv_heads=1, head_width=32, hidden=96, context=8))
    assert kinds(tensors, "Q4_0", importance=True)["blk.0.ffn_down.weight"] == "Q4_1"
    assert kinds(tensors, "Q4_0", importance=True)["blk.1.ffn_down.weight"] == "Q4_0"
    assert kinds(tensors, "Q4_0")["blk.0.ffn_down.weight"] == "Q4_0"


def test_seventy_billion_parameters_have_a_rule_of_their_own() -> None:
    shape = Shape(vocab=64, width=64, layers=80, heads=8, kv_heads=1, head_width=8, hidden=64, context=8, qk_norm=False)
    sizes = {name: (*size[:-1], 256) for name, size in shapes(shape).items()}
    found = kinds(sizes, "Q4_K_M")
    assert {found[f"blk.{layer}.attn_v.weight"] for layer in range(80)} == {"Q6_K", "Q5_K"}
