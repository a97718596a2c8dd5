"""Import preferences: datasets of comparisons, in whatever common shape, and what people judged, as rows of the one schema.

In: `files`, a file or a folder of them (JSON, JSON lines, Parquet). Out: shards, one row for every pair that a row of the files holds, and
one for every row that holds none:

| column | type | |
|---|---|---|
| id, prompt, chosen, rejected, annotator, margin, ranking, source, split | | `preferences.py`; source is the file, which is also the annotator where the row names none |
| shape | string | signal: which shape the row has (`compared.py`, as are the reasons); null where none |
| chosen_characters, rejected_characters | i64 | signal: of all that is said, thought and called |

A row's own `id` is kept where it is a text that no row before it had; else the id is a digest of the file and the row's number. Pairs of
one ranking are numbered behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from models.chat.conversation import Message
from stages.alignment.compared import EXPECTED, Compared, Pair, compare, judged_again
from stages.alignment.preferences import PREFERENCES
from stages.posttraining.conversations import rows_of, splits
from stages.posttraining.dropped import Dropped
from stages.posttraining.files import rows
from stages.posttraining.import_conversations import PART, content_digest, files_of, unique
from stages.stage import REASON, Config, Stage
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode, file_stem, part_name

SIGNALS: dict[str, pl.DataType] = {"shape": pl.String(), "chosen_characters": pl.Int64(), "rejected_characters": pl.Int64()}
IMPORTED = PREFERENCES | SIGNALS | REASON
_AGAIN = Compared(
    (), "ranking", None, "judged_again", "the same annotator has judged this anew further down; that judgement counts"
)


class ImportPreferencesConfig(Config):
    """How preferences are divided."""

    validation: float = Field(0.1, ge=0, le=0.5)
    """Share of the prompts that is kept for validation."""


def run(inputs: Mapping[str, Any], out: Path, config: ImportPreferencesConfig) -> dict[str, Any]:
    """Write the shards; rows and pairs. Raises Problem where a file cannot be read or none holds a pair."""
    seen: set[str] = set()
    total = pairs = 0
    dropped = Dropped()
    given = files_of(inputs["files"])
    for source, path in given.items():
        known = digest([source, content_digest(path)], 16)
        every = list(rows(path))
        old = judged_again(every)
        for part in count():
            first = part * PART
            if first >= len(every):
                break
            made: list[tuple[str, Compared]] = []
            for place, row in enumerate(every[first : first + PART], first):
                own = row.get("id") if isinstance(row, Mapping) else None
                identity = unique(own if isinstance(own, str) and own else None, f"{known}:{place}", seen)
                made.append((identity, _AGAIN if place in old else compare(row)))
            frame = _frame(made, source, config)
            (out / part_name(file_stem(source), part, [known])).write_bytes(encode(frame, IMPORTED))
            total += len(made)
            pairs += frame["reason"].null_count()
            dropped.add(frame)
    if not pairs:
        raise Problem(
            f"found no pair of answers in the {total:,} rows of {', '.join(given)}; most often: {dropped.most()}. Expected {EXPECTED}"
        )
    return {"rows": total, "pairs": pairs, "dropped": dict(sorted(dropped.counts.items()))}


def _frame(made: Sequence[tuple[str, Compared]], source: str, config: ImportPreferencesConfig) -> pl.DataFrame:
    lines = [line for identity, one in made for line in _lines(identity, one)]
    prompts = [pair.prompt if pair else () for _, _, pair, _ in lines]
    values: dict[str, Any] = {
        "id": [identity for identity, _, _, _ in lines],
        "prompt": [rows_of(prompt) or None for prompt in prompts],
        "chosen": [rows_of(pair.chosen) if pair else None for _, _, pair, _ in lines],
        "rejected": [rows_of(pair.rejected) if pair else None for _, _, pair, _ in lines],
        "annotator": [one.annotator or source for _, one, _, _ in lines],
        "margin": [pair.margin if pair else None for _, _, pair, _ in lines],
        "ranking": [ranking for _, _, _, ranking in lines],
        "source": [source] * len(lines),
        "split": splits(prompts, config.validation),
        "shape": [one.shape for _, one, _, _ in lines],
        "chosen_characters": [characters(pair.chosen) if pair else None for _, _, pair, _ in lines],
        "rejected_characters": [characters(pair.rejected) if pair else None for _, _, pair, _ in lines],
        "reason": [one.reason for _, one, _, _ in lines],
        "reason_value": [None] * len(lines),
        "reason_threshold": [None] * len(lines),
        "reason_detail": [one.detail for _, one, _, _ in lines],
    }
    return pl.DataFrame(values, schema=IMPORTED)


def _lines(identity: str, one: Compared) -> list[tuple[str, Compared, Pair | None, str | None]]:
    """Id, row, pair and ranking of each line that comes of a row."""
    if one.shape != "ranking" or not one.pairs:
        return [(identity, one, one.pairs[0] if one.pairs else None, None)]
    return [(f"{identity}/{number}", one, pair, identity) for number, pair in enumerate(one.pairs)]


def characters(messages: Sequence[Message]) -> int:
    return sum(len(one.content) + len(one.thinking or "") + (len(one.call.text) if one.call else 0) for one in messages)


IMPORT_PREFERENCES = Stage(
    name="import_preferences",
    version=3,
    run=run,
    config=ImportPreferencesConfig,
    adds=PREFERENCES,
    signals=SIGNALS,
    filters=True,
    shape="whole",
)
