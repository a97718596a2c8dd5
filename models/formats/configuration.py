"""config.json of Hugging Face's model folders: to a Shape and back.

In: the parsed config.json of a Llama, Mistral, Qwen3, Qwen3-MoE, Mixtral or GPT-2 model, in the layout of transformers 4
(`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`). Out: a Shape. What a Shape cannot say (sliding windows, biases, other
activations, other rotary scalings, quantized weights) is refused by the field's name and value; fields that do not touch the
mathematics of inference (dropout, initializer_range ...) are passed over, as are those that transformers itself does not read.
Source: the configuration classes of transformers 5.23.

| Shape | written as |
|---|---|
| family gpt2 | gpt2 |
| experts, qk_norm | qwen3_moe |
| experts, no qk_norm, normalised | mixtral |
| qk_norm | qwen3 |
| else | llama |
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.unusable import Unusable

Architecture = Literal["llama", "mistral", "qwen3", "qwen3_moe", "mixtral", "gpt2"]
CLASSES: Mapping[Architecture, str] = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "gpt2": "GPT2LMHeadModel",
}

# Field -> the only values under which our mathematics is the model's; absent counts as the first.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "partial_rotary_factor": (None, 1, 1.0),
    "quantization_config": (None,),
    "decoder_sparse_step": (1,),
    "mlp_only_layers": (None, []),
    "is_encoder_decoder": (False, None),
}
_NEUTRAL_GPT2: Mapping[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False, None),
    "add_cross_attention": (False, None),
    "quantization_config": (None,),
    "is_encoder_decoder": (False, None),
}


def architecture_of(shape: Shape) -> Architecture:
    """The one Hugging Face architecture that computes what this shape does."""
    if shape.family == "gpt2":
        return "gpt2"
    if shape.experts is None:
        return "qwen3" if shape.qk_norm else "llama"
    if shape.qk_norm:
        return "qwen3_moe"
    if not shape.experts.normalised:
        raise Unusable("experts whose weights do not add up to one, without qk_norm: no Hugging Face architecture computes that")
    return "mixtral"


def shape_of(config: Mapping[str, Any]) -> tuple[Shape, Architecture]:
    """Raises Unusable with the field's name and value when the model is not one of ours."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CLASSES:
        raise Unusable(f"model_type is {kind!r}; expected one of {', '.join(CLASSES)}")
    architecture = cast(Architecture, kind)
    for field, allowed in (_NEUTRAL_GPT2 if architecture == "gpt2" else _NEUTRAL).items():
        if (value := config.get(field, allowed[0])) not in allowed:
            expected = " or ".join(repr(one) for one in allowed if one is not None) or "none"
            raise Unusable(f"{field} is {value!r}, which this model definition does not compute; expected {expected}")
    return (_gpt2(config) if architecture == "gpt2" else _llama(config, architecture)), architecture


def _gpt2(config: Mapping[str, Any]) -> Shape:
    width, heads = _whole(config, "n_embd"), _whole(config, "n_head")
    if width % heads:
        raise Unusable(f"n_embd is {width} with {heads} heads; expected a multiple of n_head")
    return Shape(
        vocab=_whole(config, "vocab_size"), width=width, layers=_whole(config, "n_layer"), heads=heads, kv_heads=heads,
        head_width=width // heads, hidden=_whole(config, "n_inner", 4 * width), context=_whole(config, "n_positions"),
        family="gpt2", qk_norm=False, tied=_truth(config, "tie_word_embeddings", True),
        eps=_number(config, "layer_norm_epsilon", 1e-5),
    )  # fmt: skip


