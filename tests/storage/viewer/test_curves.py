"""Curves: no spike is lost, nothing that is not a number is hidden, and several runs are told apart without colour."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from storage.recipe import Recipe
from storage.runs import RunRecord
from storage.shards import File, encode, sha256
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import chart, tables
from storage.viewer.chart import Axis, Line, draw, ticks
from storage.viewer.curves import BUCKETS, Curve, read, smoothed

from .conftest import HOSTILE_COLUMN, client
from .test_pages import Links, every_address

COLUMNS = {"step": pl.Int64(), "tokens": pl.Int64(), "loss": pl.Float32(), "val_loss": pl.Float64(), HOSTILE_COLUMN: pl.Float64()}


def metrics(rows: int, **columns: Any) -> pl.DataFrame:
    steps = np.arange(rows)
    given = {
        "step": steps,
        "tokens": steps * 512,
        "loss": 5 / np.sqrt(steps + 1),
        "val_loss": [1 / (n + 1) if n % 10 == 0 else None for n in range(rows)],
        HOSTILE_COLUMN: steps * 1.0,
    }
    return pl.DataFrame(given | columns, schema=COLUMNS, strict=False)


def run(folder: Path, frame: pl.DataFrame, lr: float = 0.1, stage: str = "pretrain", name: str = "metrics.parquet") -> Snapshot:
    store, recipe = Store(str(folder)), Recipe(stage, 1, {"lr": lr}, {})
    data = encode(frame, dict(frame.schema))
    store.write(f"{stage}/{recipe.key}/recipe.json", json.dumps(recipe.document()).encode())
    store.write(f"{stage}/{recipe.key}/{name}", data)
    made = Snapshot.of(stage, recipe.key, [File(name, len(data), sha256(data), frame.height)])
    made.seal(store)
    record = RunRecord("pretrain", {})
    record.add(stage, made, {}, False, 1.0)
    record.finish(store, "completed")
    return made


def curve(folder: Path, frame: pl.DataFrame, name: str = "loss") -> Curve:
    made = run(folder, frame)
    return next(one for one in read(Store(str(folder)), tables.table(made, "")).curves if one.name == name)


def page(folder: Path, made: Snapshot, rest: str = "") -> str:
    answer = client(str(folder)).get(f"/{made.reference}/curves{rest}")
    assert answer.status_code == 200, answer.text[-600:]
    return answer.text


def test_a_short_run_is_drawn_point_by_point(tmp_path: Path) -> None:
    found = curve(tmp_path, metrics(20))
    assert found.points == tuple((float(n), float(np.float32(5 / math.sqrt(n + 1)))) for n in range(20))
    assert curve(tmp_path, metrics(20), "val_loss").points == ((0.0, 1.0), (10.0, 1 / 11))


@pytest.mark.parametrize("batch", [2_000, tables.BATCH_BYTES])
def test_a_long_run_keeps_every_spike_and_its_last_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(tables, "BATCH_BYTES", batch)
    values = np.random.default_rng(1).normal(size=20_000)
    values[[7_777, 12_345]] = [99, -99]
    found = curve(tmp_path, metrics(20_000, loss=values))
    points = [point for point in found.points if point]
    assert 400 < len(found.points) <= 500
    assert {(7_777.0, 99.0), (12_345.0, -99.0)} <= set(points)
    assert [step for step, _ in points] == sorted(step for step, _ in points)
    assert points[0] == (0.0, float(np.float32(values[0])))
    assert points[-1] == found.last == (19_999.0, float(np.float32(values[-1])))
    for bucket in range(BUCKETS):
        inside = values[-(-bucket * 20_000 // BUCKETS) : -(-(bucket + 1) * 20_000 // BUCKETS)].astype(np.float32)
        assert {float(inside.min()), float(inside.max())} <= {value for _, value in points}
        [mean] = [one for one in found.means if one.bucket == bucket]
        assert mean.value == pytest.approx(inside.astype(float).mean())
        assert mean.count == len(inside)


def test_what_is_not_a_number_breaks_the_line_and_is_marked(tmp_path: Path) -> None:
    values = [1.0, math.nan, 2.0, math.inf, -math.inf, 3.0]
    found = curve(tmp_path, metrics(6, loss=values))
    assert found.points == ((0.0, 1.0), None, (2.0, 2.0), None, None, (5.0, 3.0))
    assert found.bad == ((1.0, "nan"), (3.0, "inf"), (4.0, "-inf"))
    html = page(tmp_path, run(tmp_path, metrics(6, loss=values)))
    assert "× 3 of 6 values are NaN or infinite, first nan at step 1" in html
    assert re.findall(r"<title>(nan|inf|-inf) at step (\d)</title>", html) == [("nan", "1"), ("inf", "3"), ("-inf", "4")]


def test_a_metric_that_is_never_a_number_says_so(tmp_path: Path) -> None:
    html = page(tmp_path, run(tmp_path, metrics(4, loss=[math.nan] * 4, val_loss=[None] * 4)))
    assert "× 4 of 4 values are NaN" in html
    assert "not measured at any step" in html


def test_rows_without_a_step_are_counted(tmp_path: Path) -> None:
    html = page(tmp_path, run(tmp_path, metrics(5, step=[0, None, 2, None, 4])))
    assert "2 rows without a step are not drawn" in html


def test_a_smoothed_line_is_the_mean_around_each_point(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=24_900)
    found = curve(tmp_path, metrics(24_900, loss=values))
    line = smoothed(found, 20)
    half = int(BUCKETS * 0.1)
    middle = values[(100 - half) * 100 : (100 + half + 1) * 100]
    assert line[100] == (pytest.approx(10_049.5), pytest.approx(middle.mean(), abs=1e-5))
    html = page(tmp_path, run(tmp_path, metrics(24_900, loss=values)), "?smooth=20")
    assert 'class="line raw run0"' in html
    assert 'class="line run0"' in html


def test_a_logarithmic_scale_says_what_it_cannot_show(tmp_path: Path) -> None:
    made = run(tmp_path, metrics(9, loss=[1e-3, 0.0, -1.0, 10, 100, 1, 1, 1, 1]))
    html = page(tmp_path, made, "?log=loss")
    assert "2 points at or below 0 have no place on it" in html
    assert re.search(r'href="[^"]*/curves\?table=metrics.parquet">linear scale', html)
    assert [label for _, label in ticks(Axis(1e-3, 100, 0, 1, True))] == ["0.001", "0.01", "0.1", "1", "10", "100"]


def test_a_logarithmic_scale_of_nothing_above_0_says_so(tmp_path: Path) -> None:
    html = page(tmp_path, run(tmp_path, metrics(3, loss=[-1.0, -2.0, 0.0], val_loss=[None] * 3)), "?log=loss&log=val_loss")
    assert html.count("no value is above 0, and a logarithmic scale has no place for others") == 1
    assert html.count("not measured at any step") == 1


def test_what_repeats_its_steps_is_no_curve(tmp_path: Path) -> None:
    drawn = run(tmp_path, metrics(6, step=[0, 0, 0, 1, 1, None]))
    browser = client(str(tmp_path))
    assert ">Curves</a>" not in browser.get(f"/{drawn.reference}").text
    answer = browser.get(f"/{drawn.reference}/curves?table=metrics.parquet")
    assert (answer.status_code, "one row for each step" in answer.text) == (400, True)


def test_runs_over_each_other_differ_in_dashes_and_markers_and_settings(tmp_path: Path) -> None:
    one, other = run(tmp_path, metrics(50), 0.1), run(tmp_path, metrics(70), 0.2)
    html = page(tmp_path, one)
    assert re.search(rf'<option value="{other.reference}">{other.key}@{other.id[:6]}, lr 0.2</option>', html)
    both = page(tmp_path, one, f"?with={other.reference}&log=loss")
    assert re.search(r'<span class="setting">lr <b>0.2</b></span><a href="([^"]+)">remove</a>', both)
    assert re.search(r'<span class="setting">lr <b>0.1</b></span></li>', both)
    assert re.search(r'class="line run0".*class="line run1"', both, re.S)
    assert other.reference not in "".join(re.findall(r"<option.*?>", both))
    assert len({chart.marker(n, 0, 0) for n in range(5)}) == 5
    css = (Path(chart.__file__).parent / "static" / "training.css").read_text()
    assert len(set(re.findall(r"\.line\.run[1-4] \{[^}]*stroke-dasharray: ([^;}]+)", css))) == 4


def test_a_store_of_curves_is_walked_through(tmp_path: Path) -> None:
    made = [run(tmp_path, metrics(30), lr) for lr in (0.1, 0.2, 0.3)]
    addresses = []
    rest = f"/curves?with={made[1].reference}&with={made[2].reference}&smooth=5"
    for address, html in [*every_address(client(str(tmp_path))), (rest, page(tmp_path, made[0], rest.removeprefix("/curves")))]:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", Links(html).text), address
        assert "nan" not in " ".join(re.findall(r' d="([^"]*)"', html))
        addresses.append(address)
    assert any("log=" in address for address in addresses)
    assert any("smooth=" in address for address in addresses)
    assert "&lt;script&gt;" in page(tmp_path, made[0])


@pytest.mark.parametrize(
    "columns",
    [
        {"step": pl.Float64(), "loss": pl.Float64()},
        {"step": pl.Int64(), "loss": pl.Int64()},
        {"step": pl.String(), "loss": pl.Float64()},
        {"loss": pl.Float64()},
    ],
)
def test_columns_of_another_shape_have_no_such_page(tmp_path: Path, columns: dict[str, Any]) -> None:
    other = run(tmp_path, pl.DataFrame([], schema=columns))
    browser = client(str(tmp_path))
    assert ">Curves</a>" not in browser.get(f"/{other.reference}").text
    answer = browser.get(f"/{other.reference}/curves")
    assert (answer.status_code, "expected an integer column step" in answer.text) == (400, True)


def test_an_empty_table_has_empty_charts(tmp_path: Path) -> None:
    assert "not measured at any step" in page(tmp_path, run(tmp_path, metrics(0)))


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("?smooth=7", "expected one of 0, 1, 5, 20"),
        ("?with=pretrain", "expected stage/key@snapshot"),
        ("?with=pretrain/000000000000@000000000000", "has no such snapshot"),
        ("?with={text}", "has the columns text: string; expected an integer column step"),
        ("?" + "&".join(f"with=a/{n:012}@{n:012}" for n in range(5)), "4 are the most"),
        ("?table=nosuch", "has no table"),
    ],
)
def test_what_is_refused_is_named(tmp_path: Path, rest: str, says: str) -> None:
    text = run(tmp_path, pl.DataFrame({"text": ["x"]}), stage="texts").reference
    answer = client(str(tmp_path)).get(f"/{run(tmp_path, metrics(3)).reference}/curves{rest.format(text=text)}")
    assert (answer.status_code, says in answer.text) == (400, True)


HUGE = 1.7e308


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [5e-324],
        [HUGE],
        [-HUGE, HUGE],
        [0.0, 5e-324],
        [1.0, math.nextafter(1.0, 2)],
        [1e16, 1e16 + 2],
        [5e-324, HUGE],
        [0, 1e-300],
    ],
)
def test_every_range_of_numbers_has_an_axis(values: list[float], log: bool) -> None:
    points = tuple((float(n), value) for n, value in enumerate(values))
    drawing = draw([Line(0, points, points[-1])], log)
    if log and max(values) <= 0:
        assert drawing is None
        return
    assert drawing
    numbers = [float(n) for shape in drawing.shapes for n in re.findall(r"-?[\d.]+", shape.path)]
    assert all(-10 <= n <= chart.WIDTH for n in numbers)
    assert 1 <= len(drawing.up) <= 12
    assert len({label for _, label in drawing.up}) == len(drawing.up)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (-0.011, 0.012, ["-0.01", "-0.005", "0", "0.005", "0.01"]),
        (2.301, 2.302, ["2.301", "2.3012", "2.3014", "2.3016", "2.3018", "2.302"]),
        (0, 2_500_000, ["0", "500k", "1M", "1.5M", "2M", "2.5M"]),
        (10_000_000, 10_000_004, ["10000000", "10000001", "10000002", "10000003", "10000004"]),
    ],
)
def test_ticks_are_round_and_differ(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in ticks(Axis(low, high, 0, 1))] == labels
