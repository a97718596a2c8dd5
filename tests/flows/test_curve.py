"""Curves for Prefect's pages."""

import re

from flows.curve import Point, picture


def test_the_legend_has_the_colours_of_the_lines_whatever_is_not_measured() -> None:
    up: list[Point] = [(0, 0.0), (1, 1.0)]
    drawn = picture("shares", {"reward": [], "accuracy": up, "judge": [], "finished": up[:1]})
    assert drawn is not None
    legend, lines = drawn.split('<g transform="translate(0 36)">')
    colours = dict(re.findall(r'fill="(#\w+)"/><text x="[\d.]+" y="35"[^>]*>(\w+)<', legend))
    assert list(colours.values()) == ["accuracy", "finished"]
    assert set(re.findall(r'stroke="(#\w+)" stroke-width="1.5"', lines)) <= set(colours)
    assert set(re.findall(r'd="[^"]+" fill="(#\w+)"', lines)) == set(colours)
    assert picture("nothing", {"reward": []}) is None
