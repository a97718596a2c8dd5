"""A small country of eight people and four towns, and its pages."""

from dataclasses import dataclass

import polars as pl

from stages.evaluation.facts import Fact
from stages.simulation.world import build, facts


@dataclass(frozen=True)
class Country:
    table: pl.DataFrame
    facts: list[Fact]
    pages: dict[str, str]
    """Subject -> a page that states its facts in the plain words."""
    unread: dict[str, str]
    """Pages about another country."""


def country_of(seed: int) -> pl.DataFrame:
    return facts(build(seed, people=8, towns=4, rivers=3)).filter(pl.col("attribute") != "km")


def pages_of(table: pl.DataFrame) -> dict[str, str]:
    return {str(name): " ".join(rows["sentence"]) for (name,), rows in table.group_by("subject", maintain_order=True)}


def a_country() -> Country:
    table = country_of(7)
    return Country(table, [Fact(*row) for row in table.iter_rows()], pages_of(table), pages_of(country_of(8)))
