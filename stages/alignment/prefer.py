"""Prefer: answers that were scored become preferences, rows of `preferences.py`.

In: `scored`, an artifact of `judge`; `held_out`, if given, another one, whose preferences are kept for validation; `tokenizer`, that of the
model that answered. Out: `preferences-00000.parquet` and, where there are held-out ones, `preferences-00001.parquet`; margin is the
difference of the two scores.

Answers to one prompt whose scores differ by `least` or more make a pair. Those that are not sound (without an end, faulty) make none: as a
message of a conversation they would have an end. Of equal answers one counts. Without `held_out`, a share of the prompts is kept for
validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field

from models.chat.generated import generated
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.preferences import PREFERENCES
from stages.posttraining.conversations import messages_of, rows_of, splits
from stages.stage import Config, Input, Stage
from stages.tokens.split import TRAIN, VALIDATION
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from storage.shards import encode, read_parquet

NEEDS = ("id", "sample", "messages", "tokens", "sound", "score")

Row = Mapping[str, Any]


class PreferConfig(Config):
    """Which answers are compared."""

    least: float = Field(0.3, gt=0)
    """Least difference of two scores that makes a preference."""
    pairs: Literal["ranking", "extremes"] = "ranking"
    """Any two answers to a prompt that differ by enough; or the best and the worst alone."""
    annotator: str = Field("rubric", min_length=1)
    """Who gave the scores, as it is named in the rows."""
    validation: float = Field(0.1, ge=0, le=0.5)
    """Share of the prompts that is kept for validation, where nothing is held out."""


def run(inputs: Mapping[str, Any], out: Path, config: PreferConfig) -> dict[str, Any]:
    """Write the rows; counts. Raises Problem where the inputs are others or no answer is better than another."""
    tokenizer = vocabulary(inputs["tokenizer"]).tokenizer
    counts: dict[str, int] = {}
    for number, (name, split) in enumerate((("scored", TRAIN), ("held_out", VALIDATION))):
        if name not in inputs:
            continue
        rows = [row for some in _prompts(inputs[name]) for row in _pairs(some, split, tokenizer, config)]
        if not rows:
            raise Problem(
                f"{name}: no answer is better than another to the same prompt; expected several samples of each, drawn at a temperature above 0: "
                "see `samples` of the rollouts, and `least`"
            )
        frame = pl.DataFrame(rows, schema=PREFERENCES)
        if "held_out" not in inputs:
            asked = [messages_of(messages, identity) for identity, messages in frame.select("id", "prompt").iter_rows()]
            frame = frame.with_columns(split=splits(asked, config.validation))
        (out / f"preferences-{number:05}.parquet").write_bytes(encode(frame, PREFERENCES))
        for kept, count in frame.group_by("split").len().iter_rows():
            counts[kept] = counts.get(kept, 0) + count
    return {"preferences": sum(counts.values()), **dict(sorted(counts.items()))}


def _prompts(scored: Input) -> Iterable[Sequence[Row]]:
    """The answers to each prompt."""
    frames = []
    for path in scored.shards:
        try:
            frames.append(read_parquet(str(path), list(NEEDS)))
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise Problem(f"cannot read {path.name}: {error}. Expected an artifact of the stage `judge`") from error
    for _, some in pl.concat(frames).filter("sound").group_by("id", maintain_order=True) if frames else ():
        yield some.to_dicts()


def _pairs(some: Sequence[Row], split: str, tokenizer: Tokenizer, config: PreferConfig) -> Iterable[dict[str, Any]]:
    different = {tuple(row["tokens"]): row for row in reversed(some)}
    best_first = sorted(different.values(), key=lambda row: (-row["score"], row["sample"]))
    if config.pairs == "extremes":
        best_first = best_first[:: max(1, len(best_first) - 1)]
    pairs = [two for two in combinations(best_first, 2) if two[0]["score"] - two[1]["score"] >= config.least]
    for chosen, rejected in pairs:
        yield {
            "id": f"{chosen['id']}/{chosen['sample']}>{rejected['sample']}",
            "prompt": chosen["messages"],
            "chosen": rows_of(generated(chosen["tokens"], tokenizer).messages),
            "rejected": rows_of(generated(rejected["tokens"], tokenizer).messages),
            "annotator": config.annotator,
            "margin": chosen["score"] - rejected["score"],
            "ranking": chosen["id"] if len(pairs) > 1 else None,
            "source": "rollouts",
            "split": split,
        }


PREFER = Stage(name="prefer", version=2, run=run, config=PreferConfig, adds=PREFERENCES, shape="whole")
