"""The picture of where an artifact comes from: everything in it, nothing on top of anything else, whatever the graph."""

import random
import re
from itertools import combinations
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from storage.runs import Made, RunRecord
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.layers import BOX, GAP, draw, layers

from .conftest import client, make_store
from .test_pages import Links, at


def test_a_lineage_shows_and_links_every_ancestor(browser: TestClient, made: dict[str, Snapshot]) -> None:
    html = browser.get(at(made["report"], "/lineage")).text
    picture = html[html.index('<svg class="lineage"') : html.index("</svg>", html.index('<svg class="lineage"'))]
    for stage in ("url", "c4", "report"):
        assert f'href="{at(made[stage])}"' in picture
        assert f'href="{at(made[stage])}"' in html.replace(picture, ""), "the table says the same"
    assert "5,000 rows, 4,500 kept" in picture
    assert made["url"].key in picture
    assert picture.count('class="edge"') == 2
    assert re.findall(r'href="([^"]+)"[^>]* autofocus>', html) == [at(made["report"])], "a large picture opens on it"
    assert "style=" not in html
    assert ">report<" not in browser.get(at(made["c4"], "/lineage")).text, "what was made from it is no ancestor"


def test_files_are_leaves_and_what_no_record_knows_is_shown_as_such(tmp_path: Path) -> None:
    made = make_store(str(tmp_path))
    store = Store(str(tmp_path))
    record = RunRecord("corpus", {})
    inputs = {"docs": made["c4"].reference, "model": "file:8f34aa", "odd": "//evil.example/x", "<b>": 'file:"><script>\u202e'}
    record.artifacts["report"] = Made(made["report"].reference, inputs, False, 1.0, 1, 1)
    for path in store.sizes("runs"):
        store.remove(f"runs/{path}")
    record.finish(store, "completed")
    html = client(str(tmp_path)).get(at(made["report"], "/lineage")).text
    links = Links(html)
    assert "8f34aa" in html
    assert "not in this store" in html
    assert "no run record" in html, "c4 is known by its reference alone"
    assert f'href="{at(made["c4"])}"' in html
    assert "&lt;b&gt;" in html
    assert "\u202e" not in html
    assert not any("evil" in found for found in links.found)


def test_an_artifact_that_no_run_record_knows_says_so(tmp_path: Path) -> None:
    made = make_store(str(tmp_path))
    store = Store(str(tmp_path))
    for path in store.sizes("runs"):
        store.remove(f"runs/{path}")
    answer = client(str(tmp_path)).get(at(made["c4"], "/lineage"))
    assert answer.status_code == 200
    assert "No run record says how this was made" in answer.text


def graph(nodes: int, seed: int) -> dict[str, list[str]]:
    chance = random.Random(seed)
    names = [f"n{at}" for at in range(nodes)]
    return {
        name: chance.sample(names[max(0, at - 9) : at], min(at, chance.choice([0, 1, 1, 1, 2, 3])))
        for at, name in enumerate(names)
    }


@pytest.mark.parametrize("seed", range(20))
def test_nothing_lies_on_anything_else_and_parents_are_above(seed: int) -> None:
    parents = graph(20 + 2 * seed, seed)
    drawing = draw(parents)
    for one, other in combinations(drawing.places.values(), 2):
        assert abs(one[1] - other[1]) >= BOX[1] + GAP[1] or abs(one[0] - other[0]) >= BOX[0] + GAP[0] - 0.2
    assert len(drawing.lines) == sum(map(len, parents.values()))
    for parent, node, path in drawing.lines:
        assert drawing.places[parent][1] < drawing.places[node][1]
        start = re.match(r"M([\d.]+) ([\d.]+)", path)
        assert start
        assert float(start[1]) == pytest.approx(drawing.places[parent][0] + BOX[0] / 2, abs=0.1)
    assert min(x for x, _ in drawing.places.values()) >= 0
    assert max(x for x, _ in drawing.places.values()) + BOX[0] <= drawing.width + 0.1
    assert draw(parents) == drawing


def test_a_pipeline_is_one_straight_line_and_many_inputs_share_one_lane() -> None:
    names = [f"s{at}" for at in range(15)]
    parents: dict[str, list[str]] = {name: names[at - 1 : at] if at else [] for at, name in enumerate(names)}
    alone = draw(parents)
    assert len({x for x, _ in alone.places.values()}) == 1
    together = draw(parents | {"report": list(names)})
    assert together.width < alone.width + 60
    assert len({round(x) for x, _ in together.places.values()}) == 1


def test_what_is_made_from_nothing_stands_just_above_its_use() -> None:
    assert layers({"a": [], "b": ["a"], "c": ["b"], "file": [], "d": ["c", "file"]}) == {
        "a": 0,
        "b": 1,
        "c": 2,
        "file": 2,
        "d": 3,
    }
