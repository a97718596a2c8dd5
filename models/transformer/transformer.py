"""The one model definition: tokens to logits, dense or mixture of experts, Llama/Qwen3 or GPT-2 by its shape.

B rows, T positions, D width, H query heads, K key-value heads, C numbers per head, F hidden, V vocabulary, S cached positions.

Weights are kept in fp32 (the masters); `compute` says in which type the mathematics is done: each layer casts its weight on the way.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer.attention import causal_attention
from models.transformer.experts import MixtureOfExperts
from models.transformer.linear import Linear
from models.transformer.norm import Norm
from models.transformer.rotary import rotate, table
from models.transformer.shape import Shape
from models.unusable import Unusable


class LayerCache(Protocol):
    """Keys and values of one layer that came before."""

    def extend(self, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor]:
        """Take in the new ones, give back all, [B, K, S, C]."""
        ...


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        bias = shape.family == "gpt2"
        inner, outer = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
        self.q = Linear(shape.width, inner, bias)
        self.k = Linear(shape.width, outer, bias)
        self.v = Linear(shape.width, outer, bias)
        self.o = Linear(inner, shape.width, bias)
        self.q_norm = Norm(shape.head_width, shape) if shape.qk_norm else None
        self.k_norm = Norm(shape.head_width, shape) if shape.qk_norm else None

    def forward(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor] | None, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        B, T, _ = x_BTD.shape
        C = self.shape.head_width
        q, k, v = (layer(x_BTD).view(B, T, -1, C).transpose(1, 2) for layer in (self.q, self.k, self.v))  # [B, H or K, T, C]
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        if cache is not None:
            k, v = cache.extend(k, v)
        if mask is None and cache is None:
            out = causal_attention(q, k, v)
        else:
            grouped = self.shape.kv_heads != self.shape.heads
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and T > 1, enable_gqa=grouped)
        joined: Tensor = self.o(out.transpose(1, 2).reshape(B, T, -1))
        return joined


class SwiGLU(nn.Module):
    """Shazeer 2020, "GLU Variants Improve Transformer"."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = Linear(shape.width, shape.hidden)
        self.up = Linear(shape.width, shape.hidden)
        self.down = Linear(shape.hidden, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Gelu(nn.Module):
    """GPT-2's: two matrices with biases, GELU by its tanh approximation between them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.up = Linear(shape.width, shape.hidden, bias=True)
        self.down = Linear(shape.hidden, shape.width, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.gelu(self.up(x), approximate="tanh"))
        return out


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.width, shape)
        self.attention = Attention(shape)
        self.feed_forward_norm = Norm(shape.width, shape)
        self.feed_forward: nn.Module
        if shape.experts is not None:
            self.feed_forward = MixtureOfExperts(shape.width, shape.experts)
        else:
            self.feed_forward = Gelu(shape) if shape.family == "gpt2" else SwiGLU(shape)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor] | None, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), turn, mask, cache)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Transformer(nn.Module):
    """`Transformer(shape)` has random weights (seed torch before); `compute` may be changed at any time."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape, compute: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.shape = shape
        self.compute = compute
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width) if shape.family == "gpt2" else None
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, shape)
        self.output = None if shape.tied else Linear(shape.width, shape.vocab)
        if shape.family == "llama":
            cos, sin = table(shape)
            self.register_buffer("cos", cos, persistent=False)
            self.register_buffer("sin", sin, persistent=False)
        self.initialise()

    def initialise(self) -> None:
        """Matrices by fan-in, what writes into the residual stream zero (GPT-2: its paper's), so that the untrained model is uniform."""
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                if name.endswith("bias"):
                    nn.init.zeros_(weight)
                continue
            if self.shape.family == "gpt2":
                residual = name.endswith(("attention.o.weight", "feed_forward.down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * self.shape.layers) if residual else 0.02)
            elif name.startswith("embedding"):
                nn.init.normal_(weight, std=0.02)
            elif name.endswith(("o.weight", "down", "down.weight")):
                nn.init.zeros_(weight)
            else:
                nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)

    @property
    def output_weight(self) -> Tensor:
        """[V, D], fp32."""
        weight: Tensor = self.embedding.weight if self.output is None else self.output.weight
        return weight

    def hidden(
        self,
        tokens_BT: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Sequence[LayerCache] | None = None,
    ) -> Tensor:
        """[B, T, D] in `compute`, after the last norm.

        `positions`: [T] or [B, T], default 0 .. T-1. `mask`: bool, True = may look, broadcastable to [B, H, T, S]; default causal.
        """
        T = tokens_BT.shape[1]
        if positions is None and self.shape.context < T:
            raise Unusable(
                f"a row of {T} tokens in a context of {self.shape.context}; expected no longer row, or a longer context"
            )
        x: Tensor = self.embedding(tokens_BT)
        turn: tuple[Tensor, Tensor] | None = None
        if self.positions is not None:
            at = torch.arange(T, device=tokens_BT.device) if positions is None else positions
            x = x + self.positions(at)
        else:
            cos, sin = (self.cos[:T], self.sin[:T]) if positions is None else (self.cos[positions], self.sin[positions])
            if cos.ndim == 3:
                cos, sin = cos[:, None], sin[:, None]  # [B, 1, T, C]: the same for every head
            turn = cos.to(self.compute), sin.to(self.compute)
        x = x.to(self.compute)
        for index, block in enumerate(self.blocks):
            x = block(x, turn, mask, None if cache is None else cache[index])
        out: Tensor = self.norm(x)
        return out

    def balance(self) -> Tensor:
        """The load-balance loss of the last forward pass, summed over its positions; see `experts`. 0 without experts."""
        terms = [layer.balance for layer in self.experts() if layer.balance is not None]
        if self.shape.experts is None or not terms:
            return torch.zeros((), device=self.embedding.weight.device)
        return self.shape.experts.balance * torch.stack(terms).mean()

    def take_load(self) -> Tensor | None:
        """[L, E] int64: tokens sent to each expert since the last call; None without experts or where nothing was learnt since."""
        loads = [layer.load for layer in self.experts() if layer.load is not None]
        for layer in self.experts():
            layer.load = None
        return torch.stack(loads) if loads else None

    def experts(self) -> list[MixtureOfExperts]:
        return [block.feed_forward for block in self.blocks if isinstance(block.feed_forward, MixtureOfExperts)]

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., V], in the type of `hidden`."""
        return F.linear(hidden, self.output_weight.to(hidden.dtype))

    def forward(
        self,
        tokens_BT: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Sequence[LayerCache] | None = None,
    ) -> Tensor:
        """Logits [B, T, V] in `compute`; see `hidden`."""
        return self.logits(self.hidden(tokens_BT, positions, mask, cache))
