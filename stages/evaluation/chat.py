"""What a chat model knows, admits, computes, looks up and calls itself. A whole stage, run as a job of its own.

| input | what |
|---|---|
| model | a model folder with its tokenizer, chat or base: the same questions before and after fine-tuning |
| conversations | the artifact of WORLD_CONVERSATIONS: its test questions |
| crawl | the artifact of `simulate`: what is true, and the pages that are searched |
| compute | mapping: device, threads |

Out: `scores.parquet` (`stages.evaluation.measures`, task "chat"), `report.md` and `questions.parquet`, a row per question:

| column | type | meaning |
|---|---|---|
| id, kind, part, subject, attribute, expected | string | as the test has them |
| question | string | what the user asked last |
| answer, thinking | string | what the model said last; all that it thought |
| calls | list(string) | "tool: text -> result" |
| called, refused, finished, right | bool | a call was made; the answer is that it is not known; the turn came to its end; see `chat_judge.py` |

| part | metric | of which questions |
|---|---|---|
| known | right, refused | facts asked in training |
| never asked | right, refused | facts of the same subjects that were never asked |
| follow-up, change | right | the last of several |
| unknown, unknown person, unknown town | refused | who or what does not exist |
| 1 step .. 5 steps | right | sums |
| tool needed, python, search | called; right (of all); right after call | |
| search without result | refused | |
| without retrieval, with retrieval | right | facts that were never asked, from memory; the same with `search` listed |
| tool not needed | called | tools listed |
| repeat | right | texts to say again |
| identity, name, maker, what | right | |
| all | finished | |

Tools run as in a chat: `python` as it is, `search` over an index of the crawl's pages; a conversation has those that its system message
lists. Every kind of question is kept in `.done` when finished, so that an evaluation that was killed goes on with the next. The same
inputs and config give the same bytes on the same type of device with the same number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl
from pydantic import Field

from models.chat.conversation import PYTHON, SEARCH, SYSTEM, USER, Call, Message
from models.chat.generated import generated
from models.chat.renderer import prompt
from models.chat.tools.answer import answering
from models.chat.tools.python import Python, python_tool
from models.chat.tools.tool import Tool, listing
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer
from stages.compute import Compute, compute_of
from stages.evaluation import facts
from stages.evaluation.chat_judge import Question, Truth, Turn, called, right, truth
from stages.evaluation.chat_report import chat_report
from stages.evaluation.evaluate import DONE, EvaluateBaseConfig, kept, opened, progress
from stages.evaluation.measures import SCORES, Measure, Result, frame, share
from stages.evaluation.report import About
from stages.job import run_job
from stages.posttraining.conversations import messages_of, rows_of
from stages.posttraining.world.conversations import SEARCH as FINDING
from stages.posttraining.world.made import BESIDE
from stages.posttraining.world.questions import unknowing
from stages.posttraining.world.searching import Searching, world_index, world_tool
from stages.pretraining.start import deterministic
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

TASK = "chat"
Kind = Literal["fact", "retrieval", "multi_turn", "unknown", "arithmetic", "python", "search", "idle", "repeat", "identity"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RETRIEVAL: Kind = "retrieval"
"""The never-asked facts once more, with `search` listed."""
LEAST_ANSWER = 16
"""Tokens that must be left for an answer; a question that leaves fewer is not asked."""
ROWS: dict[str, pl.DataType] = {
    "id": pl.String(),
    **BESIDE,
    "question": pl.String(),
    "answer": pl.String(),
    "thinking": pl.String(),
    "calls": pl.List(pl.String()),
    "called": pl.Boolean(),
    "refused": pl.Boolean(),
    "finished": pl.Boolean(),
    "right": pl.Boolean(),
}


class EvaluateChatConfig(Config):
    """How much of an answer, and how it is drawn."""

    seed: int = Field(0, ge=0)
    """Of the draws at a temperature above 0."""
    temperature: float = Field(0.0, ge=0)
    """0: the likeliest token each time."""
    kinds: tuple[Kind, ...] = KINDS
    """What is asked for."""
    questions: int = Field(0, ge=0)
    """Most questions of each kind and part; 0 = all that the artifact has."""
    max_tokens: int = Field(200, ge=1)
    """Most tokens of a turn, results included."""
    calls: int = Field(2, ge=0)
    """Most calls in a turn; one too many is told so."""
    hits: int = Field(2, ge=1, le=20)
    """Passages of a search result, as in the conversations."""
    characters: int = Field(240, ge=50, le=10_000)
    """Of a search result, as in the conversations."""
    rows: int = Field(32, ge=1)
    """Answers that are written at a time: sums round differently in another company."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the mathematics."""


