"""The truth about a simulated crawl: one row per response record, what it holds and what ought to become of it."""

from __future__ import annotations

import polars as pl

TRUTH: dict[str, pl.DataType] = {
    "id": pl.String(),  # WARC-Record-ID, exactly as in the header
    "url": pl.String(),
    "kind": pl.String(),  # encyclopedia, news, forum, spam ...
    "language": pl.String(),  # ISO 639-1, null where there is no text
    "text": pl.String(),  # the main text, null where there is none
    "drop": pl.String(),  # the stage that is meant to drop the page, null = meant to be kept
    "rule": pl.String(),  # the rule that it breaks there, by datatrove's name
    "cluster": pl.Int64(),  # pages of one cluster are copies of each other: one is to stay, whichever; null = no copies
    "emails": pl.List(pl.String()),  # personal data that must go
    "ips": pl.List(pl.String()),
    "decoys": pl.List(pl.String()),  # what looks like personal data and must stay
}
