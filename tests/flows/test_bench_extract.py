"""`winnow bench extract` over a few made-up pages."""

import json
import re
from pathlib import Path

import pytest

from flows.commands.bench.pareto import pareto
from stages.corpus.simulate import SimulateConfig
from stages.corpus.simulate import run as simulate
from stages.extraction.model import SHIPPED
from stages.extraction.simulated import simulated_pages
from stages.stage import Input
from tests.flows.conftest import Winnow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    simulate({}, folder, SimulateConfig(pages=40, files=1))
    crawl = Input(folder, ("crawl-00000.warc.gz",))
    rows = [
        {"html": page.html.decode(), "gold_text": page.gold, "url": f"http://{page.site}/", "source": "made-up"}
        for page in simulated_pages(crawl)
    ]
    (folder / "pages.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "pages.jsonl"


def test_extractors_are_measured_side_by_side_and_drawn(winnow: Winnow, pages: Path, tmp_path: Path) -> None:
    said = winnow(
        "bench", "extract", str(pages), "--model", str(SHIPPED), "--picture", str(tmp_path / "pareto.svg"), "--json"
    ).stdout
    document = json.loads(said.splitlines()[-1])
    methods = {one["method"]: one for one in document["methods"]}
    assert set(methods) == {"winnow", "trafilatura", "resiliparse"}
    assert methods["winnow"]["f1"] > 0.9
    assert all(one["cpu_seconds_per_1000"] > 0 and not one["failed"] for one in methods.values())
    assert {one["kind"] for one in document["by"]} == {"all", "source made-up"}
    picture = (tmp_path / "pareto.svg").read_text()
    assert picture.startswith("<svg")
    assert f">winnow {methods['winnow']['f1']:.3f}<" in picture


def test_one_method_alone_needs_no_model(winnow: Winnow, pages: Path) -> None:
    said = winnow("bench", "extract", str(pages), "--method", "resiliparse", "--json").stdout
    assert [one["method"] for one in json.loads(said.splitlines()[-1])["methods"]] == ["resiliparse"]


def test_what_is_slower_stands_to_the_right_and_what_is_better_above() -> None:
    picture = pareto({"quick": (1.0, 0.9), "slow": (40.0, 0.8)})
    (x1, y1), (x2, y2) = ((float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', picture))
    assert x1 < x2
    assert y1 < y2  # downwards
