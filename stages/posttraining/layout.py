"""Layout: rendered conversations into rows of equal length, ready for fine-tuning.

In: artifacts of `render`, each under a name of its own, and `tokenizer`. Out: `train-00000.parquet` and on, `validation-00000.parquet`
and on, with the columns of `pack` (stages/tokens/pack.py), so that whatever reads its rows reads these, and two more:

| column | type | meaning |
|---|---|---|
| tokens | list(i32) | row_length + 1 of them: whole conversations one behind the other, then padding |
| document_starts | list(i32) | where each begins |
| used, bytes, source | | as `pack` has them |
| mask | list(bool) | of each token, whether it is learnt: targets are y = tokens[1:] where mask[1:] |
| conversations | list(string) | the id of each |

`corpora.parquet`: by source and split conversations, rows, tokens, learnt_tokens (all i64) and padding (f64, share of the rows' places);
and `packing.json`, as `pack` writes it.

No conversation is cut or lies in two rows. Conversations are fitted best-fit decreasing in buffers of BUFFER tokens, each of which
becomes one shard; which of them share a row and in which order rows come depends on `seed`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from stages.stage import Config, Input, Stage
from stages.tokens.layout import Layout, lay_out
from stages.tokens.pack import PACKED
from stages.tokens.split import TRAIN, VALIDATION
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from storage.shards import encode, read_parquet

BUFFER = 1 << 22

LAID: dict[str, pl.DataType] = PACKED | {"mask": pl.List(pl.Boolean()), "conversations": pl.List(pl.String())}
CORPORA: dict[str, pl.DataType] = {
    "source": pl.String(),
    "split": pl.String(),
    "conversations": pl.Int64(),
    "rows": pl.Int64(),
    "tokens": pl.Int64(),
    "learnt_tokens": pl.Int64(),
    "padding": pl.Float64(),
}


class LayoutConfig(Config):
    """How long rows are, and by which chance conversations meet in them."""

    row_length: int = Field(1024, ge=8, le=1 << 20)
    """T: predictions in a row, which holds one token more; the same as of `render`."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Another seed, other conversations in a row and another order of rows."""


