"""The way to a model, and what was measured on it. In: the store's run records. Out: the artifacts it descends from, and their satellites.

| part | which artifacts |
|---|---|
| way | all that the model descends from, inputs before what is made from them, and the model itself |
| line | the models of the way that were trained one from another (input `model`), the first first |
| evaluations | artifacts with scores.parquet whose `model` is on the line |
| cards, boards | scorecards over these evaluations; arenas in which a model of the line fought |
| recalls, gates, assessments | what searching an index of the corpus finds; quantized variants held to a model of the line; filters held to the truth |

A satellite is told by the file that it holds, not by its stage; where that file is gone, it is none. Of several snapshots of one artifact the newest run's counts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from storage.lineage import Node, ancestors
from storage.problem import Problem
from storage.runs import Made, RunRecord, records
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.page import loaded, recipe_of

REFERENCE = re.compile(r"([a-z][a-z0-9_]*)/([0-9a-f]{12})@([0-9a-f]{12})")
SCORES, CARD, BOARD, RECALL, GATE, ASSESSMENT = (
    "scores.parquet", "scorecard.parquet", "leaderboard.parquet", "recall.parquet", "variants.parquet", "report.parquet",
)  # fmt: skip
WEIGHTS = (".safetensors", ".gguf")


@dataclass(frozen=True)
class Station:
    """An artifact of the way, or beside it."""

    reference: str
    label: str
    """Its name in the run that made it: `sft_first`, where its stage is `sft`."""
    inputs: Mapping[str, str]
    snapshot: Snapshot | None
    """None: it is no longer in this store."""
    recipe: Mapping[str, Any]
    made: Made | None
    """As the run that computed it recorded it; None where every record found it made."""
    run: RunRecord | None
    """The run that computed it, else the first that names it."""
    files: frozenset[str] = frozenset()
    """Of its folder; `winnow gc` may have taken what its snapshot lists."""

    @property
    def stage(self) -> str:
        return self.reference.partition("/")[0]

    @property
    def anchor(self) -> str:
        return anchor(self.reference)

    def holds(self, name: str) -> bool:
        return self.snapshot is not None and name in self.files and any(file.name == name for file in self.snapshot.files)

    @property
    def gone(self) -> int:
        """Files that its snapshot lists and that are not there; those in folders of its own are not looked for."""
        listed = {file.name for file in self.snapshot.files if "/" not in file.name} if self.snapshot else set()
        return len(listed - self.files)


@dataclass(frozen=True)
class Way:
    store: Store
    model: Snapshot
    nodes: tuple[Node, ...]
    stations: Mapping[str, Station]
    """By reference, in the order of the making; the model is the last."""
    line: tuple[Station, ...]
    evaluations: tuple[Station, ...]
    cards: tuple[Station, ...]
    boards: tuple[Station, ...]
    recalls: tuple[Station, ...]
    gates: tuple[Station, ...]
    assessments: tuple[Station, ...]

    @property
    def beside(self) -> tuple[Station, ...]:
        return self.evaluations + self.cards + self.boards + self.recalls + self.gates + self.assessments

    @property
    def every(self) -> tuple[Station, ...]:
        return (*self.stations.values(), *self.beside)

    @property
    def bytes(self) -> int:
        """Of all that is on the way and still in the store."""
        return sum(one.snapshot.bytes for one in self.stations.values() if one.snapshot)

    @property
    def runs(self) -> list[RunRecord]:
        """Those that made something of it, the oldest first."""
        found = {one.run.id: one.run for one in self.every if one.run}
        return [found[identity] for identity in sorted(found)]


def anchor(reference: str) -> str:
    """Its place in the page."""
    return "a-" + re.sub(r"[^A-Za-z0-9]", "-", reference)


def is_model(snapshot: Snapshot) -> bool:
    return any(file.name.endswith(WEIGHTS) for file in snapshot.files)


def way_to(store: Store, model: Snapshot) -> Way:
    """Raises Problem for what holds no weights."""
    if not is_model(model):
        raise Problem(
            f"{model.reference} holds no weights ({', '.join(WEIGHTS)}); expected a model such as pretrain, sft or grpo makes: "
            "`winnow show` lists what there is"
        )
    told = _told(store)
    nodes = ancestors(store, model)
    stations: dict[str, Station] = {}
    for node in nodes:
        for reference in (*node.inputs.values(), node.reference):
            if not reference.startswith("file:") and reference not in stations:
                stations[reference] = _station(store, reference, told)
    stations.setdefault(model.reference, _station(store, model.reference, told))
    made = {reference: place for place, reference in enumerate(told)}
    stations = dict(sorted(stations.items(), key=lambda one: (one[0] == model.reference, made.get(one[0], -1))))
    stations |= _told_apart(_line(stations, model.reference))
    line = _line(stations, model.reference)
    return Way(store, model, tuple(nodes), stations, tuple(line), **_satellites(store, told, stations, line))


Told = Mapping[str, list[tuple[RunRecord, str, Made]]]
"""Reference -> the records that name it, the oldest first; what was named first comes first."""


def _told(store: Store) -> Told:
    found: dict[str, list[tuple[RunRecord, str, Made]]] = {}
    for record in reversed(list(records(store))):
        for label, made in record.artifacts.items():
            found.setdefault(made.reference, []).append((record, label, made))
    return found


def _station(store: Store, reference: str, told: Told) -> Station:
    match = REFERENCE.fullmatch(reference)
    try:
        snapshot = loaded(store, *match.groups()) if match else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        snapshot = None
    named = told.get(reference, [])
    computed = [one for one in named if not one[2].cached]
    recipe = recipe_of(store, reference.partition("@")[0])
    files = frozenset(store.sizes(reference.partition("@")[0])) if snapshot else frozenset[str]()
    if not named:
        return Station(reference, reference.partition("/")[0], {}, snapshot, recipe, None, None, files)
    run, label, made = (computed or named)[0]
    return Station(reference, label, made.inputs, snapshot, recipe, made if computed else None, run, files)


def _line(stations: Mapping[str, Station], reference: str) -> list[Station]:
    found = [stations[reference]]
    while (parent := stations.get(found[-1].inputs.get("model", ""))) and parent not in found:
        found.append(parent)
    return found[::-1]


def _told_apart(line: Iterable[Station]) -> dict[str, Station]:
    """Models of one name (fine-tuned twice, by two runs) with the beginning of their keys."""
    labels = Counter(one.label for one in line)
    return {
        one.reference: replace(one, label=f"{one.label} {one.reference.partition('/')[2][:4]}")
        for one in line
        if labels[one.label] > 1
    }


def _satellites(store: Store, told: Told, stations: Mapping[str, Station], line: Iterable[Station]) -> dict[str, Any]:
    models = {one.reference for one in line}
    found: dict[str, list[Station]] = {name: [] for name in ("evaluations", "cards", "boards", "recalls", "gates", "assessments")}
    for station in _newest(store, told, stations):
        values = set(station.inputs.values())
        on_line = station.inputs.get("model") in models
        if station.holds(SCORES) and on_line:
            found["evaluations"].append(station)
        elif station.holds(CARD) and _at_last(station) & {one.reference for one in found["evaluations"]}:
            found["cards"].append(station)
        elif station.holds(BOARD) and values & models:
            found["boards"].append(station)
        elif station.holds(RECALL) and _of_the_way(told, station.inputs.get("index", ""), stations):
            found["recalls"].append(station)
        elif station.holds(GATE) and on_line:
            found["gates"].append(station)
        elif station.holds(ASSESSMENT) and station.inputs.get("corpus") in stations:
            found["assessments"].append(station)
    return {name: tuple(some) for name, some in found.items()}


def _at_last(card: Station) -> set[str]:
    """Evaluations of a scorecard's last moment, of the model that it is about: others may have branched off from an earlier one."""
    moments = (card.recipe.get("config") or {}).get("moments") or [""]
    return {reference for name, reference in card.inputs.items() if moments[-1] in ("", name.partition("/")[0])}


def _newest(store: Store, told: Told, stations: Mapping[str, Station]) -> Iterator[Station]:
    """What was made from something of the way and is not on it, in the order of the making; of one artifact the newest snapshot."""
    newest: dict[str, Station] = {}
    related = set(stations)
    for reference, named in told.items():
        if reference in stations or not any(parent in related for _, _, made in named for parent in made.inputs.values()):
            continue
        related.add(reference)
        station = _station(store, reference, told)
        if station.snapshot is not None:
            newest[reference.partition("@")[0]] = station
    yield from newest.values()


def _of_the_way(told: Told, index: str, stations: Mapping[str, Station]) -> bool:
    """Whether the index holds a text that the model descends from."""
    return any(parent in stations for _, _, made in told.get(index, []) for parent in made.inputs.values())
