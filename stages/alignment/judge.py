"""The simulated judge at work: what each answer to a prompt about the simulated world is worth, by `rubric.py`.

In: rollouts (stages/alignment/rollout.py) over conversations about the simulated world; sides `crawl`, the artifact of `simulate`: what is
true, and `tokenizer`, that of the model that answered. Out: the same rows, and

| column | type | meaning |
|---|---|---|
| right, polite, rude | bool | `rubric.py` |
| words | i64 | of what was said last |
| finished | bool | the answer came to its end |
| sound | bool | it is a message that may stand in a conversation: finished, without faults |
| score | f64 | what all that is worth |
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from models.chat.conversation import fault
from models.chat.generated import generated
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.rollout import ROLLOUT
from stages.alignment.rubric import Rubric, judged
from stages.evaluation import facts
from stages.evaluation.chat_judge import Question, Truth, Turn, truth
from stages.posttraining.conversations import messages_of
from stages.posttraining.world.made import BESIDE
from stages.stage import Config, Input, Sides, Stage
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem

NEEDS = {name: ROLLOUT[name] for name in ("id", "sample", *BESIDE, "messages", "tokens")}
VERDICT: dict[str, pl.DataType] = {
    "right": pl.Boolean(),
    "polite": pl.Boolean(),
    "rude": pl.Boolean(),
    "words": pl.Int64(),
    "finished": pl.Boolean(),
    "sound": pl.Boolean(),
    "score": pl.Float64(),
}


class JudgeConfig(Config):
    """By what rubric answers are judged."""

    rubric: Rubric = Rubric()
    """What a property of an answer adds to its score."""


def run(docs: pl.DataFrame, config: JudgeConfig, sides: Sides) -> pl.DataFrame:
    """Raises Problem where it is not known what a right answer would be."""
    if docs.height and docs["kind"].null_count():
        raise Problem(
            "found prompts without a kind, of which it is not known what a right answer is; expected rollouts over the world's own "
            "conversations (world_conversations, manners)"
        )
    tokenizer, world = vocabulary(sides["tokenizer"]).tokenizer, known(sides["crawl"])
    verdicts = [verdict(row, tokenizer, world, config.rubric) for row in docs.select(list(NEEDS)).iter_rows(named=True)]
    return docs.hstack(pl.DataFrame(verdicts, schema=VERDICT))


@lru_cache(maxsize=2)
def known(crawl: Input) -> Truth:
    return truth(facts.read(crawl))


def verdict(row: Mapping[str, Any], tokenizer: Tokenizer, world: Truth, rubric: Rubric) -> dict[str, Any]:
    """The columns VERDICT of an answer: `row` has its tokens, the messages that it answers, and the columns BESIDE."""
    said = generated(row["tokens"], tokenizer)
    question = Question(*(row[name] for name in ("kind", "part", "subject", "attribute", "expected")))
    found = judged(question, Turn(said), world, rubric)
    asked = messages_of(row["messages"], row["id"])
    sound = said.finished and not said.faults and fault([*asked, *said.messages]) is None
    return {name: getattr(found, name) for name in ("right", "polite", "rude", "words", "finished", "score")} | {"sound": sound}


JUDGE = Stage(
    name="judge",
    version=1,
    run=run,
    config=JudgeConfig,
    needs=NEEDS,
    adds=VERDICT,
    sides={"crawl": "artifact", "tokenizer": "artifact"},
)