def _llama(config: Mapping[str, Any], architecture: Architecture) -> Shape:
    width, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    context = _whole(config, "max_position_embeddings")
    _refuse_windows(config, architecture, context)
    theta, scaling = _rotary(config, 1e6 if architecture == "mixtral" else 10_000.0, context)
    head_width = _whole(config, "head_dim", 128 if architecture == "qwen3" else width // heads)
    hidden = _whole(config, "intermediate_size")
    experts = None
    if architecture in ("qwen3_moe", "mixtral"):
        experts = Experts(
            count=_whole(config, "num_experts", config.get("num_local_experts")),
            active=_whole(config, "num_experts_per_tok"),
            hidden=hidden if architecture == "mixtral" else _whole(config, "moe_intermediate_size"),
            normalised=architecture == "mixtral" or _truth(config, "norm_topk_prob", False),
            balance=_number(config, "router_aux_loss_coef", 0.001),
        )
    return Shape(
        vocab=_whole(config, "vocab_size"), width=width, layers=_whole(config, "num_hidden_layers"), heads=heads,
        kv_heads=_whole(config, "num_key_value_heads", heads if architecture == "llama" else None), head_width=head_width,
        hidden=hidden, context=context, qk_norm=architecture in ("qwen3", "qwen3_moe"),
        tied=_truth(config, "tie_word_embeddings", False),
        eps=_number(config, "rms_norm_eps", 1e-5 if architecture == "mixtral" else 1e-6),
        theta=theta, scaling=scaling, experts=experts,
    )  # fmt: skip


def _refuse_windows(config: Mapping[str, Any], architecture: Architecture, context: int) -> None:
    """A sliding window that is at least as long as the context never hides anything."""
    kinds = config.get("layer_types") or ()
    if not isinstance(kinds, Sequence):
        raise Unusable(f"layer_types is {kinds!r}; expected a list")
    for kind in kinds:
        if kind != "full_attention":
            raise Unusable(f"layer_types holds {kind!r}; expected full_attention alone")
    switched = architecture.startswith("qwen3")
    if switched and not config.get("use_sliding_window", False):
        return
    window = config.get("sliding_window", 4096 if architecture == "mistral" or switched else None)
    if window is not None and not isinstance(window, int):
        raise Unusable(f"sliding_window is {window!r}; expected a whole number, or none")
    if window is not None and window < context:
        raise Unusable(f"sliding_window is {window} in a context of {context}; expected attention over the whole context")


def _rotary(config: Mapping[str, Any], default: float, context: int) -> tuple[float, Llama3Scaling | None]:
    field = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
    rope = config.get(field) or {}
    if not isinstance(rope, Mapping):
        raise Unusable(f"{field} is {rope!r}; expected an object")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", 1) != 1:
        raise Unusable(f"{field}.partial_rotary_factor is {rope['partial_rotary_factor']!r}; expected 1")
    theta = _number(rope if "rope_theta" in rope else config, "rope_theta", default)
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise Unusable(f"{field}.rope_type is {kind!r}; expected default or llama3")
    return theta, Llama3Scaling(
        factor=_number(rope, "factor"),
        low_freq_factor=_number(rope, "low_freq_factor"),
        high_freq_factor=_number(rope, "high_freq_factor"),
        original_context=_whole(rope, "original_max_position_embeddings", context),
    )


def _whole(config: Mapping[str, Any], field: str, default: int | None = None) -> int:
    value = config.get(field)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Unusable(f"{field} is {value!r}; expected a whole number of at least 1")
    return value


def _number(config: Mapping[str, Any], field: str, default: float | None = None) -> float:
    value = config.get(field)
    value = default if value is None else value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unusable(f"{field} is {value!r}; expected a number")
    return float(value)


def _truth(config: Mapping[str, Any], field: str, default: bool) -> bool:
    value = config.get(field)
    value = default if value is None else value
    if not isinstance(value, bool):
        raise Unusable(f"{field} is {value!r}; expected true or false")
    return value


def config_of(shape: Shape, dtype: str, start: int | None, stops: Sequence[int], pad: int | None) -> dict[str, Any]:
    """config.json of this shape, in the layout of transformers 4, which 5, vLLM and llama.cpp's converter read as well."""
    kind = architecture_of(shape)
    ids = {"bos_token_id": start, "eos_token_id": stops[0] if len(stops) == 1 else list(stops) or None, "pad_token_id": pad}
    head = {"architectures": [CLASSES[kind]], "model_type": kind, "vocab_size": shape.vocab}
    tail = {"initializer_range": 0.02, "tie_word_embeddings": shape.tied, "torch_dtype": dtype, "use_cache": True, **ids}
    if kind == "gpt2":
        return {
            **head, "n_embd": shape.width, "n_layer": shape.layers, "n_head": shape.heads, "n_inner": shape.hidden,
            "n_positions": shape.context, "n_ctx": shape.context, "layer_norm_epsilon": shape.eps,
            "activation_function": "gelu_new", "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, **tail,
        }  # fmt: skip
    config = {
        **head, "hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_width, "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.context, "rms_norm_eps": shape.eps, "hidden_act": "silu", "attention_bias": False,
        "attention_dropout": 0.0, "rope_theta": shape.theta, "rope_scaling": _scaling(shape.scaling), **tail,
    }  # fmt: skip
    if kind == "llama":
        config["mlp_bias"] = False
    if kind in ("qwen3", "qwen3_moe"):
        config |= {"use_sliding_window": False, "sliding_window": None, "max_window_layers": shape.layers}
    if shape.experts is not None:
        experts = shape.experts
        config |= {"num_experts_per_tok": experts.active, "router_aux_loss_coef": experts.balance, "output_router_logits": False}
        if kind == "mixtral":
            config |= {"num_local_experts": experts.count, "intermediate_size": experts.hidden, "sliding_window": None}
        else:
            config |= {
                "num_experts": experts.count, "moe_intermediate_size": experts.hidden, "norm_topk_prob": experts.normalised,
                "decoder_sparse_step": 1, "mlp_only_layers": [],
            }  # fmt: skip
    return config


def _scaling(scaling: Llama3Scaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    return {
        "rope_type": "llama3", "factor": scaling.factor, "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor, "original_max_position_embeddings": scaling.original_context,
    }  # fmt: skip
