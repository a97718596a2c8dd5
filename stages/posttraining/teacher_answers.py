"""Answers of a teacher: conversations in which another model says what the assistant is to say, for a student to be fine-tuned on.

In: `conversations`, shards of rows (conversations.py), of which those with a reason are passed over; `teacher`, a model folder that chats;
`compute`. Out: shards of the same names with the same columns, in which the system message and the users' turns are the given ones and
each answer is the teacher's, made turn after turn in the conversation so far; `samples` of each conversation. Teacher and student may have
different tokenizers. No tool is run: a call gets an error for its result.

| reason | |
|---|---|
| too_long | the conversation left no room for an answer in the teacher's context |
| unfinished | an answer did not end within `answer_tokens` |
| faulty | an answer is not in the layout of chats, or empty; `reason_detail` says how |
| nothing_asked | no user says anything |

Source: Kim and Rush 2016, "Sequence-Level Knowledge Distillation".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from stages.compute import compute_of
from stages.job import run_job
from stages.posttraining.conversations import CONVERSATIONS
from stages.stage import Config, Stage


class TeacherAnswersConfig(Config):
    """How the teacher answers."""

    samples: int = Field(default=1, ge=1, le=1000)
    """Conversations made of each."""
    temperature: float = Field(default=0.7, ge=0)
    """0: always the likeliest token."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The likeliest tokens that have this much of the probability together are drawn from."""
    answer_tokens: int = Field(default=256, ge=1)
    """Longest answer."""
    rows: int = Field(default=32, ge=1)
    """Answers that are made at a time: sums round differently in another company."""
    seed: int = Field(default=0, ge=0)
    """Of what is drawn."""


def run(inputs: Mapping[str, Any], out: Path, config: TeacherAnswersConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.posttraining.teacher_at_work:work", given, out, config, compute_of(inputs.get("compute", {})))


TEACHER_ANSWERS = Stage(
    name="teacher_answers", version=2, run=run, config=TeacherAnswersConfig, adds=CONVERSATIONS, filters=True, shape="whole"
)
