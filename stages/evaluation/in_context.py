"""Learning from examples in the prompt (Brown et al. 2020): how much better is an answer after 1, 2, 4, 8 solved examples than after none?

In: the facts of the simulated crawl. A question is put in two forms, behind examples of the same attribute that are about others:

    question:  Question: Where does Zolek live? Answer: Grobford      What is asked is said; examples show how to answer.
    pair:      Zolek: Grobford                                        What is asked must be seen from the examples.

Out: `in_context.parquet`, a row per question, form and number of examples:

| column | type | meaning |
|---|---|---|
| form | string | question or pair |
| examples | i64 | before the question |
| subject, attribute | string | what is asked |
| prompt | string | as the model reads it |
| answer, expected | string | the likeliest of the attribute's values, and the true one |
| right | bool | |
| logprob, expected_logprob | f64 | of the answers, nats |
| cut | i64 | tokens of the prompt that did not fit into the model's context, dropped on the left |

The same questions at every number; fewer examples are the last of more. No example has the value that is asked for: who merely repeats
one is wrong. Measured: the share of right answers, chosen among all values of the attribute by the sum of their log-probabilities, and the
mean log-probability of the true one, which moves before the choices do. `gain`: right with the most examples minus right with the fewest,
question by question.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import Field

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request
from models.transformer.transformer import Transformer
from stages.evaluation.facts import Attribute, Fact, attributes
from stages.evaluation.likelihood import alternatives, best, scored
from stages.evaluation.measures import Measure, NotMeasured, Result, mean, share
from stages.stage import Config

Form = Literal["question", "pair"]
FORMS: tuple[Form, ...] = ("question", "pair")
BETWEEN = "\n\n"

ROWS: dict[str, pl.DataType] = {
    "form": pl.String(),
    "examples": pl.Int64(),
    "subject": pl.String(),
    "attribute": pl.String(),
    "prompt": pl.String(),
    "answer": pl.String(),
    "expected": pl.String(),
    "right": pl.Boolean(),
    "logprob": pl.Float64(),
    "expected_logprob": pl.Float64(),
    "cut": pl.Int64(),
}


class InContextConfig(Config):
    """Questions about the simulated world behind a growing number of solved ones."""

    questions: int = Field(100, ge=1)
    """Questions, drawn by the seed."""
    examples: tuple[int, ...] = Field((0, 1, 2, 4, 8), min_length=1)
    """How many solved ones stand before each."""


@dataclass(frozen=True)
class Query:
    form: Form
    fact: Fact
    examples: tuple[Fact, ...]

    @property
    def prompt(self) -> str:
        solved = [f"{ask(self.form, fact)} {fact.value}{BETWEEN}" for fact in self.examples]
        return "".join([*solved, ask(self.form, self.fact)])


def ask(form: Form, fact: Fact) -> str:
    return f"Question: {fact.question} Answer:" if form == "question" else f"{fact.subject}:"


def in_context(model: Transformer, tokenizer: Tokenizer, facts: Sequence[Fact], config: InContextConfig, seed: int) -> Result:
    about = attributes(facts)
    drawn = draw(facts, about, config, seed)
    queries = [
        Query(form, fact, others[len(others) - count :]) for form in FORMS for count in config.examples for fact, others in drawn
    ]
    sets = requests_of(tokenizer, queries, about)
    rows = []
    for query, scores in zip(queries, scored(model, sets), strict=True):
        fact, totals = query.fact, [total for total, _ in scores]
        values = about[fact.attribute].values
        choice = best(totals)
        rows.append(
            (
                *(query.form, len(query.examples), fact.subject, fact.attribute, query.prompt),
                *(values[choice], fact.value, values[choice] == fact.value),
                *(totals[choice], totals[values.index(fact.value)], max(cut for _, cut in scores)),
            )
        )
    table = pl.DataFrame(rows, schema=ROWS, orient="row")
    measures = [one for form in FORMS for count in config.examples for one in _measures(table, about, form, count)]
    return Result(measures + _gains(table, config), {"in_context": table})


def part(form: Form, count: int) -> str:
    return f"{form}, {count} example{'' if count == 1 else 's'}"


def draw(
    facts: Sequence[Fact], about: dict[str, Attribute], config: InContextConfig, seed: int
) -> list[tuple[Fact, tuple[Fact, ...]]]:
    """Facts to ask about, each with as many others of its attribute and another value as the longest prompt has examples."""
    rng, most = random.Random(seed), max(config.examples)
    found = []
    for fact in rng.sample(list(facts), len(facts)):
        others = [
            one for one in facts if one.attribute == fact.attribute and one.subject != fact.subject and one.value != fact.value
        ]
        if fact.attribute in about and len(others) >= most:
            found.append((fact, tuple(rng.sample(others, most))))
        if len(found) == config.questions:
            break
    if not found:
        raise NotMeasured(
            f"no fact has {most} others of its attribute with other values as examples; lower in_context.examples, or simulate a larger world"
        )
    return found


def requests_of(tokenizer: Tokenizer, queries: Sequence[Query], about: dict[str, Attribute]) -> list[list[Request]]:
    """Solved examples are encoded by themselves, once, and stand between the document's first token and the question."""
    lines = list(dict.fromkeys(f"{ask(q.form, fact)} {fact.value}{BETWEEN}" for q in queries for fact in q.examples))
    ids = dict(zip(lines, tokenizer.encode_batch(lines), strict=True))
    sets = []
    for query in queries:
        candidates = [f"{ask(query.form, query.fact)} {value}" for value in about[query.fact.attribute].values]
        before = [one for fact in query.examples for one in ids[f"{ask(query.form, fact)} {fact.value}{BETWEEN}"]]
        sets.append(
            [
                Request([*request.context[:1], *before, *request.context[1:]], request.continuation)
                for request in alternatives(tokenizer, candidates)
            ]
        )
    return sets


def _measures(table: pl.DataFrame, about: dict[str, Attribute], form: Form, count: int) -> list[Measure]:
    mine = table.filter((pl.col("form") == form) & (pl.col("examples") == count))
    chance = sum(about[name].chance for name in mine["attribute"]) / mine.height
    cut = int((mine["cut"] > 0).sum())
    note = f"{cut} prompts longer than the context lost their beginning" if cut else None
    return [
        share("in_context", "accuracy", mine["right"].to_list(), part(form, count), chance, note),
        mean("in_context", "expected_logprob", mine["expected_logprob"].to_list(), part(form, count), "nats, of the true value"),
    ]


def _gains(table: pl.DataFrame, config: InContextConfig) -> list[Measure]:
    """None where there is but one number of examples."""
    few, many = min(config.examples), max(config.examples)
    gains = []
    for form in FORMS if many > few else ():
        right = [
            table.filter(pl.col("form") == form, pl.col("examples") == count)["right"].cast(pl.Int8) for count in (few, many)
        ]
        gains.append(mean("in_context", "gain", (right[1] - right[0]).to_list(), f"{form}, {many} - {few} examples"))
    return gains
