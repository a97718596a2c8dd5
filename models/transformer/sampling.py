"""From logits to a token: repetition penalty, temperature, top-k, top-p, min-p, in this order and with the meaning that Hugging Face's
`generate` gives them; vectorised over rows that differ in their settings.

Every truncation is a floor under the scores, so that tokens of equal score stay or go together (Hugging Face's top-p cuts between equals
as its sort happens to lay them). A row draws by one number in [0, 1) that it is given: the cumulated probabilities are walked in the order
of ids until they exceed it. So a row's token depends on its own logits and its own number, and on nothing else in the batch.

The log-probability of a token is that of the model's own distribution at the sampling temperature, before penalty and truncation (at
temperature 0: at temperature 1): what a policy gradient needs, and what can be computed again from the model alone.

Sources: Keskar et al. 2019 (CTRL, section 4.1: penalty), Fan et al. 2018 (top-k), Holtzman et al. 2020 (top-p), Nguyen et al. 2024 (min-p).

B rows, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.unusable import Unusable

_FIRST_LOOK = (
    128  # a nucleus is sought among so many best tokens, then among eight times as many, and so on: a whole sort is slow
)


LOWEST = 1e-6
"""Of temperature and penalty: logits divided by much less are infinite in fp32."""
MOST_K = 1 << 31


@dataclass(frozen=True)
class Sampling:
    temperature: float = 1.0
    """0 takes the best token (greedy), whatever the truncations say; below LOWEST nothing else can be drawn, so that it is 0 too."""
    top_k: int = 0
    """Only the k best tokens; 0 = all."""
    top_p: float = 1.0
    """Only the fewest best tokens that together have this probability."""
    min_p: float = 0.0
    """Only tokens at least this likely in relation to the best one."""
    repetition_penalty: float = 1.0
    """Scores of tokens that stand in the prompt or the completion are divided by it (negative ones multiplied)."""

    def __post_init__(self) -> None:
        if 0 < self.temperature < LOWEST:
            object.__setattr__(self, "temperature", 0.0)
        for name, wrong, expected in (
            ("temperature", not 0 <= self.temperature < float("inf"), "0 (greedy) or more"),
            ("top_k", not 0 <= self.top_k <= MOST_K, f"0 (all tokens) .. {MOST_K}"),
            ("top_p", not 0 < self.top_p <= 1, "more than 0, at most 1 (all tokens)"),
            ("min_p", not 0 <= self.min_p <= 1, "0 (all tokens) .. 1"),
            ("repetition_penalty", not LOWEST <= self.repetition_penalty <= 1 / LOWEST, "1e-6 .. 1e6; 1 is none"),
        ):
            if wrong:
                raise Unusable(f"{name} is {getattr(self, name)}; expected {expected}")


GREEDY = Sampling(temperature=0)
PLAIN = Sampling()
"""The model's own distribution."""


@dataclass(frozen=True)
class Choice:
    tokens: Tensor
    """[B]"""
    logprobs: Tensor
    """[B], fp32; see above."""
    every: Tensor
    """Log-probabilities of every token: [B, V], fp32."""


