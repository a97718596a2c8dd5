"""Items to judge: prompts with several different answers, out of rollouts or of an arena.

In: shards with the columns of stages/alignment/rollout.py, of an arena also `model`. Out: `Item`s, those that were asked first. Answers
that have no end or are not in the layout of chats are left out, for as a message of a conversation they would be something else; of equal
answers one is kept. Of more answers than are shown some are drawn, for each item anew: of an arena every model has its turn.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from models.chat.conversation import ASSISTANT, Message
from models.chat.fields import fields
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import read_shard
from storage.snapshot import Snapshot
from storage.store import Store

COLUMNS = ("id", "sample", "messages", "thinking", "answer", "finish_reason", "faults")


@dataclass(frozen=True)
class Answered:
    message: Message
    model: str | None
    """Who answered, in an arena."""


@dataclass(frozen=True)
class Item:
    id: str
    """Of the prompt and these answers: other answers to the same prompt are another item."""
    prompt: tuple[dict[str, Any], ...]
    """Messages, as models/chat/fields.py has them."""
    answers: tuple[Answered, ...]

    def shown(self, annotator: str) -> list[int]:
        """Places of the answers in the order in which this annotator sees them: by chance, and the same each time."""
        seed = hashlib.sha256(f"{annotator}\n{self.id}".encode()).hexdigest()
        return random.Random(seed).sample(range(len(self.answers)), len(self.answers))

    def judgement(self, annotator: str, ranks: Sequence[int], source: str) -> dict[str, Any]:
        """A line of the file: all that is needed to learn from it, for `import_preferences` reads it as it is. `ranks`: of the answers in
        the order of the item."""
        line: dict[str, Any] = {
            "item": self.id,
            "annotator": annotator,
            "messages": list(self.prompt),
            "answers": [[fields(one.message)] for one in self.answers],
            "ranks": list(ranks),
            "shown": self.shown(annotator),
            "source": source,
        }
        models = [one.model for one in self.answers]
        return line | ({"models": models} if all(models) else {})


def items(store: Store, snapshot: Snapshot, most: int, count: int) -> list[Item]:
    """At most `count` items (0: all) of two to `most` answers. Raises Problem where the artifact holds none."""
    frames = []
    seen: list[str] = []
    for shard in snapshot.shards:
        rows = read_shard(store, snapshot.folder, shard)
        if set(COLUMNS) <= set(rows.columns):
            frames.append(rows.select([*COLUMNS, *(["model"] if "model" in rows.columns else [])]))
        else:
            seen.append(shard.name)
    if not frames:
        raise Problem(
            f"{snapshot.reference} holds {', '.join(seen) or 'no rows'}, none with answers to prompts; expected an artifact of the stages "
            f"`rollouts`, `arena` or `evaluate_reasoning`, with the columns {', '.join(COLUMNS)}"
        )
    found = list(_items(pl.concat(frames), most))
    if not found:
        raise Problem(
            f"{snapshot.reference} holds no prompt with two different answers that came to their end; expected several samples of each, drawn at "
            "a temperature above 0"
        )
    return found[:count] if count else found


def _items(rows: pl.DataFrame, most: int) -> Iterable[Item]:
    kept = rows.filter((pl.col("finish_reason") == "stop") & (pl.col("faults").list.len() == 0))
    for (identity,), some in kept.group_by("id", maintain_order=True):
        answers: dict[tuple[str | None, Message], Answered] = {}
        for row in some.iter_rows(named=True):
            message = Message(ASSISTANT, row["answer"].strip(), row["thinking"])
            if message.content or message.thinking:
                answers.setdefault((row.get("model"), message), Answered(message, row.get("model")))
        every = list(answers.values())
        places = sorted(random.Random(str(identity)).sample(range(len(every)), min(most, len(every))))
        several = tuple(every[place] for place in places)
        if len({one.message for one in several}) > 1:
            said = digest([[one.model, fields(one.message)] for one in several], 8)
            yield Item(f"{identity}-{said}", tuple(some["messages"][0].to_list()), several)
