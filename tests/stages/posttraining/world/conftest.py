"""A small country: its facts, pages that state them, a tokenizer of these, and the conversations that the stage makes of them."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from models.tokenizer import bytelevel
from models.tokenizer.load import made
from stages.posttraining.world.conversations import WORLD_CONVERSATIONS
from stages.posttraining.world.questions import UNKNOWN
from stages.posttraining.world.settings import Counts, WorldConversationsConfig
from stages.simulation.truth import TRUTH
from stages.simulation.world import FACTS, build, facts
from stages.stage import Input
from storage.shards import encode

COUNTS = Counts(fact=60, multi_turn=20, unknown=40, arithmetic=24, python=24, search=16, idle=16, repeat=12, identity=12)
CONFIG = WorldConversationsConfig(
    counts=COUNTS, tests=16, unknown_people=20, unknown_towns=6, test_people=20, test_towns=6, longest=400, steps=(1, 2, 5, 5)
)


@dataclass(frozen=True)
class Made:
    inputs: dict[str, Input]
    out: Path

    @property
    def chats(self) -> pl.DataFrame:
        return pl.read_parquet(self.out / "conversations-00000.parquet")

    @property
    def tests(self) -> pl.DataFrame:
        return pl.read_parquet(self.out / "tests-00000.parquet")


def inputs(folder: Path) -> dict[str, Input]:
    known = facts(build(3, people=16, towns=6, rivers=3))
    pages = [
        {"id": f"page-{number}", "url": f"https://{number}.example", "kind": "news", "text": " ".join(rows["sentence"])}
        for number, (_, rows) in enumerate(known.group_by("subject", maintain_order=True))
    ]
    (folder / "crawl").mkdir(parents=True)
    (folder / "crawl" / "facts.parquet").write_bytes(encode(known, FACTS))
    (folder / "crawl" / "truth.parquet").write_bytes(encode(pl.DataFrame(pages, schema=TRUTH), TRUTH))
    made(bytelevel.train([*(page["text"] for page in pages), *[UNKNOWN] * 20] * 3, 420)).save(folder / "tokenizer")
    return {"crawl": listed(folder / "crawl"), "tokenizer": listed(folder / "tokenizer")}


def listed(folder: Path) -> Input:
    return Input(folder, tuple(sorted(path.name for path in folder.iterdir() if path.is_file())))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("world")
    given = inputs(folder)
    out = folder / "out"
    out.mkdir()
    WORLD_CONVERSATIONS.run(given, out, CONFIG)
    return Made(given, out)