class Chooser:
    """The settings of a batch as columns, made once for as long as the batch stays the same."""

    def __init__(self, settings: Sequence[Sampling], device: torch.device) -> None:
        def column(values: Sequence[float], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)[:, None]

        self.greedy = all(one.temperature == 0 for one in settings)
        self.mixed = not self.greedy and any(one.temperature == 0 for one in settings)
        self.unscaled = all(one.temperature in (0, 1) for one in settings)
        self.penalised = any(one.repetition_penalty != 1 for one in settings)
        self.greedy_B1 = column([one.temperature == 0 for one in settings], torch.bool)
        self.temperature_B1 = column([one.temperature or 1.0 for one in settings])
        self.penalty_B1 = column([one.repetition_penalty for one in settings])
        self.most_k = max((one.top_k for one in settings), default=0)
        self.top_k_B1 = column([one.top_k for one in settings], torch.int64)
        self.nucleus = any(one.top_p < 1 for one in settings)
        self.top_p_B1 = column([one.top_p for one in settings])
        self.relative = any(one.min_p > 0 for one in settings)
        self.log_min_p_B1 = column([one.min_p for one in settings]).log()

    def choose(self, logits_BV: Tensor, uniform_B: Tensor | None, seen_BV: Tensor | None) -> Choice:
        """`uniform_B`: fp64 in [0, 1), for rows that draw; `seen_BV`: bool, for rows with a penalty."""
        logits_BV = logits_BV.float()
        all_BV = torch.log_softmax(logits_BV if self.unscaled else logits_BV / self.temperature_B1, -1)
        scores_BV = logits_BV
        if self.penalised:
            assert seen_BV is not None
            scores_BV = penalised(logits_BV, seen_BV, self.penalty_B1)
        if self.greedy:
            tokens_B1 = scores_BV.argmax(-1, keepdim=True)
        else:
            assert uniform_B is not None
            tokens_B1 = self._drawn(scores_BV, all_BV, uniform_B)
            if self.mixed:
                tokens_B1 = torch.where(self.greedy_B1, scores_BV.argmax(-1, keepdim=True), tokens_B1)
        return Choice(tokens_B1[:, 0], all_BV.gather(1, tokens_B1)[:, 0], all_BV)

    def _drawn(self, scores_BV: Tensor, all_BV: Tensor, uniform_B: Tensor) -> Tensor:
        # Without a penalty they are a constant away in each row, which changes neither floors nor shares.
        scores_BV = torch.log_softmax(scores_BV / self.temperature_B1, -1) if self.penalised else all_BV
        if self.most_k or self.nucleus or self.relative:
            scores_BV = scores_BV.masked_fill(scores_BV < self.floor(scores_BV), -torch.inf)
        up_to_BV = scores_BV.exp().cumsum(-1, dtype=torch.float64)
        target_B1 = uniform_B[:, None] * up_to_BV[:, -1:]
        return torch.searchsorted(up_to_BV, target_B1, right=True).clamp(
            max=up_to_BV.shape[1] - 1
        )  # behind the last: logits of NaN

    def floor(self, scores_BV: Tensor) -> Tensor:
        """The lowest score that stays, [B, 1]: of scores after penalty and temperature."""
        lowest_B1 = torch.full_like(scores_BV[:, :1], -torch.inf)
        V = scores_BV.shape[1]
        if self.most_k:
            best = scores_BV.topk(min(self.most_k, V)).values
            kth = best.gather(1, (self.top_k_B1 - 1).clamp(0, best.shape[1] - 1))
            lowest_B1 = torch.where(self.top_k_B1 > 0, kth, lowest_B1)
        if self.nucleus:
            kept = scores_BV.masked_fill(scores_BV < lowest_B1, -torch.inf) if self.most_k else scores_BV
            lowest_B1 = torch.maximum(lowest_B1, self._nucleus(kept))
        if self.relative:
            lowest_B1 = torch.maximum(lowest_B1, scores_BV.amax(-1, keepdim=True) + self.log_min_p_B1)
        return lowest_B1

    def _nucleus(self, scores_BV: Tensor) -> Tensor:
        """A token stays while those above it have less than top_p together."""
        total_B1 = scores_BV.logsumexp(-1, keepdim=True)
        V = scores_BV.shape[1]
        looked_at = min(_FIRST_LOOK, V)
        while True:
            best = scores_BV.topk(looked_at).values
            shares = (best - total_B1).exp()
            above = shares.cumsum(-1) - shares
            inside_B1 = (above < self.top_p_B1).sum(-1, keepdim=True).clamp(min=1)
            if looked_at == V or not bool(((inside_B1 == looked_at) & (self.top_p_B1 < 1)).any()):
                break
            looked_at = min(8 * looked_at, V)
        return torch.where(self.top_p_B1 < 1, best.gather(1, inside_B1 - 1), -torch.inf)


def penalised(logits_BV: Tensor, seen_BV: Tensor, penalty_B1: Tensor) -> Tensor:
    changed = torch.where(logits_BV < 0, logits_BV * penalty_B1, logits_BV / penalty_B1)
    return torch.where(seen_BV, changed, logits_BV)
