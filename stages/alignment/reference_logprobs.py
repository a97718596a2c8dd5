"""Reference log-probabilities: how likely the model before alignment holds each answer, computed once and kept.

In: `preferences`, an artifact of `render_preferences`; `model`, the reference, a model folder with its tokenizer; `compute`. Out: for each
shard of the preferences one of the same name, a row for each pair that was not dropped:

| column | type | meaning |
|---|---|---|
| id | string | of the pair |
| chosen_logprob, rejected_logprob | f64 | nats, summed over the tokens of the answer that the assistant says |
| chosen_count, rejected_count | i64 | how many tokens these are |

and `reference.json`: a name for the weights. A shard that is done is kept: a run that was killed goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from models.alignment.preference import Answer, all_logprobs
from models.formats.pretrained import load_model
from models.transformer.world import alone
from stages.alignment.comparisons import answers_of, kept
from stages.compute import Compute, compute_of
from stages.job import run_job
from stages.pretraining.start import DTYPES, exact, folder_of, named
from stages.stage import Config, Stage
from stages.tokens.vocabulary import vocabulary
from storage.shards import encode

DONE = ".logprobs"
FILE = "reference.json"
LOGPROBS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "chosen_logprob": pl.Float64(),
    "rejected_logprob": pl.Float64(),
    "chosen_count": pl.Int64(),
    "rejected_count": pl.Int64(),
}


class ReferenceLogprobsConfig(Config):
    """How the reference is computed."""

    dtype: Literal["bf16", "fp32"] | None = None
    """Type of the mathematics; null: that of the training which uses them, as far as a flow knows it, else bf16."""
    batch_tokens: int = Field(8192, ge=1)
    """Most positions at a time, padding included: sums round differently in another company."""


def run(inputs: Mapping[str, Any], out: Path, config: ReferenceLogprobsConfig) -> dict[str, Any]:
    """Have the job done; back: counts. Raises Problem."""
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.reference_logprobs:work", given, out, config, compute)


def work(inputs: Mapping[str, Any], out: Path, config: ReferenceLogprobsConfig, compute: Compute) -> dict[str, Any]:
    exact(compute)
    given = inputs["preferences"]
    known = vocabulary(inputs["model"])
    model = load_model(folder_of(inputs["model"]), DTYPES[config.dtype or "bf16"])
    name = named(model)
    model.to(alone(compute.device).device)
    done = out / DONE
    done.mkdir(exist_ok=True)
    pairs = 0
    for number, path in enumerate(given.shards, 1):
        finished = done / path.name
        if not finished.exists():
            rows = kept(given, path.name, known)
            both = [one for row in rows.iter_rows(named=True) for one in answers_of(row)]
            found = _each_once(both, partial(all_logprobs, model, batch_tokens=config.batch_tokens))
            table = pl.DataFrame(
                {
                    "id": rows["id"],
                    "chosen_logprob": found[::2],
                    "rejected_logprob": found[1::2],
                    "chosen_count": rows["chosen_mask"].list.sum().cast(pl.Int64()),
                    "rejected_count": rows["rejected_mask"].list.sum().cast(pl.Int64()),
                },
                schema=LOGPROBS,
            )
            unfinished = finished.with_suffix(".partial")
            unfinished.write_bytes(encode(table, LOGPROBS))
            unfinished.replace(finished)
        (out / path.name).write_bytes(finished.read_bytes())
        pairs += pl.scan_parquet(out / path.name).select(pl.len()).collect().item()
        with (out / ".progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"done": number, "total": len(given.shards), "unit": "shards", "text": f"{pairs:,} pairs"}) + "\n"
            )
    (out / FILE).write_text(json.dumps({"reference": name, "vocabulary": known.digest}, indent=1) + "\n", encoding="utf-8")
    return {"pairs": pairs, "reference": name}


def _each_once(given: Sequence[Answer], measured: Callable[[Sequence[Answer]], Sequence[float]]) -> list[float]:
    """`measured` of each; an answer that stands in several pairs is computed once."""
    texts = [tuple(np.asarray(part).tobytes() for part in (one.prompt, one.completion, one.chosen)) for one in given]
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    places = sorted(first.values())
    values = dict(zip(places, measured([given[place] for place in places]), strict=True))
    return [values[first[text]] for text in texts]


REFERENCE_LOGPROBS = Stage(
    name="reference_logprobs", version=2, run=run, config=ReferenceLogprobsConfig, adds=LOGPROBS, shape="whole"
)
