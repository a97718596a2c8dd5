"""The trainings on a way: their curves and what the models wrote. In: artifacts with metrics.parquet. Out: charts and samples.

A chart for each metric; `validation_X` is drawn over `X`. What depends on the clock (speed) is no figure of the model and is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.report.way import Station, Way
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import curves, tables
from storage.viewer.chart import Drawing, Line, draw
from storage.viewer.curves import Curve, smoothed

METRICS, SAMPLES, ROLLOUTS = "metrics.parquet", "samples.parquet", "rollouts"
OVER = {"validation_margin": "reward_margin", "rejected_reward": "chosen_reward"}
"""What is drawn over another metric without being called after it."""
SPEED = {
    "tokens_per_second", "mfu", "pairs_per_second", "comparisons_per_second", "drawing", "rollouts", "round",
}  # fmt: skip
BESIDE = {"lr", "grad_norm", "gap", "moved", "value_clipped", "kl_weight", "expert_highest", "expert_lowest"}
"""For who looks closely: how the training itself went."""
LOGARITHMIC = {"perplexity"}
"""What falls by powers of ten; drawn so where all of it is above 0."""
ORDER = (
    "loss", "validation_loss", "bits_per_byte", "reward", "accuracy", "judge", "answer", "kl", "divergence", "entropy", "length",
    "answer_tokens",
)  # fmt: skip
MEANING = {
    "loss": "as the stage defines it, before each update",
    "bits_per_byte": "of held-out text",
    "perplexity": "of held-out text, per token",
    "kl": "nats per answer, from the model that training began with",
    "entropy": "nats per token of what was drawn",
    "length": "tokens of an answer",
    "answer_tokens": "tokens of an answer",
    "reward": "mean of the answers drawn",
    "accuracy": "share",
    "clip_fraction": "of the tokens",
    "finished": "share that ended their turn",
    "informative": "share of the groups whose rewards differ",
}
MEAN = 5
"""Percent of a long training over which its noisy line is a mean; the line itself stays, faintly."""
LONG = 100
STEPS = 5
"""Steps of which samples are shown, the first and the last among them."""
DRAWN = 3
"""Answers shown of the first rollouts, and of the last."""
LOOKED = 256
"""Rollouts looked through for them, at each end."""


@dataclass(frozen=True)
class Chart:
    title: str
    meaning: str
    names: tuple[str, ...]
    """Of the lines, in the order of their signs."""
    lasts: tuple[tuple[float, float] | None, ...]
    """(step, value) at the end of each."""
    drawing: Drawing | None
    wrong: int
    """Values that are NaN or infinite."""


@dataclass(frozen=True)
class Sample:
    prompt: str
    written: tuple[tuple[int, str, float | None], ...]
    """(step, text, reward)."""


@dataclass(frozen=True)
class Training:
    station: Station
    figures: tuple[tuple[str, Any], ...]
    """What the stage reports of itself."""
    charts: tuple[Chart, ...]
    more: tuple[Chart, ...]
    samples: tuple[Sample, ...]
    steps: int
    """Steps of which there are samples."""
    drawn: tuple[Sample, ...]
    """Of a training that draws its own answers."""


def trainings(way: Way) -> list[Training]:
    """Raises Problem where a file of one is damaged."""
    return [_training(way.store, one, one.snapshot) for one in way.stations.values() if one.snapshot and one.holds(METRICS)]


def _training(store: Store, station: Station, snapshot: Snapshot) -> Training:
    table = tables.table(snapshot, METRICS)
    found = {one.name: one for one in curves.read(store, table).curves if one.measured or one.wrong}
    drawn = list(_charts(found))
    samples, steps = _samples(store, snapshot) if station.holds(SAMPLES) else ((), 0)
    return Training(
        station,
        tuple((name, value) for name, value in snapshot.stats.items() if not isinstance(value, dict | list)),
        tuple(one for one in drawn if one.names[0] not in BESIDE),
        tuple(one for one in drawn if one.names[0] in BESIDE),
        samples,
        steps,
        _rollouts(store, station, snapshot),
    )


def _charts(found: dict[str, Curve]) -> Iterator[Chart]:
    under: dict[str, list[str]] = {}
    for name in sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        first = OVER.get(name, name.removeprefix("validation_"))
        under.setdefault(first if first in found else name, []).append(name)
    for first, names in under.items():
        if first not in SPEED:
            some = [found[name] for name in sorted(names, key=lambda name: name != first)]
            lines = [line for place, one in enumerate(some) for line in _lines(place, one)]
            log = first in LOGARITHMIC and all(point[1] > 0 for line in lines for point in line.points if point)
            meaning = MEANING.get(first, "") + (", on a logarithmic scale" if log else "")
            yield Chart(
                first.replace("_", " "),
                meaning,
                tuple(one.name for one in some),
                tuple(one.last for one in some),
                draw(lines, log),
                sum(one.wrong for one in some),
            )


def _lines(place: int, curve: Curve) -> list[Line]:
    even = len({point[1] for point in curve.points if point}) < 2  # whose mean would tremble by rounding
    if curve.measured <= LONG or even:
        return [Line(place, curve.points, curve.last, bad=curve.bad)]
    mean = smoothed(curve, MEAN)
    return [Line(place, curve.points, None, raw=True), Line(place, mean, mean[-1] if mean else None, bad=curve.bad)]


def _samples(store: Store, snapshot: Snapshot) -> tuple[tuple[Sample, ...], int]:
    table = tables.table(snapshot, SAMPLES)
    rows = [
        row for _, batch in tables.batches(store, table, ["step", "prompt", "completion"]) for row in tables.python_rows(batch)
    ]
    steps = sorted({row["step"] for row in rows})
    chosen = set(spread(steps, STEPS))
    written: dict[str, list[tuple[int, str, float | None]]] = {}
    for row in rows:
        if row["step"] in chosen:
            written.setdefault(row["prompt"], []).append((row["step"], row["completion"], None))
    return tuple(Sample(prompt, tuple(some)) for prompt, some in written.items()), len(steps)


def _rollouts(store: Store, station: Station, snapshot: Snapshot) -> tuple[Sample, ...]:
    """Answers to a few prompts, from the beginning of the training and from its end."""
    there = tuple(file for file in snapshot.tables.get(ROLLOUTS, []) if file.rows and station.holds(file.name))
    drawn = tables.Table(snapshot.folder, ROLLOUTS, there)
    if not there or "step" not in tables.schema(store, drawn).names:
        return ()
    columns = _columns(store, drawn)
    begin = tables.take(store, drawn, list(range(min(LOOKED, drawn.rows))), columns)
    end = tables.take(store, drawn, list(range(max(0, drawn.rows - LOOKED), drawn.rows)), columns)
    if end[-1]["step"] == begin[0]["step"]:
        return tuple(_few(begin))
    return (*_few(begin), *_few([row for row in end if row["step"] == end[-1]["step"]]))


def _few(rows: Sequence[dict[str, Any]]) -> Iterator[Sample]:
    """Of a few prompts, first those whose answers earned different rewards: the first answer, and one that earned something else."""
    asked: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        asked.setdefault(row["id"], []).append(row)
    telling = sorted(asked.values(), key=lambda several: len({row.get("reward") for row in several}) == 1)
    for several in telling[:DRAWN]:
        other = next((row for row in several if row.get("reward") != several[0].get("reward")), None)
        chosen = [several[0], *([other] if other else [])]
        written = tuple((row["step"], row["completion"], row.get("reward")) for row in chosen)
        yield Sample(_question(several[0]), written)


def _question(row: dict[str, Any]) -> str:
    """What the user said last; the whole prompt where it is no conversation."""
    messages = row.get("messages") or []
    said = [one.get("content") for one in messages if isinstance(one, dict) and one.get("role") == "user"]
    return str(said[-1] if said and said[-1] else row["prompt"])


def _columns(store: Store, table: tables.Table) -> list[str]:
    wanted = ("id", "step", "prompt", "messages", "completion", "reward")
    present = tables.schema(store, table).names
    return [name for name in wanted if name in present]


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most so many, evenly, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
