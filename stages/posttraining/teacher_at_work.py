"""What the job of `teacher_answers` does: the conversations of a shard go forward together, an answer each in a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from models.chat.conversation import SYSTEM, USER, Message, fault
from models.chat.generated import generated
from models.chat.renderer import prompt
from models.chat.tools.answer import answering
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer
from models.transformer.world import alone
from stages.compute import Compute
from stages.posttraining.conversations import CONVERSATIONS, messages_of, rows_of
from stages.posttraining.teacher_answers import TeacherAnswersConfig
from stages.pretraining.start import exact, folder_of
from stages.stage import REASON
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode, read_parquet

Row = Mapping[str, Any]


@dataclass
class Talk:
    """A conversation that is being made."""

    row: Row
    copy: int
    asked: list[tuple[Message, ...]]
    """What stands before each answer."""
    messages: list[Message] = field(default_factory=list)
    reason: str | None = None
    detail: str | None = None

    def drop(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


def work(inputs: Mapping[str, Any], out: Path, config: TeacherAnswersConfig, compute: Compute) -> dict[str, Any]:
    """Counts. Raises Problem where nothing was answered, Unusable for a teacher without the tokens of chats."""
    exact(compute)
    if compute.processes > 1:
        raise Problem(f"{compute.processes} processes are to answer; expected 1, which answers many at a time")
    folder = folder_of(inputs["teacher"])
    tokenizer = load(folder)
    teacher = load_model(folder, device=alone(compute.device).device)
    total = answered = 0
    for path in inputs["conversations"].shards:
        kept = "reason" in pl.read_parquet_schema(path)
        rows = read_parquet(str(path), [*CONVERSATIONS, *(["reason"] if kept else [])], kept).iter_rows(named=True)
        talks = [
            Talk(row, copy, asked(messages_of(row["messages"], row["id"]))) for row in rows for copy in range(config.samples)
        ]
        answer_all(talks, teacher, tokenizer, config)
        (out / path.name).write_bytes(encode(_frame(talks, config), CONVERSATIONS | REASON))
        total += len(talks)
        answered += sum(talk.reason is None for talk in talks)
    if not answered:
        raise Problem(
            f"none of the {total:,} conversations got an answer that is one; look at what the teacher in {folder} writes (winnow chat)"
        )
    return {"conversations": total, "answered": answered}


def asked(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """Turns of the user that follow each other, the first with the system message before it."""
    groups = [tuple(group) for given, group in groupby(messages, lambda one: one.role in (SYSTEM, USER)) if given]
    return [group for group in groups if group[-1].role == USER]


def answer_all(talks: Sequence[Talk], teacher: Transformer, tokenizer: Tokenizer, config: TeacherAnswersConfig) -> None:
    for talk in talks:
        if not talk.asked:
            talk.drop("nothing_asked", "no user says anything; expected a question")
    for turn in range(max((len(talk.asked) for talk in talks), default=0)):
        requests: dict[int, Request] = {}
        for place, talk in enumerate(talks):
            if talk.reason is None and turn < len(talk.asked):
                talk.messages += talk.asked[turn]
                tokens = prompt(talk.messages, tokenizer)
                if len(tokens) >= teacher.shape.context:
                    talk.drop(
                        "too_long", f"{len(tokens)} tokens before answer {turn + 1}; the context is {teacher.shape.context}"
                    )
                else:
                    requests[place] = _request(talk, turn, tokens, tokenizer, config)
        done = generate(teacher, list(requests.values()), config.rows)
        for place, completion in zip(requests, done, strict=True):
            _take(talks[place], completion.tokens, tokenizer, config)


def _request(talk: Talk, turn: int, tokens: list[int], tokenizer: Tokenizer, config: TeacherAnswersConfig) -> Request:
    seed = int(digest([config.seed, talk.row["id"], talk.copy, turn], 12), 16)
    sampling = Sampling(temperature=config.temperature, top_p=config.top_p)
    return Request(tokens, config.answer_tokens, sampling, tokenizer.stops, seed, answer=answering([], tokenizer))


def _take(talk: Talk, tokens: Sequence[int], tokenizer: Tokenizer, config: TeacherAnswersConfig) -> None:
    found = generated(tokens, tokenizer)
    if not found.finished:
        talk.drop("unfinished", f"the answer has no end within {config.answer_tokens} tokens")
    elif found.faults:
        talk.drop("faulty", found.faults[0])
    elif wrong := fault([*talk.messages, *found.messages]):
        talk.drop("faulty", wrong.detail)
    else:
        talk.messages += found.messages


def _frame(talks: Sequence[Talk], config: TeacherAnswersConfig) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [talk.row["id"] if config.samples == 1 else f"{talk.row['id']}#{talk.copy}" for talk in talks],
            "messages": [rows_of(talk.messages) for talk in talks],
            "source": [talk.row["source"] for talk in talks],
            "split": [talk.row["split"] for talk in talks],
            "reason": [talk.reason for talk in talks],
            "reason_value": [None] * len(talks),
            "reason_threshold": [None] * len(talks),
            "reason_detail": [talk.detail for talk in talks],
        },
        schema=CONVERSATIONS | REASON,
    )