def run(inputs: Mapping[str, Any], out: Path, config: EvaluateChatConfig) -> dict[str, Any]:
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.evaluation.chat:evaluate", given, out, config, compute)


def evaluate(inputs: Mapping[str, Any], out: Path, config: EvaluateChatConfig, compute: Compute) -> dict[str, Any]:
    """The job. Back: every rate, by part and metric."""
    deterministic(compute)
    model, tokenizer = opened(inputs["model"], EvaluateBaseConfig(precision=config.precision), compute)
    world = truth(facts.read(inputs["crawl"]))
    tests = asked(inputs["conversations"], config.questions)
    tests = pl.concat([tests, looked_up(tests)]).filter(pl.col("kind").is_in(config.kinds))
    kinds = [kind for kind in KINDS if (tests["kind"] == kind).any()]
    if not kinds:
        raise Problem(
            f"the test questions have none of the kinds {', '.join(config.kinds) or '(none)'}; expected some: see `kinds`"
        )
    tables: dict[str, pl.DataFrame] = {}
    with Python() as python:
        tools = [python_tool(python)]
        if SEARCH in kinds or _listed(tests, SEARCH):
            tools.append(world_tool(_index(inputs["crawl"], out), Searching(config.hits, config.characters)))
        for number, kind in enumerate(kinds):
            progress(out, number, len(kinds), kind)
            mine = tests.filter(pl.col("kind") == kind)
            task = partial(_result, kind, mine, model, tokenizer, tools, world, config)
            tables[kind] = kept(out / DONE, kind, task).tables[kind]
    progress(out, len(kinds), len(kinds), "")
    rows = pl.concat([table.cast(ROWS) for table in tables.values()])  # type: ignore[arg-type]
    measures = measured(rows)
    skipped = tests.height - rows.height
    (out / "questions.parquet").write_bytes(encode(rows, ROWS))
    (out / "scores.parquet").write_bytes(encode(frame(measures), SCORES))
    about = About(
        parameters=sum(weight.numel() for weight in model.parameters()),
        context=model.shape.context,
        vocabulary=tokenizer.size,
        tokenizer=tokenizer.kind,
    )
    (out / "report.md").write_text(chat_report(about, measures, rows, skipped), encoding="utf-8")
    return {"questions": rows.height, "skipped": skipped} | {f"{one.part} {one.metric}": one.value for one in measures}


def asked(conversations: Input, most: int) -> pl.DataFrame:
    """The test rows, at most `most` of each kind and part (0: all). Raises Problem where there are none."""
    frames = []
    for path in conversations.shards:
        shard = read_parquet(str(path))
        if not {"id", "messages", "split", *BESIDE} <= set(shard.columns):
            raise Problem(
                f"{path.name} has the columns {', '.join(shard.columns)}; expected those of the stage `world_conversations`: "
                f"{', '.join(('id', 'messages', 'split', *BESIDE))}. Give its artifact"
            )
        frames.append(shard.filter(pl.col("split") == "test"))
    if not frames or not sum(one.height for one in frames):
        raise Problem("found no conversation with the split `test`; make the world conversations anew with `tests` above 0")
    tests = pl.concat(frames)
    return tests.filter(pl.int_range(pl.len()).over("kind", "part") < most) if most else tests


def looked_up(tests: pl.DataFrame) -> pl.DataFrame:
    """The never-asked facts as questions that may be searched for: what retrieval adds is their rate beside that from memory."""
    system = Message(SYSTEM, listing([FINDING]))
    mine = tests.filter((pl.col("kind") == "fact") & (pl.col("part") == "never_asked"))
    messages = [rows_of([system, *(one for one in messages_of(rows, "") if one.role != SYSTEM)]) for rows in mine["messages"]]
    return mine.with_columns(
        id=pl.col("id") + f"-{RETRIEVAL}", kind=pl.lit(RETRIEVAL), messages=pl.Series(messages, dtype=tests.schema["messages"])
    )


def _listed(tests: pl.DataFrame, tool: str) -> bool:
    return any(tool in listed(messages_of(rows, "")) for rows in tests["messages"])


def _index(crawl: Input, out: Path) -> Path:
    """That of an earlier attempt if it was finished."""
    done = out / ".world" / "index"
    return done if (done / "index.json").is_file() and (done / "vectors.npy").is_file() else world_index(crawl, out / ".world")


def listed(messages: Sequence[Message]) -> set[str]:
    """The tools that the system message lists."""
    if not messages or messages[0].role != SYSTEM:
        return set()
    return {tool for tool in (PYTHON, SEARCH) if any(line.startswith(f"{tool}(") for line in messages[0].content.splitlines())}


