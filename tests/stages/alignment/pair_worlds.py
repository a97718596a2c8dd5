"""Preferences about a trifle, rendered for a tiny model: short, polite answers are better than long ones."""

from pathlib import Path
from typing import Any

import polars as pl

from models.chat.conversation import ASSISTANT, USER, Message
from stages.alignment.preferences import PREFERENCES
from stages.alignment.reference_logprobs import REFERENCE_LOGPROBS, ReferenceLogprobsConfig
from stages.alignment.render_preferences import RENDER_PREFERENCES, RenderPreferencesConfig
from stages.posttraining.conversations import rows_of
from stages.stage import Input
from storage.shards import encode
from tests.stages.posttraining.sft_worlds import listed

COMPUTE = {"threads": "1", "device": "cpu", "checkpoint_seconds": "0"}


def pair(number: int, split: str, ranking: str | None = None, worse: str = " Indeed. Indeed.") -> dict[str, Any]:
    return {
        "id": f"{split}-{number}{worse}",
        "prompt": rows_of([Message(USER, f"How much is {number} + 0?")]),
        "chosen": rows_of([Message(ASSISTANT, f"It is {number}.")]),
        "rejected": rows_of([Message(ASSISTANT, f"It is {number}.{worse}")]),
        "annotator": "Ann",
        "margin": 1.0,
        "ranking": ranking,
        "source": "made",
        "split": split,
    }


def preferences(count: int = 40, held_out: int = 12) -> pl.DataFrame:
    """The last ten of those to learn from are orders of three answers."""
    rows = [pair(number, "train") for number in range(count - 10)]
    for number in range(count - 10, count):
        rows += [pair(number, "train", f"order {number}", worse) for worse in (" Indeed.", " Indeed. Indeed. Indeed.")]
    rows += [pair(number, "validation") for number in range(count, count + held_out)]
    return pl.DataFrame(rows, schema=PREFERENCES)


def rendered(folder: Path, vocabulary: Input, rows: pl.DataFrame | None = None, row_length: int = 96) -> Input:
    folder.mkdir(parents=True, exist_ok=True)
    given = preferences() if rows is None else rows
    docs = RENDER_PREFERENCES.run(given, RenderPreferencesConfig(row_length=row_length), {"tokenizer": vocabulary})
    schema = RENDER_PREFERENCES.schema(PREFERENCES)
    (folder / "preferences-00000.parquet").write_bytes(encode(docs, schema))
    return listed(folder)


def reference(folder: Path, preferences: Input, model: Input) -> Input:
    folder.mkdir(parents=True, exist_ok=True)
    given = {"preferences": preferences, "model": model, "compute": COMPUTE}
    REFERENCE_LOGPROBS.run(given, folder, ReferenceLogprobsConfig(dtype="fp32"))
    return Input(folder, tuple(name for name in listed(folder).names if not name.startswith(".")))
