"""Rollouts: what a policy answers to prompts, several times each, as values and as rows.

Tokens are drawn from the policy's own distribution at a temperature: top_p 1, top_k 0, no penalties, no tools; log-probabilities are
those at that temperature. A row of ROLLOUT:

| column | type | meaning |
|---|---|---|
| id, sample | string, i64 | of the prompt; number of the answer to it |
| kind, part, subject, attribute, expected | string | of the prompt (stages/posttraining/world/made.py) |
| messages | list(struct) | the conversation as far as the prompt goes |
| prompt | string | what the user said last |
| completion | string | the answer as a person reads it, thoughts and calls between their reserved names |
| thinking, answer | string | all that was thought; what was said last |
| prompt_tokens, tokens | list(i32) | ids; the token that ended the turn is the last |
| logprobs | list(f32) | of each of `tokens`, in nats |
| finish_reason | string | stop, or length: the room for an answer ended |
| faults | list(string) | what is not in the layout of chats |
| seed, temperature | i64, f64 | of the draw |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from models.chat.generated import Generated, generated
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Completion, Request, generate
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer
from stages.alignment.prompts import Prompt
from stages.posttraining.chat_samples import shown
from stages.posttraining.conversations import MESSAGES, rows_of
from stages.posttraining.world.made import BESIDE
from storage.canonical import digest

ROLLOUT: dict[str, pl.DataType] = {
    "id": pl.String(),
    "sample": pl.Int64(),
    **BESIDE,
    "messages": MESSAGES,
    "prompt": pl.String(),
    "completion": pl.String(),
    "thinking": pl.String(),
    "answer": pl.String(),
    "prompt_tokens": pl.List(pl.Int32()),
    "tokens": pl.List(pl.Int32()),
    "logprobs": pl.List(pl.Float32()),
    "finish_reason": pl.String(),
    "faults": pl.List(pl.String()),
    "seed": pl.Int64(),
    "temperature": pl.Float64(),
}


@dataclass(frozen=True)
class Rollout:
    prompt: Prompt
    sample: int
    seed: int
    completion: Completion
    said: Generated
    text: str
    """As a person reads it."""

    @property
    def finished(self) -> bool:
        return self.completion.finish_reason == "stop"

    @property
    def thinking(self) -> str | None:
        return "\n".join(one.thinking for one in self.said.messages if one.thinking) or None


def roll(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    samples: int,
    tokens: int,
    temperature: float,
    rows: int,
    seed: Any,
) -> list[Rollout]:
    """`samples` answers of at most `tokens` to each prompt, those to one prompt side by side; `rows` are computed at a time. A prompt that comes
    again gets further ones. `seed`: of the whole; each answer has its own, from it, the prompt's id and its number. The global random state
    is neither read nor changed."""
    asked: list[tuple[Prompt, int]] = []
    answered: Counter[str] = Counter()
    for prompt in prompts:
        asked += [(prompt, answered[prompt.id] + number) for number in range(samples)]
        answered[prompt.id] += samples
    seeds = [int(digest([seed, prompt.id, sample], 12), 16) for prompt, sample in asked]
    requests = [
        Request(prompt.tokens, tokens, Sampling(temperature), tokenizer.stops, own)
        for (prompt, _), own in zip(asked, seeds, strict=True)
    ]
    return [
        Rollout(prompt, sample, own, done, generated(done.tokens, tokenizer), shown(done.tokens, tokenizer))
        for (prompt, sample), own, done in zip(asked, seeds, generate(model, requests, rows), strict=True)
    ]


def columns(rollouts: Sequence[Rollout]) -> dict[str, list[Any]]:
    """As reward functions take them; see `rewards.py`."""
    return {
        **{name: [one.prompt.columns[name] for one in rollouts] for name in BESIDE},
        "answer": [one.said.answer.strip() for one in rollouts],
        "thinking": [one.thinking for one in rollouts],
        "finished": [one.finished for one in rollouts],
        "faults": [list(one.said.faults) for one in rollouts],
        "tokens": [len(one.completion.tokens) for one in rollouts],
    }


def table(rollouts: Sequence[Rollout], temperature: float) -> pl.DataFrame:
    """The columns ROLLOUT."""
    told = columns(rollouts)
    return pl.DataFrame(
        {
            "id": [one.prompt.id for one in rollouts],
            "sample": [one.sample for one in rollouts],
            **{name: told[name] for name in (*BESIDE, "thinking", "answer", "faults")},
            "messages": [rows_of(one.prompt.messages) for one in rollouts],
            "prompt": [one.prompt.text for one in rollouts],
            "completion": [one.text for one in rollouts],
            "prompt_tokens": [one.prompt.tokens for one in rollouts],
            "tokens": [one.completion.tokens for one in rollouts],
            "logprobs": [one.completion.logprobs for one in rollouts],
            "finish_reason": [one.completion.finish_reason for one in rollouts],
            "seed": [one.seed for one in rollouts],
            "temperature": [temperature] * len(rollouts),
        },
        schema=ROLLOUT,
    )
