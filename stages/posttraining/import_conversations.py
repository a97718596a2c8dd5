"""Import conversations: datasets of instructions and chats, in whatever common shape, as rows of the one schema.

In: `files`, a file or a folder of them (JSON, JSON lines, Parquet). Out: shards of at most PART rows, one row for every row of the files:

| column | type | |
|---|---|---|
| id, messages, source, split | | `conversations.py`; source is the file; messages are null where none could be read |
| shape | string | signal: which shape the row has (`loaders.py`); null where none |
| turns | i64 | signal: messages |
| characters | i64 | signal: of all that is said, thought and called |

| reason | |
|---|---|
| unreadable | a line that is no JSON |
| unrecognised, preference, several_calls, unreadable_call, unreadable_tools, not_text | no conversation can be made of the row |
| empty, unknown_role, system_not_first, two_assistant_turns, ... | the conversation is unsound: models/chat/conversation.py |
| no_answer | the assistant says nothing that could be learnt; no reason where `answered` is false |

A row's own `id` is kept where it is a text that no row before it had; else the id is a digest of the file and the row's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from stages.posttraining.conversations import CONVERSATIONS, rows_of, splits
from stages.posttraining.dropped import Dropped
from stages.posttraining.files import ENDINGS, is_readable, rows
from stages.posttraining.loaders import Loaded, expected, load
from stages.stage import REASON, Config, Input, Stage
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode, file_stem, part_name

PART = 5_000

SIGNALS: dict[str, pl.DataType] = {"shape": pl.String(), "turns": pl.Int64(), "characters": pl.Int64()}
IMPORTED = CONVERSATIONS | SIGNALS | REASON


class ImportConversationsConfig(Config):
    """How conversations are divided."""

    validation: float = Field(0.01, ge=0, le=0.5)
    """Share of the conversations that is kept for validation."""
    answered: bool = True
    """Rows in which the assistant says nothing are dropped; false: they are kept, for what reads prompts alone, such as PPO."""


def run(inputs: Mapping[str, Any], out: Path, config: ImportConversationsConfig) -> dict[str, Any]:
    """Write the shards; rows and conversations. Raises Problem where a file cannot be read or none holds a conversation."""
    seen: set[str] = set()
    total = kept = 0
    dropped = Dropped()
    given = files_of(inputs["files"])
    for source, path in given.items():
        known = digest([source, content_digest(path)], 16)
        numbered = enumerate(load_with_id(path, config.answered))
        for part in count():
            if not (some := [*islice(numbered, PART)]):
                break
            loaded = [one for _, (_, one) in some]
            ids = [unique(own, f"{known}:{number}", seen) for number, (own, _) in some]
            frame = _frame(ids, loaded, source, config)
            (out / part_name(file_stem(source), part, [known])).write_bytes(encode(frame, IMPORTED))
            total += frame.height
            kept += frame["reason"].null_count()
            dropped.add(frame)
    if not kept:
        raise Problem(
            f"found no conversation in the {total:,} rows of {', '.join(given)}; most often: {dropped.most()}. Expected rows with {expected(config.answered)}"
        )
    return {"rows": total, "conversations": kept, "dropped": dict(sorted(dropped.counts.items()))}


def files_of(given: Path | Input) -> dict[str, Path]:
    """Name -> path, in the order of the names."""
    if isinstance(given, Input):
        found = {name: given.folder / name for name in given.names}
    elif given.is_dir():
        found = {path.relative_to(given).as_posix(): path for path in given.rglob("*") if path.is_file()}
    else:
        found = {given.name: given}
    readable = {name: found[name] for name in sorted(found) if is_readable(name)}
    if not readable:
        raise Problem(f"found {', '.join(found) or 'no file'}; expected conversations in {', '.join(ENDINGS)} (also .gz, .zst)")
    return readable


def load_with_id(path: Path, answered: bool = True) -> Iterator[tuple[str | None, Loaded]]:
    """Each row, and the id that it brings."""
    for row in rows(path):
        own = row.get("id") if isinstance(row, Mapping) else None
        yield (own if isinstance(own, str) and own else None), load(row, answered)


def unique(own: str | None, otherwise: str, seen: set[str]) -> str:
    chosen = otherwise if own is None or own in seen else own
    seen.add(chosen)
    return chosen


def _frame(ids: list[str], loaded: list[Loaded], source: str, config: ImportConversationsConfig) -> pl.DataFrame:
    spoken = [
        sum(len(one.content) + len(one.thinking or "") + (len(one.call.text) if one.call else 0) for one in row.messages)
        for row in loaded
    ]
    values: dict[str, Any] = {
        "id": ids,
        "messages": [rows_of(row.messages) or None for row in loaded],
        "source": [source] * len(ids),
        "split": splits((row.messages for row in loaded), config.validation),
        "shape": [row.shape for row in loaded],
        "turns": [len(row.messages) for row in loaded],
        "characters": spoken,
        "reason": [row.reason for row in loaded],
        "reason_value": [None] * len(ids),
        "reason_threshold": [None] * len(ids),
        "reason_detail": [row.detail for row in loaded],
    }
    return pl.DataFrame(values, schema=IMPORTED)


def content_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


IMPORT_CONVERSATIONS = Stage(
    name="import_conversations",
    version=2,
    run=run,
    config=ImportConversationsConfig,
    adds=CONVERSATIONS,
    signals=SIGNALS,
    filters=True,
    shape="whole",
)
