"""A model laid out for generation: the same mathematics on weights that are cast once, joined where they read the same input, and stored
as the matrix product likes them. In: a Transformer. Out: another for `hidden` and `logits` alone, which shares what needs no change and
must be made anew when the weights have moved.

| what | instead of | why: preset small, one core of Zen 4 |
|---|---|---|
| weights in `compute` | a cast in every layer of every step | in bf16 the cast costs more than the product |
| one product for q, k and v, one for gate and up; q and k normed and turned together | three, two | half the calls |
| weights in oneDNN's blocks | rows | 80 for 40 GFLOP/s at 16 rows of fp32; 2 to 3 times as fast in bf16 |
| the queries of a group as rows of one attention | keys repeated for each | every key is read once |
| on the CPU in fp32, `kernels` between the products | PyTorch's operations | see there |

oneDNN adds up each number of a product in the same order whatever the number of rows, as long as the inner width is not large (measured on
Zen 4: so at 1,024, not at 4,096), and the kernels compute each row by itself: so a step over a row of fp32 mostly is the same in any
company, bit for bit. Not so the reading of a prompt, nor what an engine with a single place or another number of threads computes.

B rows, T positions, D width, H query heads, K key-value heads, G = H / K, C numbers per head, S cached positions.
"""

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer import kernels
from models.transformer.cache import NextLayer
from models.transformer.joined_experts import JoinedExperts
from models.transformer.product import Product, joined
from models.transformer.shape import Shape
from models.transformer.transformer import Attention, Gelu, LayerCache, SwiGLU, Transformer


def inference(model: Transformer, rows: int) -> Transformer:
    """For batches of up to `rows` rows and the number of threads that PyTorch has now."""
    with torch.inference_mode(False), torch.no_grad():
        dtype = model.compute
        made = _copy(model)
        made.embedding = _cast(model.embedding, dtype)
        made.positions = None if model.positions is None else _cast(model.positions, dtype)
        made.norm = _cast(model.norm, dtype)
        tables = None
        if model.shape.family == "llama":
            tables = model.cos.numpy(force=True), model.sin.numpy(force=True)
            low, high = model.sin.to(dtype).chunk(2, -1)
            made.cos, made.sin = model.cos.to(dtype), torch.cat((-low, high), -1)  # signed: see `JoinedAttention`
        made.blocks = nn.ModuleList(_block(block, model.shape, dtype, rows, tables) for block in model.blocks)
        made.output = Product([model.output_weight], [None], dtype, rows)
        made.logits = made.output.forward
        result: Transformer = made
        return result


Tables = tuple[np.ndarray, np.ndarray]


def _block(block: Any, shape: Shape, dtype: torch.dtype, rows: int, tables: Tables | None) -> Any:
    attention = JoinedAttention(block.attention, dtype, rows, tables)
    feed_forward: Any
    match block.feed_forward:
        case SwiGLU() as swiglu:
            feed_forward = JoinedSwiGLU(swiglu, dtype, rows)
        case Gelu() as gelu:
            feed_forward = _copy(gelu)
            feed_forward.up, feed_forward.down = joined([gelu.up], dtype, rows), joined([gelu.down], dtype, rows)
        case experts:
            feed_forward = JoinedExperts(experts, _cast(experts.router, dtype), dtype, rows)
    norms = _cast(block.attention_norm, dtype), _cast(block.feed_forward_norm, dtype)
    if shape.family == "llama" and attention.kernels:
        return KernelBlock(shape, norms, attention, feed_forward)
    made = _copy(block)
    made.attention_norm, made.feed_forward_norm = norms
    made.attention, made.feed_forward = attention, feed_forward
    return made


def _copy(module: Any) -> Any:
    """The same module again, whose parts can be exchanged without touching the first."""
    made = copy.copy(module)
    for parts in ("_modules", "_parameters", "_buffers"):
        made.__dict__[parts] = dict(module.__dict__[parts])
    return made


def _cast(module: nn.Module, dtype: torch.dtype) -> Any:
    """The module with its weights in `dtype`: itself where they are."""
    if all(weight.dtype == dtype for weight in module.parameters()):
        return module
    return copy.deepcopy(module).to(dtype)


