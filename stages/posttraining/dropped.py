"""What became of the rows of files that were not taken: how many for each reason, and an example of each."""

from dataclasses import dataclass, field

import polars as pl


@dataclass
class Dropped:
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str | None] = field(default_factory=dict)
    """The detail of the first row with that reason."""

    def add(self, frame: pl.DataFrame) -> None:
        """`frame`: with the columns reason and reason_detail."""
        for reason, detail in frame["reason", "reason_detail"].drop_nulls("reason").iter_rows():
            self.counts[reason] = self.counts.get(reason, 0) + 1
            self.examples.setdefault(reason, detail)

    def most(self) -> str:
        """The commonest reason, with its example, as errors tell it."""
        if not self.counts:
            return "they are empty"
        reason = max(self.counts, key=lambda one: self.counts[one])
        return f"{reason}, such as: {example}" if (example := self.examples[reason]) else reason
