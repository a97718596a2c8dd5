"""What the model writes after fixed prompts, so that one can watch it learn to write. Each prompt has its own seed, the same every time."""

from collections.abc import Sequence
from typing import Any

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer

Sample = dict[str, Any]
"""step, prompt, completion, seed"""


def write_samples(
    model: Transformer, tokenizer: Tokenizer, step: int, prompts: Sequence[str], tokens: int, temperature: float, seed: int
) -> list[Sample]:
    """One for each prompt, which is put behind the token that begins a document. The global random generators are not touched."""
    begin = [] if tokenizer.start is None else [tokenizer.start]
    requests = [
        Request([*begin, *tokenizer.encode(prompt)], tokens, Sampling(temperature), tokenizer.stops, seed + place)
        for place, prompt in enumerate(prompts)
    ]
    completions = generate(model, requests)
    return [
        {"step": step, "prompt": prompt, "completion": tokenizer.decode(completion.tokens), "seed": request.seed}
        for prompt, request, completion in zip(prompts, requests, completions, strict=True)
    ]
