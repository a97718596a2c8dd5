"""The shape of a model: every number that decides which weights it has and what they do. What trains or runs it is not in here.

Two families: Llama and Qwen3 (RMSNorm, rotary positions, SwiGLU; Touvron et al. 2023, Qwen3 2025) and GPT-2 (LayerNorm, learned
positions, GELU; Radford et al. 2019). Either of the first may be a mixture of experts (Fedus et al. 2021, Qwen3-MoE).
"""

from dataclasses import dataclass
from typing import Literal

from models.unusable import Unusable


@dataclass(frozen=True)
class Llama3Scaling:
    """Rotary frequencies stretched for longer contexts, as Llama 3.1 does (its `rope_scaling` of type llama3)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class Experts:
    """Each token's feed-forward network is the `active` best of `count` small ones, chosen by a router."""

    count: int
    active: int
    hidden: int
    """F of one expert."""
    normalised: bool = True
    """Whether the weights of the chosen experts add up to one."""
    balance: float = 0.001
    """Weight of the load-balance loss (Fedus et al. 2021, section 2.2) in training."""


@dataclass(frozen=True)
class Shape:
    vocab: int
    """V"""
    width: int
    """D: numbers per position between the layers."""
    layers: int
    """L"""
    heads: int
    """H: query heads."""
    kv_heads: int
    """K: key and value heads; H is a multiple of it."""
    head_width: int
    """C: numbers per head."""
    hidden: int
    """F: inner width of the feed-forward network."""
    context: int
    """T: longest row."""
    family: Literal["llama", "gpt2"] = "llama"
    qk_norm: bool = True
    """RMSNorm with a learnt weight per head dimension on queries and keys, before the rotation, as Qwen3."""
    tied: bool = True
    """Whether the embedding is also the output matrix."""
    eps: float = 1e-6
    """Of every norm."""
    theta: float = 10_000.0
    """Base of the rotary frequencies."""
    scaling: Llama3Scaling | None = None
    experts: Experts | None = None

    def __post_init__(self) -> None:
        for name in ("vocab", "width", "layers", "heads", "kv_heads", "head_width", "hidden", "context"):
            if getattr(self, name) < 1:
                raise Unusable(f"a model's {name} is {getattr(self, name)}; expected at least 1")
        if self.heads % self.kv_heads:
            raise Unusable(f"{self.heads} query heads over {self.kv_heads} key-value heads; expected a multiple")
        if self.family == "llama" and self.head_width % 2:
            raise Unusable(f"a head width of {self.head_width} cannot be rotated in pairs; expected an even number")
        if self.family == "gpt2" and (self.qk_norm or self.experts or self.scaling or self.kv_heads != self.heads):
            raise Unusable(
                "GPT-2 has no qk_norm, experts, rope scaling or grouped key-value heads; expected family llama for them"
            )
        if self.family == "gpt2" and self.heads * self.head_width != self.width:
            raise Unusable(
                f"GPT-2's {self.heads} heads of {self.head_width} share its width of {self.width}; expected an equal product"
            )
        if self.experts is not None and not 1 <= self.experts.active <= self.experts.count:
            raise Unusable(f"{self.experts.active} active of {self.experts.count} experts; expected 1 to {self.experts.count}")
