"""What the model answers to fixed prompts, so that one can watch it learn to chat. Each prompt has its own seed, the same every time."""

from collections.abc import Sequence

from models.chat.conversation import SYSTEM, USER, Message
from models.chat.generated import generated
from models.chat.renderer import message_segments, prompt
from models.tokenizer.reserved import TURN_END
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer
from stages.pretraining.samples import Sample


def write_chat_samples(
    model: Transformer,
    tokenizer: Tokenizer,
    step: int,
    prompts: Sequence[str],
    system: str,
    tokens: int,
    temperature: float,
    seed: int,
) -> list[Sample]:
    """One for each prompt, rendered as a user's turn behind the system message, where there is one; no tool is run. The global random
    generators are not touched."""
    before = [Message(SYSTEM, system)] if system else []
    requests = [
        Request(prompt([*before, Message(USER, text)], tokenizer), tokens, Sampling(temperature), tokenizer.stops, seed + place)
        for place, text in enumerate(prompts)
    ]
    return [
        {"step": step, "prompt": text, "completion": shown(completion.tokens, tokenizer), "seed": request.seed}
        for text, request, completion in zip(prompts, requests, generate(model, requests), strict=True)
    ]


def shown(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """An answer as a person reads it: thoughts and calls between the names of their reserved tokens, without the turn's end."""
    messages = generated(ids, tokenizer).messages
    text = "".join(segment.text for message in messages for segment in message_segments(message, opened=True))
    return text.removesuffix(TURN_END)
