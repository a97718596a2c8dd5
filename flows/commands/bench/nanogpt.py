"""GPT-2 as people write it in one page of PyTorch (nanoGPT is the best known): the peer of `winnow bench train` for that family.

Pre-LayerNorm blocks, learned positions, q, k and v in one matrix, PyTorch's attention, GELU by its tanh approximation, tied output
matrix, the mean cross-entropy over whole logits; mixed precision by autocast. No dropout.

B rows, T positions, D width, H heads, C numbers per head, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer.shape import Shape
from models.transformer.transformer import Transformer


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        D = shape.width
        self.heads = shape.heads
        self.before_attention, self.before_feed_forward = nn.LayerNorm(D, shape.eps), nn.LayerNorm(D, shape.eps)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, shape.hidden), nn.Linear(shape.hidden, D)

    def forward(self, x_BTD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q, k, v = (
            one.view(B, T, self.heads, D // self.heads).transpose(1, 2)
            for one in self.qkv(self.before_attention(x_BTD)).split(D, 2)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.out(attended.transpose(1, 2).reshape(B, T, D))
        inner = F.gelu(self.up(self.before_feed_forward(x_BTD)), approximate="tanh")
        out: Tensor = x_BTD + self.down(inner)
        return out


class NanoGPT(nn.Module):
    """With the weights of `model`."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        shape = model.shape
        self.tokens, self.positions = nn.Embedding(shape.vocab, shape.width), nn.Embedding(shape.context, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, shape.eps)
        self._take(model)

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        x_BTD = self.tokens(tokens_BT) + self.positions(torch.arange(tokens_BT.shape[1], device=tokens_BT.device))
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        logits_BTV = F.linear(self.norm(x_BTD), self.tokens.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _take(self, model: Transformer) -> None:
        assert model.positions is not None
        self.tokens.weight.copy_(model.embedding.weight)
        self.positions.weight.copy_(model.positions.weight)
        self.norm.load_state_dict(model.norm.state_dict())
        for layer, block in zip(self.layers, model.blocks, strict=True):
            attention, feed_forward = block.attention, block.feed_forward
            for kind in ("weight", "bias"):
                joined = torch.cat([getattr(one, kind) for one in (attention.q, attention.k, attention.v)])
                getattr(layer.qkv, kind).copy_(joined)
            for mine, theirs in (
                (layer.out, attention.o), (layer.up, feed_forward.up), (layer.down, feed_forward.down),
                (layer.before_attention, block.attention_norm), (layer.before_feed_forward, block.feed_forward_norm),
            ):  # fmt: skip
                mine.load_state_dict(theirs.state_dict())
