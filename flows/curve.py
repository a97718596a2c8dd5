"""A curve over steps as one SVG picture that stands alone: for Prefect, whose pages show images by address."""

import base64
from collections.abc import Mapping, Sequence
from html import escape

from storage.viewer.chart import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Line, draw, marker

Point = tuple[float, float]
"""(step, value)"""

MOST = 1_000  # points of a line that are drawn
COLOURS = ("#1f7a4d", "#b3541e", "#4a5fb0", "#8a3f7d", "#6b6b00")
TEXT = 'font-family="sans-serif" font-size="11" fill="#555"'


def picture(title: str, series: Mapping[str, Sequence[Point]]) -> str | None:
    """`series`: name -> its points in the order of steps. None where there is nothing to draw yet."""
    series = {name: points for name, points in series.items() if points}
    lines = [Line(place, tuple(thinned(points)), points[-1]) for place, points in enumerate(series.values())]
    drawing = draw(lines)
    if drawing is None:
        return None
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 44}" width="{2 * WIDTH}" height="{2 * HEIGHT + 88}">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-family="sans-serif" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    x = float(LEFT)
    for place, name in enumerate(series):
        colour = COLOURS[place % len(COLOURS)]
        parts.append(
            f'<path d="{marker(place, x + 5, 31)}" fill="{colour}"/><text x="{x + 14}" y="35" {TEXT}>{escape(name)}</text>'
        )
        x += 24 + 6.5 * len(name)
    parts.append('<g transform="translate(0 36)">')
    for at, label in drawing.up:
        parts.append(
            f'<path d="M{LEFT} {at}H{WIDTH - RIGHT}" stroke="#e2e2e2"/><text x="{LEFT - 6}" y="{at + 4}" text-anchor="end" {TEXT}>{label}</text>'
        )
    for at, label in drawing.across:
        parts.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle" {TEXT}>{label}</text>')
    for shape in drawing.shapes:
        colour = COLOURS[shape.run % len(COLOURS)]
        paint = f'fill="{colour}"' if shape.kind == "marker" else f'fill="none" stroke="{colour}" stroke-width="1.5"'
        parts.append(f'<path d="{shape.path}" {paint}/>')
    return "\n".join([*parts, "</g>", "</svg>"])


def thinned(points: Sequence[Point]) -> list[Point]:
    """Every n-th point and the last, MOST at most."""
    stride = -(-len(points) // MOST)
    kept = list(points[::stride])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def address(svg: str) -> str:
    """As a data: address, which needs no server."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
