"""An assistant made of a base model by a prompt alone: solved questions, then the one that counts; the model goes on as the text does.

In: the facts of the simulated crawl. The prompt, the same for all but its last line:

    Questions about the country, and their answers.

    Question: Where does Zolek live? Answer: Zolek lives in Grobford.

    Question: Which animal does Thalmun keep? Answer:

Out: `prompted.parquet`, a row per question with the whole transcript:

| column | type | meaning |
|---|---|---|
| subject, attribute | string | what is asked |
| part | string | withheld, seen or others, as in `cloze.py` |
| prompt | string | as the model reads it |
| answer | string | what the model wrote, greedily, to the end of the line |
| named | string | the first of the attribute's values that stands in the answer, as a word; null without one |
| expected | string | the true value |
| right | bool | `named` is the true value, and the first name in the answer, if there is one, is the subject's |
| as_shown | bool | the answer is the fact's plain sentence, as the examples show it; case, white space and a full stop aside |
| logprob | f64 | of what the model wrote, nats |
| finished | bool | it came to an end by itself |

A base model answers in whatever words it has read, so what is judged is the value that it names: `exact_match` is the share of right
ones, of all questions and by part; chance is that of naming a value of the attribute blindly. `as_shown` is the share of answers in the
form of the examples.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

import polars as pl
from pydantic import Field

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import GREEDY
from models.transformer.transformer import Transformer
from stages.evaluation.facts import PARTS, Attribute, Fact, attributes
from stages.evaluation.likelihood import beginning
from stages.evaluation.measures import Measure, NotMeasured, Result, share
from stages.stage import Config

HEAD = "Questions about the country, and their answers."
BETWEEN = "\n\n"

ROWS: dict[str, pl.DataType] = {
    "subject": pl.String(),
    "attribute": pl.String(),
    "part": pl.String(),
    "prompt": pl.String(),
    "answer": pl.String(),
    "named": pl.String(),
    "expected": pl.String(),
    "right": pl.Boolean(),
    "as_shown": pl.Boolean(),
    "logprob": pl.Float64(),
    "finished": pl.Boolean(),
}


class PromptedConfig(Config):
    """Questions to a base model that is told by examples alone to answer."""

    questions: int = Field(100, ge=1)
    """Questions, drawn by the seed."""
    examples: int = Field(4, ge=0)
    """Solved questions in the prompt, of different attributes as far as there are."""
    max_tokens: int = Field(40, ge=1)
    """Most tokens of an answer."""


def prompted(model: Transformer, tokenizer: Tokenizer, facts: Sequence[Fact], config: PromptedConfig, seed: int) -> Result:
    about = attributes(facts)
    examples, asked = draw([fact for fact in facts if fact.attribute in about], config, seed)
    lines = [HEAD, *(f"Question: {fact.question} Answer: {fact.sentence}" for fact in examples)]
    prompts = [BETWEEN.join([*lines, f"Question: {fact.question} Answer:"]) for fact in asked]
    encoded = [[beginning(tokenizer), *ids] for ids in tokenizer.encode_batch(prompts)]
    longest = max(map(len, encoded)) + config.max_tokens
    if longest > model.shape.context:
        raise NotMeasured(
            f"a prompt with {len(examples)} examples and an answer of {config.max_tokens} tokens are {longest} tokens; the model's context is "
            f"{model.shape.context}: lower prompted.examples or prompted.max_tokens"
        )

    def over(tokens: Sequence[int]) -> bool:
        return "\n" in tokenizer.decode(tokens[-1:])

    requests = [Request(ids, config.max_tokens, GREEDY, stops=tokenizer.stops, stop_when=over) for ids in encoded]
    subjects = {
        kind: {name for fact in facts if fact.kind == kind for name in fact.names} for kind in {fact.kind for fact in facts}
    }
    rows = []
    for fact, prompt, completion in zip(asked, prompts, generate(model, requests), strict=True):
        answer = tokenizer.decode(completion.tokens).split("\n")[0].strip()
        named, right = judge(answer, fact, about[fact.attribute].values, subjects[fact.kind])
        rows.append(
            (
                *(fact.subject, fact.attribute, about[fact.attribute].part(fact), prompt, answer, named, fact.value),
                *(right, plain(answer) == plain(fact.sentence), sum(completion.logprobs), completion.finish_reason == "stop"),
            )
        )
    table = pl.DataFrame(rows, schema=ROWS, orient="row")
    parts = {"all": table} | {part: table.filter(pl.col("part") == part) for part in PARTS}
    measures = [one for part, mine in parts.items() if mine.height for one in _measures(mine, about, part)]
    return Result(measures, {"prompted": table})


def draw(facts: Sequence[Fact], config: PromptedConfig, seed: int) -> tuple[list[Fact], list[Fact]]:
    """Examples, and facts to ask about: none about a subject of an example."""
    shuffled = random.Random(seed).sample(list(facts), len(facts))
    seen: dict[str, int] = {}
    turn = []
    for fact in shuffled:
        turn.append(seen.get(fact.attribute, 0))
        seen[fact.attribute] = turn[-1] + 1
    by_turn = sorted(range(len(shuffled)), key=lambda place: turn[place])  # the first of every attribute, then the second ...
    examples = [shuffled[place] for place in by_turn[: config.examples]]
    subjects = {fact.subject for fact in examples}
    asked = [fact for fact in shuffled if fact.subject not in subjects][: config.questions]
    if not asked:
        raise NotMeasured(f"found {len(facts)} facts and nothing to ask beside {len(examples)} examples; lower prompted.examples")
    return examples, asked


def plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def judge(answer: str, fact: Fact, values: Iterable[str], subjects: Iterable[str]) -> tuple[str | None, bool]:
    """The value that the answer names, and whether it is right: the true one, said of the subject and not of another one."""
    named = first(answer, values)
    return named, named == fact.value and first(answer, subjects) in (None, *fact.names)


def first(answer: str, words: Iterable[str]) -> str | None:
    """Which of the words comes first in the answer, as a whole word; case aside."""
    known = {word.casefold(): word for word in words}
    found = re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(known)))})(?!\w)", answer.casefold())
    return None if found is None else known[found[0]]


def _measures(table: pl.DataFrame, about: dict[str, Attribute], part: str) -> list[Measure]:
    chance = sum(about[name].chance for name in table["attribute"]) / table.height
    return [
        share("prompted", "exact_match", table["right"].to_list(), part, chance),
        share("prompted", "as_shown", table["as_shown"].to_list(), part),
    ]
