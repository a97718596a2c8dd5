"""The key-value cache: what the layers have computed for the positions so far, in memory that is allocated once.

Rows are left-aligned and may be of unequal length: row b fills the columns 0 .. lengths[b]-1, what lies behind is not read. Rows in use
are always the first n, so that a step works on slices and copies nothing.

| method | gives the layers |
|---|---|
| `fresh` | rows that begin: all their positions in one forward, causal |
| `later` | one row that goes on with several tokens at once, given a mask |
| `next` | one position for each of the first n rows |

L layers, B rows, K key-value heads, S columns, C numbers per head, T positions of this forward.
"""

import numpy as np
import torch
from torch import Tensor

from models.transformer.shape import Shape


class Cache:
    """Room for `rows` rows of `length` positions: 2 * L * B * K * S * C numbers."""

    def __init__(self, shape: Shape, rows: int, length: int, dtype: torch.dtype, device: torch.device) -> None:
        sizes = (shape.layers, rows, shape.kv_heads, length, shape.head_width)
        self.k_LBKSC = torch.zeros(sizes, dtype=dtype, device=device)  # zeros: a masked NaN would still be NaN
        self.v_LBKSC = torch.zeros(sizes, dtype=dtype, device=device)
        self.lengths = [0] * rows
        self.columns = torch.arange(length, device=device)

    @property
    def length(self) -> int:
        return len(self.columns)

    def fresh(self, first: int, count: int) -> list["Fresh"]:
        """For rows first .. first+count-1; set their lengths afterwards."""
        rows = slice(first, first + count)
        return [Fresh(k[rows], v[rows]) for k, v in zip(self.k_LBKSC, self.v_LBKSC, strict=True)]

    def later(self, row: int, count: int) -> tuple[list["Later"], Tensor, Tensor]:
        """Layers, positions [T] and mask [T, S] for `count` more tokens of one row; set its length afterwards."""
        start = self.lengths[row]
        stop = start + count
        positions = self.columns[start:stop]
        mask = self.columns[:stop] <= positions[:, None]
        layers = [
            Later(k[row : row + 1, :, :stop], v[row : row + 1, :, :stop]) for k, v in zip(self.k_LBKSC, self.v_LBKSC, strict=True)
        ]
        return layers, positions, mask

    def next(self, rows: int) -> "Next":
        return Next(self, rows)

    def copy(self, source: int, target: int) -> None:
        """Row `target` becomes what row `source` is."""
        length = self.lengths[source]
        for cache in (self.k_LBKSC, self.v_LBKSC):
            cache[:, target, :, :length] = cache[:, source, :, :length]
        self.lengths[target] = length


class Fresh:
    """One layer of rows that begin: their own keys and values are all there is."""

    def __init__(self, k_BKSC: Tensor, v_BKSC: Tensor) -> None:
        self.k, self.v = k_BKSC, v_BKSC

    def extend(self, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor]:
        T = k_BKTC.shape[2]
        self.k[:, :, :T] = k_BKTC
        self.v[:, :, :T] = v_BKTC
        return k_BKTC, v_BKTC


class Later:
    """One layer of a row that goes on: the new ones are the last columns."""

    def __init__(self, k_BKSC: Tensor, v_BKSC: Tensor) -> None:
        self.k, self.v = k_BKSC, v_BKSC

    def extend(self, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor]:
        T = k_BKTC.shape[2]
        self.k[:, :, -T:] = k_BKTC
        self.v[:, :, -T:] = v_BKTC
        return self.k, self.v


class Next:
    """Step after step of the first `rows` rows, as long as they stay the same; what can be known before a step is kept here."""

    def __init__(self, cache: Cache, rows: int) -> None:
        self.cache = cache
        self.rows = rows
        device = cache.columns.device
        K, S = cache.k_LBKSC.shape[2:4]
        self.filled_B = np.array(cache.lengths[:rows], dtype=np.int64) + 1
        """Columns of each row with the position of this step."""
        self.columns = int(self.filled_B.max())
        """S of this step: the longest row's."""
        self.even = int(self.filled_B.min()) == self.columns
        self.position = torch.tensor(cache.lengths[:rows], device=device)[:, None]  # [B, 1]
        lines = torch.arange(rows * K, device=device).view(rows, K) * S
        self.line = (lines + self.position).view(-1)  # where row b, head k of this step lies in [B * K * S, C]
        hidden = cache.columns > self.position
        self.bias = torch.zeros(rows, S, dtype=cache.k_LBKSC.dtype, device=device).masked_fill_(hidden, -torch.inf)
        self.layers = [NextLayer(self, k[:rows], v[:rows]) for k, v in zip(cache.k_LBKSC, cache.v_LBKSC, strict=True)]

    @property
    def mask(self) -> Tensor | None:
        """[B, 1, 1, S], added to the scores; none where all rows are equally long."""
        return None if self.even else self.bias[:, None, None, : self.columns]

    def advance(self) -> None:
        """The position of this step is filled; on to the next."""
        self.cache.lengths[: self.rows] = self.filled_B.tolist()
        self.filled_B += 1
        self.columns += 1
        self.position += 1
        self.line += 1
        if not self.even:
            self.bias.scatter_(1, self.position.clamp(max=self.cache.length - 1), 0.0)


class NextLayer:
    """One layer of a step: a position for each row, each at its own column."""

    def __init__(self, step: Next, k_BKSC: Tensor, v_BKSC: Tensor) -> None:
        self.step = step
        self.k_BKSC, self.v_BKSC = k_BKSC, v_BKSC
        C = k_BKSC.shape[3]
        self.k_lines, self.v_lines = k_BKSC.view(-1, C), v_BKSC.view(-1, C)
        on_cpu = k_BKSC.device.type == "cpu" and k_BKSC.dtype == torch.float32
        self.k = k_BKSC.numpy() if on_cpu else None
        """The same memory for `kernels`."""
        self.v = v_BKSC.numpy() if on_cpu else None

    def extend(self, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor]:
        C = k_BKTC.shape[3]
        self.k_lines.index_copy_(0, self.step.line, k_BKTC.reshape(-1, C))
        self.v_lines.index_copy_(0, self.step.line, v_BKTC.reshape(-1, C))
        return self.all()

    def all(self) -> tuple[Tensor, Tensor]:
        """Keys and values as far as the longest row reaches: [B, K, S, C]."""
        return self.k_BKSC[:, :, : self.step.columns], self.v_BKSC[:, :, : self.step.columns]
