"""KL divergence of a policy from a reference, estimated on tokens that the policy drew, and a coefficient that holds it to a target.

In: log-probabilities of the same tokens under both, any shape. Out: an estimate for each token in nats; a completion's is the sum over its
tokens. With r = reference / policy:

| estimate | value | |
|---|---|---|
| k1 | -log r | unbiased, may be negative; what PPO takes off the reward |
| k3 | r - 1 - log r | unbiased, never negative, varies less; what GRPO adds to the loss |

Sources: Schulman 2020, "Approximating KL Divergence"; Shao et al. 2024 (GRPO), equation 4, for k3 in a loss; Ziegler et al. 2019,
"Fine-Tuning Language Models from Human Preferences", section 2.2, for the coefficient.
"""

from torch import Tensor

LARGEST_ERROR = 0.2
"""A measurement moves the coefficient as if it were at most this far from the target, as a share of it."""


def k1(logprobs: Tensor, reference: Tensor) -> Tensor:
    return logprobs - reference


def k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    log_ratio = reference - logprobs
    return log_ratio.exp() - 1 - log_ratio


def adapted(coefficient: float, kl: float, target: float, completions: int, horizon: int) -> float:
    """The coefficient after `completions` whose mean divergence was `kl`; it can change by a fifth within `horizon`
    completions, and at a time."""
    error = max(-LARGEST_ERROR, min(LARGEST_ERROR, kl / target - 1))
    return coefficient * (1 + error * min(1.0, completions / horizon))
