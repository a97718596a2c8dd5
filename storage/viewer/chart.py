"""A line chart as SVG paths: lines in, shapes and ticks out. Lines are told apart by dashes and by the shape of their last point."""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.viewer.curves import Point
from storage.viewer.units import compact

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 14, 22  # margins: labels stand in them
TICKS = 5
LEAST, GREATEST = 5e-324, sys.float_info.max


@dataclass(frozen=True)
class Line:
    run: int
    """Which run it is, from 0: its colour, dashes and marker."""
    points: tuple[Point | None, ...]
    last: Point | None
    raw: bool = False
    """Drawn faintly, behind its own smoothed line."""
    bad: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Shape:
    run: int
    path: str
    kind: str
    """line | line raw | marker | bad"""
    title: str = ""


@dataclass(frozen=True)
class Drawing:
    shapes: tuple[Shape, ...]
    across: tuple[tuple[float, str], ...]
    """(x, label) of the ticks below."""
    up: tuple[tuple[float, str], ...]
    """(y, label) of the ticks on the left."""
    hidden: int
    """Points that a logarithmic scale cannot show."""


@dataclass(frozen=True)
class Axis:
    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        low, high, at = (math.log10(one) if self.log else one for one in (self.low, self.high, value))
        if not math.isfinite(high - low):
            low, high, at = low / 2, high / 2, at / 2
        return self.begin + (self.end - self.begin) * ((at - low) / (high - low) if high > low else 0.5)


def draw(lines: Sequence[Line], log: bool = False) -> Drawing | None:
    """None where there is nothing to show."""
    points = [point for line in lines for point in line.points if point]
    fine = [point for point in points if point[1] > 0 or not log]
    bad = [one for line in lines for one in line.bad]
    if not fine and not bad:
        return None
    x = _axis([step for step, _ in [*fine, *bad]], LEFT, WIDTH - RIGHT, False)
    y = _axis([value for _, value in fine] or [1.0], HEIGHT - BOTTOM, TOP, log)
    shapes = [Shape(line.run, path, "line raw" if line.raw else "line") for line in lines if (path := _path(x, y, line.points))]
    for line in lines:
        shapes += [
            Shape(line.run, _cross(x.place(step), TOP - 6), "bad", f"{text} at step {step:,.0f}") for step, text in line.bad
        ]
        if line.last and not line.raw and (line.last[1] > 0 or not log):
            said = f"{compact(line.last[1])} at step {line.last[0]:,.0f}"
            shapes.append(Shape(line.run, marker(line.run, x.place(line.last[0]), y.place(line.last[1])), "marker", said))
    return Drawing(
        tuple(shapes),
        tuple((round(x.place(at), 1), label) for at, label in ticks(x)),
        tuple((round(y.place(at), 1), label) for at, label in ticks(y)),
        len(points) - len(fine),
    )


def _axis(values: Iterable[float], begin: float, end: float, log: bool) -> Axis:
    found = list(values)
    low, high = min(found), max(found)
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1))
    return Axis(max(low, LEAST if log else -GREATEST), min(high, GREATEST), begin, end, log)


def ticks(axis: Axis) -> list[tuple[float, str]]:
    """Round values on the axis, with labels that differ."""
    if axis.log:
        first, last = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
        stride = max(1, -(-(last - first) // TICKS))
        factors = (1, 2, 5) if last - first <= 2 else (1,)
        found = [_power(factor, power) for power in range(first, last + 1, stride) for factor in factors]
        inside = [at for at in found if axis.low <= at <= axis.high]
        return _labelled(inside if len(inside) > 1 else [axis.low, axis.high])
    span = axis.high - axis.low
    if not math.isfinite(span) or span / TICKS < 1e-290:
        return _labelled([axis.low, axis.high])
    power = math.floor(math.log10(span / TICKS))
    step = next(size for factor in (1, 2, 5, 10) if (size := _power(factor, power)) >= span / TICKS * 0.999)
    return _labelled([number * step for number in range(math.ceil(axis.low / step), math.floor(axis.high / step) + 1)])


def _labelled(values: list[float]) -> list[tuple[float, str]]:
    for write in (compact, "{:.12g}".format, repr):
        labels = [write(value) for value in values]
        if len(set(labels)) == len(values):
            return list(zip(values, labels, strict=True))
    return [(values[0], repr(values[0]))]


def _power(factor: int, power: int) -> float:
    return float(f"{factor}e{power}")


def _path(x: Axis, y: Axis, points: Sequence[Point | None]) -> str:
    text, pen = "", "M"
    for point in points:
        if point is None or (y.log and point[1] <= 0):
            pen = "M"
            continue
        text += f"{pen}{x.place(point[0]):.1f} {y.place(point[1]):.1f}"
        pen = "L"
    return text


def marker(run: int, x: float, y: float) -> str:
    """A disc, a square, a triangle, a diamond, a bar: one for each run."""
    return f"M{x:.1f} {y:.1f}" + (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", "m-4 -4h8v8h-8z", "m0 -5l5 9h-10z", "m0 -5.5l5 5.5l-5 5.5l-5 -5.5z", "m-2 -6h4v12h-4z",
    )[run % 5]  # fmt: skip


def _cross(x: float, y: float) -> str:
    return f"M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6"
