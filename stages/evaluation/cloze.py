"""What a model knows of the simulated world: each fact's plain sentence with every value that it might have; which is the likeliest?

In: the facts of the simulated crawl. Out: `cloze.parquet`, a row per fact:

| column | type | meaning |
|---|---|---|
| kind, subject, attribute | string | what is asked |
| part | string | withheld, seen or others: see below |
| prompt | string | what all candidates begin with |
| answer | string | the likeliest value |
| expected | string | the true one |
| right | bool | |
| logprob, expected_logprob | f64 | of the rest of the sentence with that value, nats |
| rank | i64 | 1 = the true value is the likeliest |
| candidates | i64 | values to choose from: all that the attribute has in this world |

*withheld*: no page has this very sentence, so who completes it knows the fact and not the sentence. *seen*: the other facts of the same
attributes. *others*: attributes of which no sentence is withheld (of towns and roads).

The choice is by the sum of the log-probabilities of the tokens behind the last one that all candidates share, so that articles
("an owl") and what follows the value count. Measured: the share of right answers, by part and by attribute; chance is one over the number
of candidates, and the note tells what always naming the commonest value would reach.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import Field

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.evaluation.facts import PARTS, Attribute, Fact, attributes, sample
from stages.evaluation.likelihood import alternatives, best, scored
from stages.evaluation.measures import Measure, Result, share
from stages.stage import Config

ROWS: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "subject": pl.String(),
    "attribute": pl.String(),
    "part": pl.String(),
    "prompt": pl.String(),
    "answer": pl.String(),
    "expected": pl.String(),
    "right": pl.Boolean(),
    "logprob": pl.Float64(),
    "expected_logprob": pl.Float64(),
    "rank": pl.Int64(),
    "candidates": pl.Int64(),
}


class ClozeConfig(Config):
    """Sentences about the simulated world to complete."""

    facts: int = Field(0, ge=0)
    """Facts that are asked, drawn by the seed; 0 = all."""
    context: str = "This is about people of the country. "
    """What stands before the sentence: the first words of a document are seldom such a sentence."""


def cloze(model: Transformer, tokenizer: Tokenizer, facts: Sequence[Fact], config: ClozeConfig, seed: int) -> Result:
    about = attributes(facts)
    asked = [fact for fact in sample(facts, config.facts, seed) if fact.attribute in about]
    sets = [alternatives(tokenizer, [config.context + one for one in about[fact.attribute].sentences(fact)]) for fact in asked]
    rows = []
    for fact, requests, scores in zip(asked, sets, scored(model, sets), strict=True):
        values, totals = about[fact.attribute].values, [total for total, _ in scores]
        choice, truth = best(totals), values.index(fact.value)
        rows.append(
            (
                *(fact.kind, fact.subject, fact.attribute, about[fact.attribute].part(fact)),
                tokenizer.decode(requests[0].context),
                *(values[choice], fact.value, choice == truth),
                *(totals[choice], totals[truth]),
                1 + sum(total > totals[truth] for total in totals),
                len(values),
            )
        )
    table = pl.DataFrame(rows, schema=ROWS, orient="row")
    return Result(_measures(table, about), {"cloze": table})


def _measures(table: pl.DataFrame, about: dict[str, Attribute]) -> list[Measure]:
    measures = []
    for part in PARTS:
        mine = table.filter(pl.col("part") == part)
        names = [name for name in about if name in mine["attribute"]]
        if names:
            measures.append(_accuracy(mine, part, about))
        measures += [_accuracy(mine.filter(pl.col("attribute") == name), f"{part}: {name}", about) for name in names]
    return measures


def _accuracy(rows: pl.DataFrame, part: str, about: dict[str, Attribute]) -> Measure:
    names = rows["attribute"].to_list()
    chance = sum(about[name].chance for name in names) / len(names)
    majority = sum(about[name].majority for name in names) / len(names)
    return share("cloze", "accuracy", rows["right"].to_list(), part, chance, f"the commonest value: {majority:.3f}")
