"""Rows of the common datasets of preferences, recognised by their fields.

| shape | fields |
|---|---|
| hh | chosen, rejected: whole dialogues as texts, `\\n\\nHuman: ...\\n\\nAssistant: ...` (Bai et al. 2022) |
| conversation | chosen, rejected: whole conversations as lists of messages |
| pair | what was asked in any shape of stages/posttraining/loaders.py, and beside it chosen and rejected, each a text, a message or a list of them |
| ranking | what was asked, `answers` (or completions, responses: a list of such), `ranks`, a number for each: the lowest is the best, equal ones tie |

Some published datasets name these fields otherwise: published.py.

The chosen and the rejected answer are both read as a conversation by `loaders.load`, and what they begin with in common is the prompt.
Beside any of them: `annotator`; `margin`, or two scores (score_chosen and score_rejected, chosen_score ..., chosen_rating ...) whose
difference it is.

| reason | |
|---|---|
| unreadable | a line that is no JSON |
| unrecognised | the row holds no two answers, or nothing was asked |
| different_prompts | the two answers are to different questions |
| several_turns | an answer goes on over a turn of the user |
| same_answer | both say the same |
| tie | all answers of a ranking are as good as each other |
| judged_again | a later row has the same `item` and `annotator` |
| others | of conversations: stages/posttraining/loaders.py, models/chat/conversation.py |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import isfinite
from typing import Any

from models.chat.conversation import ASSISTANT, USER, Message
from stages.alignment.preferences import ordered
from stages.alignment.published import known
from stages.posttraining.files import Unread
from stages.posttraining.loaders import load
from stages.posttraining.turns import ROLES
from stages.posttraining.unfit import Unfit

Row = Mapping[str, Any]

_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant):")
_ANSWERS = ("answers", "completions", "responses")
_ASKED = ("messages", "conversation", "conversations", "instruction", "prompt", "question")
_SCORES = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"), ("chosen_rating", "rejected_rating"))
EXPECTED = (
    "chosen and rejected beside what was asked (prompt, question, instruction or messages), or answers and ranks: a list of texts and one of "
    "numbers, the lowest for the best"
)


@dataclass(frozen=True)
class Pair:
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    margin: float | None = None


@dataclass(frozen=True)
class Compared:
    pairs: tuple[Pair, ...] = ()
    shape: str | None = None
    annotator: str | None = None
    reason: str | None = None
    """Why the row has no pair; null where it has."""
    detail: str | None = None


def compare(row: Any) -> Compared:
    """Never raises: a row without a pair has a reason."""
    if isinstance(row, Unread):
        return Compared(reason="unreadable", detail=row.why)
    if not isinstance(row, Mapping):
        return Compared(reason="unrecognised", detail=f"the row is {type(row).__name__}; expected an object")
    name, annotator = None, _text(row.get("annotator"))
    try:
        row = known(row)
        name = shape(row)
        pairs = _ranking(row) if name == "ranking" else (_pair(row, name),)
    except Unfit as unfit:
        return Compared((), name, annotator, unfit.reason, unfit.detail)
    return Compared(pairs, name, annotator)


def shape(row: Row) -> str | None:
    if any(_listed(row.get(name)) for name in _ANSWERS) and row.get("ranks") is not None:
        return "ranking"
    if row.get("chosen") is None or row.get("rejected") is None:
        return None
    both = row["chosen"], row["rejected"]
    if all(_listed(one) and _role(one) != ASSISTANT for one in both):
        return "conversation"
    if any(row.get(name) is not None for name in _ASKED):
        return "pair"
    return "hh" if all(isinstance(one, str) and _SPEAKER.match(one) for one in both) else None


def judged_again(rows: Sequence[Any]) -> set[int]:
    """Places of judgements that the same annotator has made anew further down."""
    last: dict[tuple[str, str], int] = {}
    old = set()
    for place, row in enumerate(rows):
        if isinstance(row, Mapping) and row.get("item") is not None and shape(row) == "ranking":
            who = str(row["item"]), str(row.get("annotator"))
            if who in last:
                old.add(last[who])
            last[who] = place
    return old


def _pair(row: Row, name: str | None) -> Pair:
    if name is None:
        raise Unfit("unrecognised", f"the fields are {', '.join(map(str, row)) or 'none'}; expected {EXPECTED}")
    chosen, rejected = (_conversation(row, row[side], name) for side in ("chosen", "rejected"))
    return _parted(chosen, rejected, _margin(row))


def _ranking(row: Row) -> tuple[Pair, ...]:
    answers = next(row[name] for name in _ANSWERS if _listed(row.get(name)))
    ranks = row["ranks"]
    if (
        not _listed(ranks)
        or len(ranks) != len(answers)
        or any(isinstance(one, bool) or not isinstance(one, int | float) for one in ranks)
    ):
        raise Unfit("unrecognised", f"{len(answers)} answers with the ranks {ranks!r}; expected a number for each")
    order = ordered([float(one) for one in ranks])
    if not order:
        raise Unfit("tie", "all answers are as good as each other; expected one that is better than another")
    conversations = [_conversation(row, answer, "pair") for answer in answers]
    pairs = tuple(  # two models may say the same: that pair alone is none
        _parted(conversations[better], conversations[worse], None)
        for better, worse in order
        if conversations[better] != conversations[worse]
    )
    if not pairs:
        raise Unfit("same_answer", "answers of different ranks say the same; expected two answers")
    return pairs


def _conversation(row: Row, answer: Any, name: str) -> tuple[Message, ...]:
    """What was asked, and `answer`. Raises Unfit."""
    if name == "hh":
        whole: Row = {"messages": dialogue(answer)}
    elif name == "conversation":
        whole = {"messages": answer}
    else:
        whole = _asked(row, answer)
    found = load(whole)
    if found.reason is not None:
        raise Unfit(found.reason, found.detail or "")
    return found.messages


def _asked(row: Row, answer: Any) -> Row:
    """The row as one of a conversation that ends with `answer`."""
    beside = {key: row[key] for key in ("system", "system_prompt", "tools", "history", "input") if row.get(key) is not None}
    said = (
        [{"role": ASSISTANT, "content": answer}]
        if isinstance(answer, str)
        else [answer]
        if isinstance(answer, Mapping)
        else answer
    )
    if not _listed(said):
        raise Unfit("unrecognised", f"an answer is {type(answer).__name__}; expected a text, a message or a list of messages")
    for key in ("messages", "conversation", "conversations"):
        if _listed(row.get(key)):
            return {"messages": [*row[key], *said]} | beside
    if row.get("instruction") is not None:
        if not isinstance(answer, str):
            raise Unfit("unrecognised", f"an instruction with {type(answer).__name__} as an answer; expected a text")
        return {"instruction": row["instruction"], "output": answer} | beside
    asked = row.get("prompt") if row.get("prompt") is not None else row.get("question")
    if isinstance(asked, str) and _SPEAKER.match(asked):
        asked = [one for one in dialogue(asked) if one["content"]]
    return {"prompt": asked, "completion": said} | beside


def dialogue(text: str) -> list[dict[str, str]]:
    """Human and Assistant of the HH datasets as messages."""
    found = list(_SPEAKER.finditer(text))
    ends = [*(one.start() for one in found[1:]), len(text)]
    return [
        {"role": USER if one[1] == "Human" else ASSISTANT, "content": text[one.end() : end].strip()}
        for one, end in zip(found, ends, strict=True)
    ]


def _parted(chosen: tuple[Message, ...], rejected: tuple[Message, ...], margin: float | None) -> Pair:
    """What both begin with, up to the user's last turn in it, and the two answers."""
    if chosen == rejected:
        raise Unfit("same_answer", "chosen and rejected say the same; expected two answers")
    common = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(chosen, rejected, strict=False)))
    begin = max((place + 1 for place, one in enumerate(chosen[:common]) if one.role == USER), default=0)
    answers = chosen[begin:], rejected[begin:]
    first = chosen[common : common + 1] + rejected[common : common + 1]
    if not begin or not all(answers) or (len(first) == 2 and all(one.role == USER for one in first)):
        raise Unfit("different_prompts", "chosen and rejected are not answers to the same question; expected one prompt for both")
    if any(message.role == USER for answer in answers for message in answer):
        raise Unfit("several_turns", "an answer goes on over a turn of the user; expected what the assistant says to one prompt")
    return Pair(chosen[:begin], *answers, margin)


def _margin(row: Row) -> float | None:
    if (margin := _number(row.get("margin"))) is not None:
        return margin
    for better, worse in _SCORES:
        scores = _number(row.get(better)), _number(row.get(worse))
        if scores[0] is not None and scores[1] is not None:
            return scores[0] - scores[1]
    return None


def _number(value: Any) -> float | None:
    """Finite: in a Parquet file NaN often says that there is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0


def _role(messages: Sequence[Any]) -> str | None:
    first = messages[0]
    given = first.get("role", first.get("from")) if isinstance(first, Mapping) else None
    return ROLES.get(str(given).lower(), str(given))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
