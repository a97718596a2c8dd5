"""Scores before and after each training. In: evaluations of the models of the way. Out: tables with a column for each model.

Evaluations belong into one table where they asked the same: the same stage over the same inputs, the model apart. Where a model was
evaluated there more than once (with other settings), the newest counts, and the others are named. Scorecards, leaderboards, recall, the
gate of quantized variants and filters against the truth are shown as they were measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.report.way import ASSESSMENT, BOARD, CARD, GATE, RECALL, SCORES, Station, Way
from storage.shards import checked, read_parquet
from storage.store import Store


@dataclass(frozen=True)
class Value:
    value: float | None
    low: float | None
    high: float | None
    n: int | None


@dataclass(frozen=True)
class Row:
    task: str
    part: str
    metric: str
    chance: float | None
    values: tuple[Value | None, ...]
    """One for each column; None: not measured there."""

    @property
    def n(self) -> str:
        """Cases; from the fewest to the most, where the columns differ."""
        found = sorted({one.n for one in self.values if one and one.n is not None})
        return " to ".join(f"{number:,}" for number in dict.fromkeys([*found[:1], *found[-1:]]))

    @property
    def name(self) -> str:
        return self.part or "all"

    @property
    def change(self) -> float | None:
        """From the first column to the last of those in which it was measured."""
        found = [one.value for one in self.values if one and one.value is not None]
        return found[-1] - found[0] if len(found) > 1 else None


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sources: tuple[Station, ...]
    """The artifacts that it was read from."""
    others: tuple[Station, ...] = ()
    """Of the same models, measured before with other settings."""
    seeds: int = 1
    folded: bool = False
    """Whether its rows stand elsewhere too."""
    main: tuple[tuple[str, tuple[float | None, ...]], ...] = ()
    """The figures that the evaluations name first: what each reports of itself."""

    @property
    def tasks(self) -> list[tuple[str, list[Row]]]:
        """Its rows by task, in their order."""
        return [(task, [row for row in self.rows if row.task == task]) for task in dict.fromkeys(row.task for row in self.rows)]


@dataclass(frozen=True)
class Board:
    """A table as it was written."""

    station: Station
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


def evaluations(way: Way) -> list[Table]:
    order = [one.reference for one in way.line]
    groups: dict[tuple[Any, ...], list[Station]] = {}
    for station in way.evaluations:
        asked = sorted((name, text) for name, text in station.inputs.items() if name != "model")
        groups.setdefault((station.stage, *asked), []).append(station)
    return [_table(way, group, order) for group in groups.values()]


def _table(way: Way, group: Sequence[Station], order: Sequence[str]) -> Table:
    newest = {station.inputs["model"]: station for station in group}
    sources = [newest[reference] for reference in order if reference in newest]
    columns = [way.stations[one.inputs["model"]].label for one in sources]
    read = [_rows(way.store, one, SCORES) for one in sources]
    others = tuple(one for one in group if one not in sources)
    rows = tuple(_lined(read))
    return Table(group[0].stage, tuple(columns), rows, tuple(sources), others, main=_main(sources, rows))


def _main(sources: Sequence[Station], rows: Sequence[Row]) -> tuple[tuple[str, tuple[float | None, ...]], ...]:
    """Nothing where there are almost as many as rows: what names everything first names nothing first."""
    stats = [one.snapshot.stats if one.snapshot else {} for one in sources]
    names = dict.fromkeys(name for some in reversed(stats) for name in some)
    found = [(name, tuple(value if isinstance(value := some.get(name), float) else None for some in stats)) for name in names]
    known = tuple((name, values) for name, values in found if any(value is not None for value in values))
    return known if len(known) * 2 <= len(rows) else ()


def _lined(columns: Sequence[Sequence[Mapping[str, Any]]]) -> Iterable[Row]:
    """Measures in the order of the last column, which has most, then those that only earlier ones have."""
    found = [{(row["task"] or "", row["part"] or "", row["metric"] or ""): row for row in rows} for rows in columns]
    for task, part, metric in dict.fromkeys(name for rows in reversed(found) for name in rows):
        some = [rows.get((task, part, metric)) for rows in found]
        chance = next((row["chance"] for row in some if row and row.get("chance") is not None), None)
        yield Row(
            task,
            part,
            metric,
            chance,
            tuple(Value(row["value"], row["low"], row["high"], row["n"]) if row else None for row in some),
        )


def cards(way: Way) -> list[Table]:
    tables = []
    for station in way.cards:
        rows = _rows(way.store, station, CARD)
        moments = list((station.recipe.get("config") or {}).get("moments") or dict.fromkeys(row["moment"] for row in rows))
        columns = [[row for row in rows if row["moment"] == moment] for moment in moments]
        seeds = max((row["seeds"] for row in rows), default=1)
        tables.append(Table(station.label, tuple(moments), tuple(_lined(columns)), (station,), seeds=seeds, folded=seeds == 1))
    return tables


def boards(way: Way) -> list[Board]:
    """Leaderboards, with the names under which models of the way fought."""
    found = []
    line = {one.reference: one.label for one in way.line}
    for station in way.boards:
        names = [f"{name} is {line[text]}" for name, text in station.inputs.items() if text in line]
        found.append(_board(way.store, station, BOARD, "; ".join(names)))
    return found


def recalls(way: Way) -> list[Table]:
    tables = []
    for one in way.recalls:
        rows = tuple(_lined([_rows(way.store, one, RECALL)]))
        tables.append(Table(one.label, ("share",), rows, (one,), main=_main([one], rows)))
    return tables


def gates(way: Way) -> list[Board]:
    return [_board(way.store, station, GATE) for station in way.gates]


def assessments(way: Way) -> list[Board]:
    return [_board(way.store, station, ASSESSMENT) for station in way.assessments]


def _board(store: Store, station: Station, name: str, note: str = "") -> Board:
    rows = _rows(store, station, name)
    columns = tuple(column for column in (rows[0] if rows else {}) if any(row[column] is not None for row in rows))
    return Board(station, columns, tuple(tuple(row[column] for column in columns) for row in rows), note)


def _rows(store: Store, station: Station, name: str) -> list[dict[str, Any]]:
    """Raises Problem where the file is damaged."""
    assert station.snapshot is not None
    file = next(one for one in station.snapshot.files if one.name == name)
    return read_parquet(checked(store, station.snapshot.folder, file)).to_dicts()