class JoinedAttention(nn.Module):
    """`Attention`. The sines in its `turn` are negated in their lower half, so that a rotation is x cos + swapped x sin."""

    def __init__(self, attention: Attention, dtype: torch.dtype, rows: int, tables: Tables | None) -> None:
        super().__init__()
        self.shape = attention.shape
        self.qkv = joined([attention.q, attention.k, attention.v], dtype, rows)
        self.o = joined([attention.o], dtype, rows)
        self.weight: Tensor | None = None
        if attention.q_norm is not None and attention.k_norm is not None:
            each = [attention.q_norm.weight] * self.shape.heads + [attention.k_norm.weight] * self.shape.kv_heads
            self.weight = torch.stack(each)[:, None]  # [H + K, 1, C]
        self.kernels = attention.q.weight.device.type == "cpu" and dtype == torch.float32
        self.tables: tuple[np.ndarray | None, np.ndarray | None] = tables or (None, None)
        self.small_weight = None if self.weight is None or not self.kernels else self.weight[:, 0].numpy()
        self.alone = torch.get_num_threads() == 1  # more of them share an attention of PyTorch's
        self.scores_S = np.empty(self.shape.context, np.float32)

    def forward(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor] | None, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        B, T, _ = x_BTD.shape
        H, K, C = self.shape.heads, self.shape.kv_heads, self.shape.head_width
        qkv = self.qkv(x_BTD)
        if self.kernels and isinstance(cache, NextLayer):
            return self._step(qkv, mask, cache)
        qk, v = qkv.view(B, T, H + 2 * K, C).transpose(1, 2).split((H + K, K), 1)
        if self.weight is not None:
            qk = (F.rms_norm(qk.float(), (C,), None, self.shape.eps) * self.weight).to(qk.dtype)
        if turn is not None:
            cos, sin = turn
            qk = torch.addcmul(qk * cos, qk.roll(C // 2, -1), sin)
        q, k = qk.split((H, K), 1)
        if cache is not None:
            k, v = cache.extend(k, v)
        if T == 1:
            out = F.scaled_dot_product_attention(q.reshape(B, K, H // K, C), k, v, attn_mask=mask).view(B, 1, H * C)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=H != K)
            out = out.transpose(1, 2).reshape(B, T, H * C)
        projected: Tensor = self.o(out)
        return projected

    def _step(self, qkv_B1X: Tensor, mask: Tensor | None, cache: NextLayer) -> Tensor:
        B, H, K, C = qkv_B1X.shape[0], self.shape.heads, self.shape.kv_heads, self.shape.head_width
        qkv = qkv_B1X.view(B, -1)
        rows, filled_B = qkv.numpy(), cache.step.filled_B
        kernels.place(rows, self.small_weight, np.float32(self.shape.eps), *self.tables, cache.k, cache.v, filled_B)
        if self.alone:
            out = qkv.new_empty(B, 1, H * C)
            kernels.attend(rows, cache.k, cache.v, filled_B, np.float32(C**-0.5), self.scores_S, out.view(B, -1).numpy())
        else:
            out = F.scaled_dot_product_attention(qkv[:, : H * C].view(B, K, H // K, C), *cache.all(), attn_mask=mask).view(
                B, 1, -1
            )
        projected: Tensor = self.o(out)
        return projected


class JoinedSwiGLU(nn.Module):
    def __init__(self, swiglu: SwiGLU, dtype: torch.dtype, rows: int) -> None:
        super().__init__()
        self.gate_up = joined([swiglu.gate, swiglu.up], dtype, rows)
        self.down = joined([swiglu.down], dtype, rows)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class KernelBlock(nn.Module):
    """`Block`, whose steps add and norm in one pass."""

    def __init__(self, shape: Shape, norms: tuple[Any, Any], attention: JoinedAttention, feed_forward: nn.Module) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = norms
        self.attention, self.feed_forward = attention, feed_forward
        self.eps = np.float32(shape.eps)
        self.weights = [norm.weight.detach().numpy() for norm in norms]

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor] | None, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        if not isinstance(cache, NextLayer):
            x = x + self.attention(self.attention_norm(x), turn, mask, cache)
            whole: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
            return whole
        B, _, D = x.shape
        stream, normed = x.view(B, D).numpy(), torch.empty_like(x)
        out = normed.view(B, D).numpy()
        kernels.norm(stream, None, self.weights[0], self.eps, out)
        kernels.norm(stream, self.attention(normed, turn, mask, cache).view(B, D).numpy(), self.weights[1], self.eps, out)
        return x.add_(self.feed_forward(normed))
