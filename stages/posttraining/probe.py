"""Probe: asks a model several times for each fact of its world, and writes down which it knows.

In: `model` (chat or base), `crawl` (the artifact of `simulate`); `compute`. A fact is asked greedily once, and `samples` times at a
temperature, phrasings in turn. A chat model is asked in its layout, behind no system message; a base model behind solved examples
(`stages/evaluation/prompted.py`), about subjects that are no example. Out: `knowledge.parquet`, a row per fact:

| column | type | meaning |
|---|---|---|
| kind, subject, attribute, value, sentence | string | the fact |
| asked | i64 | times that it was asked |
| right | i64 | times that the true value was named, of the subject |
| refused | i64 | times that the answer was that it is not known |
| share | f64 | right / asked |
| greedy | bool | whether the greedy answer was right |
| questions, answers | list(string) | what was asked and answered, the greedy one first |
| known | bool | `share` is at least `threshold` |

A temperature shows what the greedy answer hides: a model that guesses is right now and then, one that knows is so every time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from models.chat.conversation import USER, Message
from models.chat.generated import generated
from models.chat.renderer import prompt
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import GREEDY, Sampling
from models.transformer.transformer import Transformer
from stages.compute import Compute, compute_of
from stages.evaluation import facts as known_facts
from stages.evaluation.chat_judge import truth
from stages.evaluation.evaluate import EvaluateBaseConfig, opened, progress
from stages.evaluation.facts import Fact
from stages.evaluation.likelihood import beginning
from stages.evaluation.prompted import BETWEEN, HEAD
from stages.job import run_job
from stages.posttraining.world.questions import phrasings, unknowing
from stages.pretraining.start import deterministic
from stages.stage import Config, Stage
from storage.problem import Problem
from storage.shards import encode

PART = 512
"""Requests that are made at a time."""

KNOWLEDGE: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "subject": pl.String(),
    "attribute": pl.String(),
    "value": pl.String(),
    "sentence": pl.String(),
    "asked": pl.Int64(),
    "right": pl.Int64(),
    "refused": pl.Int64(),
    "share": pl.Float64(),
    "greedy": pl.Boolean(),
    "questions": pl.List(pl.String()),
    "answers": pl.List(pl.String()),
    "known": pl.Boolean(),
}


class ProbeConfig(Config):
    """How often each fact is asked, and what counts as known."""

    form: Literal["chat", "base"] = "chat"
    """How the model is spoken to."""
    samples: int = Field(4, ge=0, le=1000)
    """Times that a fact is asked at the temperature, beside the greedy time."""
    temperature: float = Field(0.8, gt=0)
    """Of these."""
    threshold: float = Field(0.6, gt=0, le=1)
    """Share of right answers from which on a fact is known."""
    attributes: tuple[str, ...] = ("town", "job", "pet", "food", "river", "good", "region")
    """Which facts are asked for."""
    facts: int = Field(0, ge=0)
    """How many facts, drawn by the seed; 0 = all."""
    examples: int = Field(4, ge=0)
    """Solved questions before that of a base model."""
    max_tokens: int = Field(40, ge=1)
    """Of an answer."""
    seed: int = Field(0, ge=0)
    """Of every draw."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the mathematics."""


def run(inputs: Mapping[str, Any], out: Path, config: ProbeConfig) -> dict[str, Any]:
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.posttraining.probe:probe", given, out, config, compute)


