"""config.json: what it says of a shape, and what is refused by name."""

from typing import Any

import pytest

from models.formats.configuration import architecture_of, config_of, shape_of
from models.transformer.presets import PRESETS
from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.unusable import Unusable

LLAMA: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
}  # fmt: skip
QWEN3 = LLAMA | {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True}
MOE = QWEN3 | {"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
MIXTRAL = LLAMA | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
GPT2: dict[str, Any] = {
    "model_type": "gpt2", "vocab_size": 100, "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64,
    "activation_function": "gelu_new",
}  # fmt: skip
OLD_LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
}  # fmt: skip
SCALING = Llama3Scaling(8.0, 1.0, 4.0, 16)


def test_each_family_is_read() -> None:
    llama = Shape(
        vocab=100, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=64, qk_norm=False, tied=False, eps=1e-5
    )  # fmt: skip
    assert shape_of(LLAMA) == (llama, "llama")
    qwen3 = shape_of(QWEN3)[0]
    assert (qwen3.qk_norm, qwen3.tied, qwen3.head_width) == (True, True, 16)
    moe = shape_of(MOE)[0]
    assert (moe.qk_norm, moe.experts) == (True, Experts(8, 2, 24, normalised=False))
    mixtral = shape_of(MIXTRAL)[0]
    assert (mixtral.qk_norm, mixtral.experts, mixtral.theta) == (False, Experts(8, 2, 48), 1e6)
    gpt2 = shape_of(GPT2)[0]
    assert (gpt2.family, gpt2.hidden, gpt2.tied, gpt2.eps, gpt2.qk_norm) == ("gpt2", 128, True, 1e-5, False)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 5e5, "rope_scaling": OLD_LLAMA3},
        {
            "rope_theta": 5e5,
            "rope_scaling": {("type" if key == "rope_type" else key): value for key, value in OLD_LLAMA3.items()},
        },
        {"rope_parameters": OLD_LLAMA3 | {"rope_theta": 5e5}},
        {"rope_theta": 1.0, "rope_parameters": OLD_LLAMA3 | {"rope_theta": 5e5}},
    ],
)
def test_rotary_settings_are_read_in_the_layouts_of_transformers_4_and_5(rope: dict[str, Any]) -> None:
    shape = shape_of(LLAMA | rope)[0]
    assert (shape.theta, shape.scaling) == (5e5, SCALING)


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        (LLAMA | {"model_type": "gemma"}, "model_type is 'gemma'; expected one of llama, "),
        ({key: value for key, value in LLAMA.items() if key != "model_type"}, "model_type is None"),
        (LLAMA | {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        (LLAMA | {"attention_bias": True}, "attention_bias is True"),
        (LLAMA | {"mlp_bias": True}, "mlp_bias is True"),
        (LLAMA | {"quantization_config": {"quant_method": "gptq"}}, "quantization_config is {'quant_method': 'gptq'}"),
        (LLAMA | {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling.rope_type is 'yarn'; expected default or llama3"),
        (LLAMA | {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling.rope_type is 'linear'"),
        (LLAMA | {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4}}, "rope_parameters.rope_type is 'dynamic'"),
        (LLAMA | {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "rope_parameters.partial_rotary_factor is 0.5"),
        (LLAMA | {"partial_rotary_factor": 0.25}, "partial_rotary_factor is 0.25"),
        (LLAMA | {"rope_scaling": {"rope_type": "llama3"}}, "factor is None; expected a number"),
        (QWEN3 | {"use_sliding_window": True, "sliding_window": 16}, "sliding_window is 16 in a context of 64"),
        (QWEN3 | {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types holds 'sliding_attention'"),
        (MIXTRAL | {"sliding_window": 8}, "sliding_window is 8"),
        (MIXTRAL | {"sliding_window": [1]}, r"sliding_window is \[1\]; expected a whole number"),
        (QWEN3 | {"layer_types": 5}, "layer_types is 5; expected a list"),
        (LLAMA | {"model_type": ["llama"]}, r"model_type is \['llama'\]"),
        (LLAMA | {"model_type": "mistral", "max_position_embeddings": 8192}, "sliding_window is 4096 in a context of 8192"),
        (MOE | {"decoder_sparse_step": 2}, "decoder_sparse_step is 2"),
        (MOE | {"mlp_only_layers": [0]}, r"mlp_only_layers is \[0\]"),
        (MOE | {"num_experts_per_tok": 9}, "9 active of 8 experts"),
        (GPT2 | {"activation_function": "relu"}, "activation_function is 'relu'"),
        (GPT2 | {"activation_function": "gelu"}, "activation_function is 'gelu'"),
        (GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        (GPT2 | {"scale_attn_weights": False}, "scale_attn_weights is False"),
        (GPT2 | {"n_head": 5}, "n_embd is 32 with 5 heads"),
        (LLAMA | {"hidden_size": "32"}, "hidden_size is '32'; expected a whole number of at least 1"),
        (LLAMA | {"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        (LLAMA | {"num_hidden_layers": True}, "num_hidden_layers is True"),
        (LLAMA | {"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes'; expected true or false"),
        (LLAMA | {"num_key_value_heads": 3}, "4 query heads over 3 key-value heads"),
        (LLAMA | {"rms_norm_eps": "tiny"}, "rms_norm_eps is 'tiny'; expected a number"),
        ({key: value for key, value in QWEN3.items() if key != "vocab_size"}, "vocab_size is None"),
    ],
)  # fmt: skip
def test_what_a_shape_cannot_say_is_refused_by_its_name_and_value(config: dict[str, Any], refused: str) -> None:
    with pytest.raises(Unusable, match=refused):
        shape_of(config)


@pytest.mark.parametrize(
    "fields",
    [
        {"use_sliding_window": False, "sliding_window": 16},  # of qwen3: switched off
        {"use_sliding_window": True, "sliding_window": 64},  # hides nothing
        {"attention_dropout": 0.1, "_name_or_path": "x", "torch_dtype": "bfloat16", "rope_scaling": None, "max_window_layers": 1},
    ],
)
def test_what_does_not_touch_the_mathematics_is_passed_over(fields: dict[str, Any]) -> None:
    assert shape_of(QWEN3 | fields) == shape_of(QWEN3)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_the_same_after_config_json(name: str) -> None:
    shape = PRESETS[name]
    config = config_of(shape, "float32", 1, (2,), 0)
    assert shape_of(config) == (shape, architecture_of(shape))
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 0)


def test_experts_that_no_architecture_computes_are_not_written() -> None:
    shape = Shape(
        vocab=9, width=8, layers=1, heads=2, kv_heads=1, head_width=4, hidden=8, context=8, qk_norm=False,
        experts=Experts(count=4, active=2, hidden=8, normalised=False),
    )  # fmt: skip
    with pytest.raises(Unusable, match="experts whose weights do not add up to one, without qk_norm"):
        config_of(shape, "float32", None, (), None)
