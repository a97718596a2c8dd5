"""All that a model's report says, before it is a page or an object for programs."""

import math
from dataclasses import dataclass
from typing import Any

from storage.report import cost, funnels, scores, settings, sizes, trainings
from storage.report.cost import Cost, Sums
from storage.report.funnels import Funnel
from storage.report.scores import Board, Table
from storage.report.sizes import DataSize, ModelSize
from storage.report.trainings import Training
from storage.report.way import Station, Way, way_to
from storage.snapshot import Snapshot
from storage.store import Store


@dataclass(frozen=True)
class Contents:
    way: Way
    shape: dict[str, Any]
    models: tuple[ModelSize, ...]
    data: tuple[DataSize, ...]
    funnels: tuple[Funnel, ...]
    trainings: tuple[Training, ...]
    evaluations: tuple[Table, ...]
    cards: tuple[Table, ...]
    boards: tuple[Board, ...]
    recalls: tuple[Table, ...]
    gates: tuple[Board, ...]
    assessments: tuple[Board, ...]
    seeds: tuple[tuple[Station, str, Any], ...]
    costs: tuple[Cost, ...]
    """Of the way."""
    measuring: tuple[Cost, ...]
    """Of the evaluations beside it."""

    @property
    def size(self) -> ModelSize:
        """Of the model itself."""
        return next(one for one in self.models if one.station.reference == self.way.model.reference)

    @property
    def tokens(self) -> int:
        """Learnt from on the line, by all its trainings together."""
        line = {one.reference for one in self.way.line}
        return sum(one.tokens or 0 for one in self.models if one.station.reference in line)

    @property
    def corpus(self) -> tuple[int, int] | None:
        """(pages seen, documents of the corpus), of the longest funnel with a corpus in it."""
        for funnel in self.funnels:
            for one in funnel.passages:
                if one.snapshot.stage == "corpus":
                    return funnel.seen, one.snapshot.kept
        return None

    @property
    def sums(self) -> Sums:
        return cost.sums(self.costs)

    @property
    def measuring_sums(self) -> Sums:
        return cost.sums(self.measuring)


def contents(store: Store, model: Snapshot) -> Contents:
    """Raises Problem for what is no model, and where a file that is needed is damaged."""
    way = way_to(store, model)
    return Contents(
        way,
        sizes.shape(store, model),
        tuple(sizes.models(way)),
        tuple(sizes.data(way)),
        tuple(funnels.funnels(way)),
        tuple(trainings.trainings(way)),
        tuple(scores.evaluations(way)),
        tuple(scores.cards(way)),
        tuple(scores.boards(way)),
        tuple(scores.recalls(way)),
        tuple(scores.gates(way)),
        tuple(scores.assessments(way)),
        tuple(settings.seeds(way)),
        tuple(cost.cost_of(one) for one in way.stations.values()),
        tuple(cost.cost_of(one) for one in way.beside),
    )


def document(found: Contents) -> dict[str, Any]:
    """The figures as one object for programs; curves and samples stay in the artifacts that it names."""
    way = found.way
    return {
        "model": way.model.reference,
        "shape": found.shape,
        "line": [one.reference for one in way.line],
        "lineage": [one.reference for one in way.stations.values()],
        "models": [
            {
                "artifact": one.station.reference,
                "parameters": one.parameters,
                "adapter": one.adapter,
                "bytes": one.bytes,
                "tokens": one.tokens,
                "steps": one.steps,
            }
            for one in found.models
        ],
        "funnels": [
            [
                {"artifact": one.snapshot.reference, "seen": one.snapshot.rows, "kept": one.snapshot.kept}
                for one in funnel.passages
            ]
            for funnel in found.funnels
        ],
        "trainings": [{"artifact": one.station.reference, **dict(one.figures)} for one in found.trainings],
        "scores": [_table(one) for one in (*found.evaluations, *found.cards, *found.recalls)],
        "boards": [
            {
                "artifact": one.station.reference,
                "rows": [dict(zip(one.columns, map(_plain, row), strict=True)) for row in one.rows],
            }
            for one in (*found.boards, *found.gates, *found.assessments)
        ],
        "seeds": [{"artifact": one.reference, "setting": name, "seed": value} for one, name, value in found.seeds],
        "cost": found.sums.document(),
        "cost_of_measuring": found.measuring_sums.document(),
        "runs": [
            {"run": one.id, "flow": one.flow, "started": one.started, "finished": one.finished, "versions": one.versions}
            for one in way.runs
        ],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "artifacts": [one.reference for one in table.sources],
        "columns": list(table.columns),
        "rows": [
            {
                "task": row.task,
                "part": row.part,
                "metric": row.metric,
                "values": [_plain(one.value) if one else None for one in row.values],
                "intervals": [[_plain(one.low), _plain(one.high)] if one else None for one in row.values],
            }
            for row in table.rows
        ],
    }


def _plain(value: Any) -> Any:
    """JSON has no word for NaN and infinities."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
