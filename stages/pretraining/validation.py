"""How well a model predicts rows that it has not trained on: loss, perplexity, bits per byte.

| measure | |
|---|---|
| validation_loss | mean negative log-likelihood of a target in nats, reserved tokens included |
| perplexity | exp(validation_loss) |
| bits_per_byte | nll of the targets that stand for text, in bits / the UTF-8 bytes that they stand for |

Rows are read as they are packed: the stride is the length of a row, no position is seen twice, the first tokens of a row have little
before them. Reserved tokens stand for no byte of text; their nll is no part of the bits. `stages/evaluation/bits_per_byte.py` measures
documents by themselves with a chosen overlap: its figures are a little lower.

B rows, T positions, V vocabulary.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.loss import IGNORED, token_losses
from models.transformer.transformer import Transformer
from models.transformer.world import World
from stages.pretraining.batches import Batch


def bytes_of_tokens(tokenizer: Tokenizer, vocab: int) -> Tensor:
    """[V] int64: UTF-8 bytes that each token stands for; -1 for reserved ones and for ids behind the tokenizer's last."""
    sizes = [len(piece) if kind in ("normal", "byte") else -1 for piece, kind in tokenizer.pieces()]
    return torch.tensor(sizes + [-1] * (vocab - len(sizes)))


def validate(model: Transformer, batches: Iterable[Batch], bytes_V: Tensor, world: World) -> dict[str, float]:
    """`batches`: this process's share; the figures are those of all together. Empty where nothing was to predict."""
    # nll of all targets, their number, nll of those that stand for text, their bytes
    sums = torch.zeros(4, dtype=torch.float64, device=world.device)
    with torch.no_grad():
        for batch in batches:
            hidden = model.hidden(batch.tokens, batch.positions, batch.mask)
            losses_BT = token_losses(hidden, model.output_weight, batch.targets).double()
            sizes_BT = bytes_V[batch.targets.clamp_min(0)]
            supervised_BT = batch.targets != IGNORED
            text_BT = supervised_BT & (sizes_BT >= 0)
            sums += torch.stack([losses_BT.sum(), supervised_BT.sum(), (losses_BT * text_BT).sum(), (sizes_BT * text_BT).sum()])
    nll, count, text_nll, size = world.total(sums).tolist()
    if not count:
        return {}
    found = {"validation_loss": nll / count, "perplexity": math.exp(min(nll / count, 700.0))}
    return found | ({"bits_per_byte": text_nll / (math.log(2) * size)} if size else {})
