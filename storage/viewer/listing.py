"""Which snapshots a store has, the newest first, at a price that does not grow with the store: figures are read once, files never change."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from storage import snapshot as snapshots_of
from storage.runs import RunRecord
from storage.store import Store

_REFERENCE = re.compile(r"([a-z][a-z0-9_]*)/([0-9a-f]{12})@([0-9a-f]{12})")


@dataclass(frozen=True)
class Figures:
    """What a list says of a snapshot; its files are left out, since there may be thousands."""

    stage: str
    key: str
    id: str
    files: int
    bytes: int
    rows: int | None
    """None where nothing in it has rows."""
    kept: int

    @property
    def folder(self) -> str:
        return f"{self.stage}/{self.key}"

    @property
    def reference(self) -> str:
        return f"{self.folder}@{self.id}"


@dataclass
class History:
    """What the run records say of every snapshot."""

    first: dict[str, RunRecord] = field(default_factory=dict)
    """Reference -> the earliest run that holds it."""
    newest: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """Stage -> its references, that of the newest run first."""
    uses: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """Reference -> references of what was made from it."""


def history(runs: Sequence[RunRecord]) -> History:
    """`runs` are the newest first."""
    found = History()
    for run in runs:
        for stage, made in run.artifacts.items():
            found.first[made.reference] = run
            found.newest[stage][made.reference] = None
            for source in made.inputs.values():
                found.uses[source][made.reference] = None
    return found


def newest(store: Store, stage: str, known: History, most: int) -> tuple[list[Figures], bool]:
    """At most `most` snapshots of a stage, and whether there are more. Those of recorded runs come first; folders are only looked
    through where they are too few."""
    recorded = list(known.newest[stage])
    if len(recorded) <= most:
        every = all_of(store, stage, known)
        return every[:most], len(every) > most
    found = [one for reference in recorded[: 2 * most] if (one := _recorded(store, reference))]
    return found[:most], True


def all_of(store: Store, stage: str, known: History) -> list[Figures]:
    """Every snapshot of a stage that can be read."""
    place = {reference: at for at, reference in enumerate(known.newest[stage])}
    found: list[Figures] = []
    for key in store.folders(stage):
        for name in store.sizes(f"{stage}/{key}/snapshots"):
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # damaged: `winnow verify` names it
                found.append(figures(store, stage, key, name.removesuffix(".json")))
    return sorted(found, key=lambda one: (place.get(one.reference, len(place)), one.reference))


def _recorded(store: Store, reference: str) -> Figures | None:
    match = _REFERENCE.fullmatch(reference)
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        return figures(store, *match.groups()) if match else None
    return None


@lru_cache(maxsize=20_000)
def figures(store: Store, stage: str, key: str, snapshot: str) -> Figures:
    """Raises FileNotFoundError where there is none, ValueError where it is damaged."""
    one = snapshots_of.load(store, stage, key, snapshot)
    return Figures(stage, key, one.id, len(one.files), one.bytes, one.rows if one.shards else None, one.kept)