def question_of(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation as far as the user's last turn."""
    last = max(place for place, message in enumerate(messages) if message.role == USER)
    return tuple(messages[: last + 1])


def _result(kind: str, *given: Any) -> Result:
    return Result([], {kind: _table(*given)})


def _table(
    tests: pl.DataFrame,
    model: Transformer,
    tokenizer: Tokenizer,
    tools: Sequence[Tool],
    world: Truth,
    config: EvaluateChatConfig,
) -> pl.DataFrame:
    """The columns ROWS: a row for each question that leaves room for an answer."""
    rows: list[dict[str, Any]] = []
    requests: list[Request] = []
    made: list[list[tuple[Call, str]]] = []
    for number, row in enumerate(tests.iter_rows(named=True)):
        before = question_of(messages_of(row["messages"], row["id"]))
        tokens = prompt(before, tokenizer)
        if len(tokens) > model.shape.context - LEAST_ANSWER:
            continue
        calls: list[tuple[Call, str]] = []
        told = _noting(calls)
        mine = [tool for tool in tools if tool.name in listed(before)]
        answer = answering(mine, tokenizer, config.calls, config.characters, told)
        sampling = Sampling(temperature=config.temperature)
        requests.append(Request(tokens, config.max_tokens, sampling, tokenizer.stops, config.seed + number, answer=answer))
        made.append(calls)
        rows.append({name: row[name] for name in ("id", *BESIDE)} | {"question": before[-1].content})
    for row, calls, completion in zip(rows, made, generate(model, requests, config.rows), strict=True):
        turn = Turn(generated(completion.tokens, tokenizer), calls)
        question = Question(*(row[name] for name in ("kind", "part", "subject", "attribute", "expected")))
        row["answer"] = turn.answer
        row["thinking"] = "\n".join(one.thinking for one in turn.said.messages if one.thinking) or None
        row["calls"] = [f"{call.tool}: {call.text} -> {result}" for call, result in calls]
        row["called"], row["refused"], row["finished"] = called(turn), unknowing(turn.answer), turn.said.finished
        row["right"] = right(question, turn, world)
    return pl.DataFrame(rows, schema=ROWS)


def _noting(calls: list[tuple[Call, str]]) -> Any:
    return lambda call, result: calls.append((call, result))


def measured(rows: pl.DataFrame) -> list[Measure]:
    """Only of what was asked."""
    return [share(TASK, metric, values, part) for part, metric, values in _rates(rows) if values]


def _rates(rows: pl.DataFrame) -> Iterator[tuple[str, str, list[bool]]]:
    kind, part, was_called = pl.col("kind"), pl.col("part"), pl.col("called")

    def of(column: str, *which: pl.Expr) -> list[bool]:
        return rows.filter(*which)[column].to_list()

    for name, told in (("asked", "known"), ("never_asked", "never asked")):
        for metric in ("right", "refused"):
            yield told, metric, of(metric, kind == "fact", part == name)
    for name, told in (("follow_up", "follow-up"), ("change", "change")):
        yield told, "right", of("right", kind == "multi_turn", part == name)
    yield "unknown", "refused", of("refused", kind == "unknown")
    for name in ("person", "town"):
        yield f"unknown {name}", "refused", of("refused", kind == "unknown", part == name)
    for name in sorted(rows.filter(kind == "arithmetic")["part"].unique(), key=lambda one: int(one.split()[0])):
        yield name, "right", of("right", kind == "arithmetic", part == name)
    answerable = (kind == PYTHON) | ((kind == SEARCH) & (part == "found"))
    for name, mine in (("tool needed", answerable), (PYTHON, kind == PYTHON), (SEARCH, (kind == SEARCH) & (part == "found"))):
        yield name, "called", of("called", mine)
        yield name, "right", of("right", mine)
        yield name, "right after call", of("right", mine, was_called)
    yield "search without result", "refused", of("refused", kind == SEARCH, part == "not_found")
    yield "without retrieval", "right", of("right", kind == "fact", part == "never_asked")
    yield "with retrieval", "right", of("right", kind == RETRIEVAL)
    yield "tool not needed", "called", of("called", kind == "idle")
    yield "repeat", "right", of("right", kind == "repeat")
    yield "identity", "right", of("right", kind == "identity")
    for name in ("name", "maker", "what"):
        yield name, "right", of("right", kind == "identity", part == name)
    yield "all", "finished", rows["finished"].to_list()


EVALUATE_CHAT = Stage(name="evaluate_chat", version=3, run=run, config=EvaluateChatConfig, shape="whole")