def probe(inputs: Mapping[str, Any], out: Path, config: ProbeConfig, compute: Compute) -> dict[str, Any]:
    """The job. Back: numbers of facts, known ones, and mean share of right answers. Raises Problem where there is nothing to ask."""
    deterministic(compute)
    model, tokenizer = opened(inputs["model"], EvaluateBaseConfig(precision=config.precision), compute)
    every = [fact for fact in known_facts.read(inputs["crawl"]) if fact.attribute in config.attributes]
    if not every:
        raise Problem(f"the world has no facts about {', '.join(config.attributes) or 'nothing'}; name others in `attributes`")
    examples = random.Random(config.seed).sample(every, min(config.examples, len(every))) if config.form == "base" else []
    head = BETWEEN.join([HEAD, *(f"Question: {one.question} Answer: {one.sentence}" for one in examples)])
    subjects = {fact.subject for fact in examples}
    asked = known_facts.sample([fact for fact in every if fact.subject not in subjects], config.facts, config.seed)
    questions = [(fact, question) for fact in asked for question in _questions(fact, config.samples + 1)]
    answers: list[str] = []
    for first in range(0, len(questions), PART):
        progress(out, first, len(questions), "questions")
        some = questions[first : first + PART]
        requests = [_request(question, first + place, head, model, tokenizer, config) for place, (_, question) in enumerate(some)]
        answers += [_said(one.tokens, tokenizer, config) for one in generate(model, requests)]
    progress(out, len(questions), len(questions), "")
    table = judged(every, asked, questions, answers, config)
    (out / "knowledge.parquet").write_bytes(encode(table, KNOWLEDGE))
    asked_times = max(1, int(table["asked"].sum()))
    return {
        "facts": table.height,
        "known": int(table["known"].sum()),
        "greedy_right": int(table["greedy"].sum()),
        "share": int(table["right"].sum()) / asked_times,
        "refused": int(table["refused"].sum()) / asked_times,
    }


def judged(
    every: Sequence[Fact],
    asked: Sequence[Fact],
    questions: Sequence[tuple[Fact, str]],
    answers: Sequence[str],
    config: ProbeConfig,
) -> pl.DataFrame:
    """The columns KNOWLEDGE; of each fact the same number of questions in a row, the greedy one first."""
    world = truth(every)
    each = config.samples + 1
    rows = []
    for place, fact in enumerate(asked):
        if (fact.subject, fact.attribute) not in world.facts:  # all values of the attribute are the same: nothing is asked
            continue
        mine = answers[place * each : (place + 1) * each]
        hits = [world.names(answer, fact) and not unknowing(answer) for answer in mine]
        share = sum(hits) / each
        about = (fact.kind, fact.subject, fact.attribute, fact.value, fact.sentence)
        said = [question for _, question in questions[place * each : (place + 1) * each]]
        rows.append(
            (*about, each, sum(hits), sum(map(unknowing, mine)), share, hits[0], said, list(mine), share >= config.threshold)
        )
    return pl.DataFrame(rows, schema=KNOWLEDGE, orient="row")


def _questions(fact: Fact, count: int) -> list[str]:
    found = phrasings(fact)
    return [found[number % len(found)] for number in range(count)]


def _request(question: str, number: int, head: str, model: Transformer, tokenizer: Tokenizer, config: ProbeConfig) -> Request:
    greedy = number % (config.samples + 1) == 0
    sampling = GREEDY if greedy else Sampling(temperature=config.temperature)
    if config.form == "chat":
        tokens = prompt([Message(USER, question)], tokenizer)
        return Request(tokens, config.max_tokens, sampling, tokenizer.stops, config.seed + number)
    tokens = [beginning(tokenizer), *tokenizer.encode(f"{head}{BETWEEN}Question: {question} Answer:")]
    if len(tokens) + config.max_tokens > model.shape.context:
        raise Problem(
            f"the prompt with {config.examples} examples and an answer of {config.max_tokens} tokens are "
            f"{len(tokens) + config.max_tokens} tokens, the model's context is {model.shape.context}; lower `examples` or `max_tokens`"
        )

    def over(said: Sequence[int]) -> bool:
        return "\n" in tokenizer.decode(said[-1:])

    return Request(tokens, config.max_tokens, sampling, tokenizer.stops, config.seed + number, stop_when=over)


def _said(tokens: Sequence[int], tokenizer: Tokenizer, config: ProbeConfig) -> str:
    if config.form == "chat":
        return generated(tokens, tokenizer).answer.strip()
    return tokenizer.decode(tokens).split("\n")[0].strip()


PROBE = Stage(name="probe", version=1, run=run, config=ProbeConfig, shape="whole")
