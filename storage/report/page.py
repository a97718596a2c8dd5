"""A model's report as one HTML page that asks nobody for anything: pictures are SVG in it, its style is in it, it has no script.

In: the store and the model's snapshot. Out: the page, the same bytes for the same store. It names no host, path or address, so that it
can be given away; what models and crawls wrote is text in it, never markup (storage/viewer/visible.py).
"""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from storage.report import settings
from storage.report.contents import Contents, contents
from storage.report.trainings import MEAN, STEPS
from storage.report.way import anchor
from storage.runs import state_of
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import chart, funnel_page
from storage.viewer.layers import BOX
from storage.viewer.lineage_page import boxes, drawn
from storage.viewer.units import compact, count, duration, size
from storage.viewer.visible import name_of, short, visible

HERE = Path(__file__).parent
VIEWER = HERE.parent / "viewer"
STYLES = (VIEWER / "static/style.css", VIEWER / "static/training.css", HERE / "static/report.css")
LONGEST = 900
"""Characters of a text that are shown."""
INPUTS = 12
"""Of an artifact that was made from more, as a table of all scores is, they are folded."""


def report(store: Store, model: Snapshot) -> str:
    """Raises Problem for what is no model, and where a file that is needed is damaged."""
    return page(contents(store, model))


def page(found: Contents) -> str:
    way = found.way
    lineage = {
        identity: replace(box, name=name_of(way.stations[identity].label), path=f"#{anchor(identity)}") if box.path else box
        for identity, box in boxes(way.store, list(way.nodes), way.model).items()
    }
    text = (
        _templates()
        .get_template("report.html")
        .render(
            it=found,
            way=way,
            style=Markup("\n".join(path.read_text(encoding="utf-8") for path in STYLES)),
            boxes=lineage,
            drawing=drawn(lineage),
            box=BOX,
            funnel=(funnel_page.WIDTH, funnel_page.REACH),
            chart_sizes=(chart.WIDTH, chart.HEIGHT, chart.LEFT, chart.RIGHT, chart.TOP, chart.BOTTOM),
            marker=chart.marker,
            flat=lambda config: list(settings.flat(config)),
            mean=MEAN,
            most_steps=STEPS,
            longest=LONGEST,
            most_inputs=INPUTS,
            state_of=partial(state_of, way.store),
        )
    )
    return text.rstrip() + "\n"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader([HERE / "templates", VIEWER / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "visible": visible, "short": short, "name_of": name_of, "count": count, "size": size, "duration": duration,
        "compact": compact, "hours": _hours, "figure": _figure, "address": lambda reference: f"#{anchor(reference)}",
    }  # fmt: skip
    return made


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.4f}"


def _figure(value: object) -> str:
    """A number as people read it, with three decimals where it is a share or a score; any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else name_of(str(value))
    if isinstance(value, int):
        return count(value)
    if value != value or abs(value) in (float("inf"),):
        return str(value)
    return f"{value:.3f}" if 0.001 <= abs(value) < 100 or value == 0 else compact(value)
