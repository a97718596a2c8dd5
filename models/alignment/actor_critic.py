"""What PPO trains: a policy, and a critic that says at every position what is still to be earned.

The critic is a language model with a scalar head (models/alignment/reward.py), of its own weights, mostly those of the reward model (Ouyang et
al. 2022, section C.4), so that what it learns cannot spoil the policy. Its value at a position is that of the text up to there, before the
next token is chosen.

A answers, T positions.
"""

from torch import Tensor, nn

from models.alignment.reward import RewardModel
from models.transformer.transformer import Transformer


class ActorCritic(nn.Module):
    def __init__(self, policy: Transformer, critic: RewardModel) -> None:
        super().__init__()
        self.policy = policy
        self.critic = critic


def values(critic: RewardModel, tokens_AT: Tensor) -> Tensor:
    """[A, T], fp32."""
    hidden_ATD = critic.model.hidden(tokens_AT)
    found: Tensor = critic.head(hidden_ATD.to(critic.head.weight.dtype))
    return found[..., 0]
