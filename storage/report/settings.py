"""The settings of each stage, one name a value; and the seeds among them. In: recipes. Out: flat names.

Run records hold settings too, with paths and addresses; recipes have none, so that a report can be given away.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from storage.report.way import Station, Way


def flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`{"a": {"b": 1}}` as `("a.b", 1)`."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def seeds(way: Way) -> list[tuple[Station, str, Any]]:
    """(artifact, setting, seed) of everything that was drawn by chance."""
    return [
        (one, name, value)
        for one in way.every
        for name, value in flat(one.recipe.get("config") or {})
        if name.rpartition(".")[2] == "seed"
    ]
