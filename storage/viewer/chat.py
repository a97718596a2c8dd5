"""Rows as conversations. In: a row of one of three shapes. Out: turns, with thoughts apart and long texts cut.

| shape | columns | shown as |
|---|---|---|
| conversation | `messages` | its turns |
| rollout | `prompt`, `completion` | the prompt, then what was answered |
| preference | `prompt`, `chosen`, `rejected` | the prompt, then the two answers side by side |

`messages` is `list<struct<role: string, content: string, ...>>`; `reasoning_content` is a thought before the content, the other fields of a
message (name, tool_calls, tool_call_id) are shown where they are not null. `prompt` and the answers are strings or such lists. Every other column that is a single value (reward,
advantage, finish_reason, margin, annotator, source) is a small figure; of a list of numbers (logprobs), their mean and how many.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from storage.viewer.filters import is_text

OPENS, CLOSES = "<think>", "</think>"
THOUGHT = "reasoning_content"
FOLD = 1_200  # characters of a text that are shown; the rest is folded
ROOM = 20_000  # characters shown of one conversation or answer, folds included; its row has it whole
TURNS = 60  # turns shown of one

SHAPES: dict[str, tuple[str, ...]] = {
    "preference": ("prompt", "chosen", "rejected"),
    "rollout": ("prompt", "completion"),
    "conversation": ("messages",),
}
EXPECTED = (
    "a column messages: list<struct<role: string, content: string>>, or prompt and completion, or prompt, chosen and rejected "
    "(each a string or such a list)"
)


@dataclass(frozen=True)
class Part:
    kind: str
    """said | thought | unfinished thought"""
    shown: str
    folded: str


@dataclass(frozen=True)
class Turn:
    role: str
    parts: tuple[Part, ...]
    note: str
    """What is missing: no content, or how much was cut off; empty where all is there."""
    fields: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Side:
    """A conversation, or one of two answers."""

    title: str
    turns: tuple[Turn, ...]
    note: str = ""


@dataclass(frozen=True)
class Chat:
    number: int
    before: Side
    answers: tuple[Side, ...]
    figures: tuple[tuple[str, Any], ...]


def shape(schema: pa.Schema) -> str | None:
    for name, columns in SHAPES.items():
        if all(column in schema.names for column in columns):
            kinds = [schema.field(column).type for column in columns]
            if all(is_messages(kind) or (is_text(kind) and name != "conversation") for kind in kinds):
                return name
    return None


def is_messages(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(kind.value_type):
        return False
    fields = {field.name: field.type for field in kind.value_type}
    return all(name in fields and is_text(fields[name]) for name in ("role", "content"))


def columns(schema: pa.Schema) -> list[str]:
    """What is read of a row: its texts and the figures beside them."""
    texts = SHAPES[shape(schema) or "conversation"]
    return [field.name for field in schema if field.name in texts or _is_figure(field.type)]


def _is_figure(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return bool(pa.types.is_floating(kind.value_type))
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def chat(number: int, row: Mapping[str, Any], kind: str) -> Chat:
    figures = tuple(
        (name, _figure(value)) for name, value in row.items() if name not in SHAPES[kind] and value is not None and value != []
    )
    if kind == "conversation":
        return Chat(number, side("", row["messages"], "message"), (), figures)
    if kind == "rollout":
        before, after = side("", row["prompt"], "prompt"), side("", row["completion"], "completion")
        return Chat(number, Side("", before.turns + after.turns, before.note or after.note), (), figures)
    answers = tuple(side(name, row[name], "answer") for name in ("chosen", "rejected"))
    return Chat(number, side("", row["prompt"], "prompt"), answers, figures)


def side(title: str, value: Any, role: str) -> Side:
    """`value` as turns: a string is one turn in the role `role`."""
    if value is None:
        return Side(title, (), f"no {role}: null")
    if isinstance(value, str):
        return Side(title, (_turn(role, value, {}, ROOM),))
    if not value:
        return Side(title, (), "no messages: the list is empty")
    turns: list[Turn] = []
    room = ROOM
    for message in value[:TURNS]:
        if message is None:
            turns.append(Turn("null", (), "no message: null"))
            continue
        fields = {name: inner for name, inner in message.items() if name not in ("role", "content") and inner is not None}
        thought = fields.pop(THOUGHT) if isinstance(fields.get(THOUGHT), str) else None
        turn = _turn(message["role"] if message["role"] is not None else "no role", message["content"], fields, room)
        if thought is not None:
            turn = replace(turn, parts=(_part("thought", thought[:room]), *turn.parts))
        turns.append(turn)
        room = max(0, room - len(message["content"] or "") - len(thought or ""))
    more = len(value) - len(turns)
    return Side(title, tuple(turns), f"{more:,} more turns; the row has them" if more else "")


def _turn(role: str, content: str | None, fields: Mapping[str, Any], room: int) -> Turn:
    if not content:
        return Turn(role, (), "no content: null" if content is None else "no content: empty", tuple(fields.items()))
    cut = len(content) - room
    note = f"{cut:,} of {len(content):,} characters are not shown; the row has them" if cut > 0 else ""
    return Turn(role, tuple(_parts(content[:room])), note, tuple(fields.items()))


def _parts(text: str) -> Iterator[Part]:
    """What was said and what was only thought; a thought without an end goes on to the end."""
    at = 0
    while at < len(text):
        begin = text.find(OPENS, at)
        if said := text[at : begin if begin >= 0 else None].strip("\n"):
            yield _part("said", said)
        if begin < 0:
            return
        end = text.find(CLOSES, begin)
        yield _part(
            "thought" if end >= 0 else "unfinished thought", text[begin + len(OPENS) : end if end >= 0 else None].strip("\n")
        )
        at = end + len(CLOSES) if end >= 0 else len(text)


def _part(kind: str, text: str) -> Part:
    if len(text) <= FOLD:
        return Part(kind, text, "")
    cut = max(text.rfind(" ", FOLD // 2, FOLD), text.rfind("\n", FOLD // 2, FOLD)) + 1 or FOLD
    return Part(kind, text[:cut], text[cut:])


def _figure(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    known = [one for one in value if one is not None and math.isfinite(one)]
    mean = f"mean {math.fsum(known) / len(known):.4g}" if known else "no finite value"
    return f"{mean} of {len(value):,}"
