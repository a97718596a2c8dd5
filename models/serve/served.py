"""A model that is being served: its tokenizer, its tools, the batch that computes it, and what it can take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.chat.tools.tool import Tool
from models.serve.batch import Batch
from models.serve.limits import Limits
from models.serve.refused import Refused
from models.serve.vocabulary import Vocabulary
from models.tokenizer.reserved import RESERVED
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.request import Request
from models.transformer.sampling import Sampling


@dataclass(frozen=True)
class Served:
    name: str
    """By which requests call it."""
    tokenizer: Tokenizer
    batch: Batch
    vocabulary: Vocabulary
    tools: Sequence[Tool] = ()
    """Those that run here, while it writes."""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def context(self) -> int:
        """Most tokens of a prompt and its completion together."""
        most = self.batch.model.shape.context
        return most if self.batch.length is None else min(most, self.batch.length)

    @property
    def chats(self) -> bool:
        """Whether its tokenizer has what chats are laid out with."""
        return all(name in self.tokenizer.special for name in RESERVED)

    def document(self) -> dict[str, Any]:
        """As in /v1/models; what stands behind `owned_by` is ours."""
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "winnow",
            "context": self.context,
            "chat": self.chats,
            "tools": [tool.name for tool in self.tools],
        }

    def room(self, prompt: Sequence[int], asked: int | None, limits: Limits, param: str) -> int:
        """New tokens that a completion may have. Raises Refused where the prompt leaves none, or more are asked for than are allowed."""
        if asked is not None and limits.tokens is not None and asked > limits.tokens:
            raise Refused(f"max_tokens is {asked:,}; this server allows {limits.tokens:,} in a completion", "max_tokens")
        self.fits(len(prompt), self.context - 1, param)
        spare = self.context - len(prompt)
        return min(one for one in (spare, asked, limits.tokens) if one is not None)

    def fits(self, tokens: int, most: int, param: str) -> None:
        if tokens > most:
            raise Refused(
                f"this model's context is {self.context:,} tokens, and the {param} take{'s' if param == 'prompt' else ''} {tokens:,}; expected "
                f"at most {most:,}: shorten the {param}",
                param,
                "context_length_exceeded",
            )


def seeded(prompt: Sequence[int], most: int, sampling: Sampling, seed: int, **more: Any) -> Request:
    """A request of the engine, whose seeds are not negative."""
    return Request(prompt, most, sampling, seed=seed % (1 << 64), **more)
