"""Attention within the pieces of a packed row: each piece is computed as if it stood alone.

In: for each position the number of its piece. With positions that begin anew in every piece, the logits of a piece are those that it has
in a row of its own, up to the rounding of sums.

B rows, T positions.
"""

import torch
from torch import Tensor


def segment_mask(segments_BT: Tensor) -> Tensor:
    """[B, 1, T, T], True where a position may look: at itself and back, as far as its own piece goes."""
    T = segments_BT.shape[1]
    causal = torch.ones(T, T, dtype=torch.bool, device=segments_BT.device).tril()
    return ((segments_BT[:, :, None] == segments_BT[:, None, :]) & causal)[:, None]
