"""Generation in batches: requests come and go, the batch is kept full, each token is streamed as it is chosen.

| given | |
|---|---|
| `Request` | prompt, limits, sampling settings, what ends it, what is put into it on the way, its own seed |
| `Completion` | tokens after the prompt (the stop token included), their log-probabilities, why it ended |
| `generate` | all completions, in the order of the requests |
| `stream` | the same, token by token |
| `Engine` | the loop itself, for a server: `add` and `cancel` requests at any time, `step` |

What is guaranteed: a request's random numbers come from its seed alone, and its logits depend on other rows at most by the rounding of
sums (a matrix product of another height may add in another order: 1e-6 of a logit in fp32, 1e-2 in bf16). So its tokens are the same in
any company unless two of them are nearer to each other than that, which in fp32 is practically never. Bit for bit the same: the same
requests, rows and threads on the same kind of device. The global random state is neither read nor changed.
"""

from collections.abc import Iterator, Sequence

from models.transformer.engine import Engine
from models.transformer.request import Completion, Request, Token, room
from models.transformer.transformer import Transformer

__all__ = ["Completion", "Engine", "Request", "Token", "generate", "stream"]


def generate(model: Transformer, requests: Sequence[Request], rows: int = 32) -> list[Completion]:
    """`rows` are computed at a time. Raises Unusable where a request cannot be served."""
    done = {event.ticket: event.completion for event in stream(model, requests, rows) if event.completion is not None}
    return [done[ticket] for ticket in range(len(requests))]


def stream(model: Transformer, requests: Sequence[Request], rows: int = 32) -> Iterator[Token]:
    """Each token as it is chosen; `ticket` is the number of its request in the list."""
    if not requests:
        return
    longest = max(room(model.shape.context, request) for request in requests)
    engine = Engine(model, min(rows, len(requests)), longest)
    for request in requests:
        engine.add(request)
    while engine.busy:
        yield from engine.step()