def run(inputs: Mapping[str, Any], out: Path, config: LayoutConfig) -> dict[str, Any]:
    """Write the shards; counts. Raises Problem on conversations of another tokenizer or longer than a row, or where there are none."""
    known = vocabulary(inputs["tokenizer"])
    tokenizer = known.tokenizer
    sources: dict[str, Input] = {name: given for name, given in sorted(inputs.items()) if name != "tokenizer"}
    if not sources:
        raise Problem("found no conversations, expected an artifact of `render` under a name; give one")
    spelled = np.array([len(piece) if kind in ("normal", "byte") else 0 for piece, kind in tokenizer.pieces()], np.int64)
    shards = {TRAIN: 0, VALIDATION: 0}
    lines: list[dict[str, Any]] = []
    for name, given in sources.items():
        tallies = {split: dict.fromkeys(("conversations", "rows", "tokens", "learnt_tokens"), 0) for split in shards}
        for number, (split, docs) in enumerate(_buffers(name, given, known.digest, config.row_length + 1)):
            frame = _frame(docs, name, tokenizer.pad, spelled, config, (config.seed, name, split, number))
            (out / f"{split}-{shards[split]:05}.parquet").write_bytes(encode(frame, LAID))
            shards[split] += 1
            tally = tallies[split]
            tally["conversations"] += docs.height
            tally["rows"] += frame.height
            tally["tokens"] += int(docs["tokens"].list.len().sum())
            tally["learnt_tokens"] += int(docs["mask"].list.sum().sum())
        if not tallies[TRAIN]["conversations"]:
            raise Problem(
                f"{name!r} has no conversation to learn from; look at what was dropped (winnow show render), or leave it out"
            )
        lines += [
            {"source": name, "split": split, **tally, "padding": _padding(tally, config)} for split, tally in tallies.items()
        ]
    corpora = pl.DataFrame(lines, schema=CORPORA)
    (out / "corpora.parquet").write_bytes(encode(corpora, CORPORA))
    about = {
        "row_length": config.row_length, "start": tokenizer.start, "pad": tokenizer.pad, "size": tokenizer.size, "vocabulary": known.digest,
    }  # fmt: skip
    (out / "packing.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    trained = corpora.filter(pl.col("split") == TRAIN)
    return {name: int(trained[name].sum()) for name in ("conversations", "rows", "tokens", "learnt_tokens")}


def _padding(tally: Mapping[str, int], config: LayoutConfig) -> float | None:
    places = tally["rows"] * (config.row_length + 1)
    return 1 - tally["tokens"] / places if places else None


def _buffers(name: str, given: Input, known: str, row: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Conversations in frames of some BUFFER tokens, of one split each."""
    waiting: dict[str, list[pl.DataFrame]] = {TRAIN: [], VALIDATION: []}
    for path in sorted(given.shards):
        docs = _conversations(name, path, known, row)
        for split, held in waiting.items():
            if (mine := docs.filter(pl.col("split") == split)).height:
                held.append(mine)
            if sum(int(one["tokens"].list.len().sum()) for one in held) >= BUFFER:
                yield split, pl.concat(held)
                held.clear()
    for split, held in waiting.items():
        if held:
            yield split, pl.concat(held)


def _conversations(name: str, path: Path, known: str, row: int) -> pl.DataFrame:
    try:
        docs = read_parquet(str(path), ["id", "tokens", "mask", "split", "vocabulary", "reason"], kept=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise Problem(f"cannot read {path}: {error}. Delete it and run the flow again") from error
    if len(other := docs.filter(pl.col("vocabulary") != known)["vocabulary"]):
        raise Problem(
            f"{name!r} was rendered with another tokenizer: vocabulary {other[0]}, expected {known}; render it with this one"
        )
    longest = max(docs["tokens"].list.len().to_list(), default=0)
    if longest > row:
        raise Problem(
            f"{name!r} has a conversation of {longest} tokens, a row holds {row}; give `render` and `layout` one row_length"
        )
    return docs.select("id", "tokens", "mask", "split")


def _frame(
    docs: pl.DataFrame, name: str, pad: int, spelled: Any, config: LayoutConfig, seed: tuple[int | str, ...]
) -> pl.DataFrame:
    """The rows. Tokens, mask and number of their conversation are laid out alike: the same lengths, the same seed."""
    lengths = docs["tokens"].list.len().cast(pl.Int64).to_numpy()

    def laid(values: Any, fill: int, sizes: Any) -> Layout:
        return lay_out(values.astype(np.int32), lengths, config.row_length + 1, None, fill, sizes, seed)

    nothing = np.zeros(max(2, docs.height), np.int64)
    made = laid(docs["tokens"].explode().to_numpy(), pad, spelled)
    mask_NR = laid(docs["mask"].explode().to_numpy(), 0, nothing).tokens.astype(bool)
    number_NR = laid(np.repeat(np.arange(docs.height), lengths), 0, nothing).tokens
    rows, row = made.tokens.shape
    in_row = np.repeat(np.arange(rows), np.diff(made.first))
    begins = np.arange(rows + 1) * row
    return pl.DataFrame(
        {
            "tokens": _lists(made.tokens.reshape(-1), begins, LAID["tokens"]),
            "document_starts": _lists(made.starts.astype(np.int32), made.first, LAID["document_starts"]),
            "used": made.used,
            "bytes": made.bytes,
            "source": [name] * rows,
            "mask": _lists(mask_NR.reshape(-1), begins, LAID["mask"]),
            "conversations": _lists(
                docs["id"].gather(number_NR[in_row, made.starts]).to_arrow(), made.first, LAID["conversations"]
            ),
        },
        schema=LAID,
    )


def _lists(values: Any, first: Any, kind: pl.DataType) -> pl.Series:
    if not isinstance(values, pa.Array):
        values = pa.array(values)
    return pl.Series(pa.LargeListArray.from_arrays(first.astype(np.int64), values), dtype=kind)


LAYOUT = Stage(name="layout", version=1, run=run, config=LayoutConfig, shape="whole")
