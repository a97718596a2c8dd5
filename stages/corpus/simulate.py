"""A made-up web about a made-up country, as genuine WARC files, with the truth about every page: what the demo runs on.

In: nothing. Out, in `out`: `crawl-00000.warc.gz` ..., `truth.parquet` (a row per response: stages.simulation.truth.TRUTH) and
`facts.parquet` (what there is to know about the country: stages.simulation.world.facts). A seed gives the same bytes everywhere.
Left out: gzip or chunked transfer (crawlers store bodies unpacked), links that lead anywhere, pages of more than a few thousand words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from pydantic import Field

from stages.simulation.crawl import plan
from stages.simulation.pages import Planned
from stages.simulation.truth import TRUTH
from stages.simulation.warc import record_id, write_warc
from stages.simulation.world import FACTS, build, facts
from stages.stage import Config, Input, Stage
from storage.shards import encode


class SimulateConfig(Config):
    """Which made-up web, and how much of it."""

    seed: int = Field(default=1, ge=0)
    """Which world, and which pages about it."""
    pages: int = Field(default=3000, ge=20, le=1_000_000)
    """Responses in the crawl; below about 400 some kinds of page are missing."""
    files: int = Field(default=4, ge=1, le=1000)
    """WARC files to spread them over."""
    dump: str = Field(default="SIMULATED-2026-10", pattern=r"^[A-Za-z0-9._-]+$")
    """Name of the crawl, in the warcinfo records."""


def run(inputs: Mapping[str, Input], out: Path, config: SimulateConfig) -> dict[str, int]:
    """Write the crawl. Returns counts of pages, pages to keep, words to keep, and facts."""
    world = build(config.seed)
    pages = plan(world, config.seed, config.pages)
    for number in range(config.files):
        first, end = (config.pages * part // config.files for part in (number, number + 1))
        write_warc(out / f"crawl-{number:05d}.warc.gz", config.dump, [made.response for made in pages[first:end]], first)
    truth = pl.DataFrame([row(made, config.dump) for made in pages], schema=TRUTH, orient="row")
    (out / "truth.parquet").write_bytes(encode(truth, TRUTH))
    known = facts(world)
    (out / "facts.parquet").write_bytes(encode(known, FACTS))
    kept = truth.filter(pl.col("drop").is_null())
    words = int(kept["text"].str.count_matches(r"\S+").sum())
    return {"pages": truth.height, "kept": kept.height, "words": words, "facts": known.height}


def row(made: Planned, dump: str) -> tuple[object, ...]:
    """The page's row of TRUTH, in its order."""
    kind, text = made.kind, made.page.text if made.page else None
    identity = (record_id(dump, "response", made.response.url), made.response.url, kind.name, kind.language, text)
    return (*identity, kind.drop, kind.rule, made.cluster, list(made.emails), list(made.ips), list(made.decoys))


SIMULATE = Stage(name="simulate", version=2, run=run, config=SimulateConfig, shape="whole")
