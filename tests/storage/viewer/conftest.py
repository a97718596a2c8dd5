"""A small store with a friendly dataset, a hostile one and a whole stage's files; and a browser's view of it."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

from storage.recipe import Recipe
from storage.runs import RunRecord
from storage.shards import File, encode, sha256, write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.app import create_app

COLUMNS = {
    "id": pl.String(),
    "url": pl.String(),
    "text": pl.String(),
    "score": pl.Float64(),
    "words": pl.Int64(),
    "flag": pl.Boolean(),
    "tags": pl.List(pl.String()),
    "reason": pl.String(),
    "reason_value": pl.Float64(),
    "reason_threshold": pl.Float64(),
    "reason_detail": pl.String(),
}
ROWS = 2_500  # three row groups in each of the two shards


def friendly() -> pl.DataFrame:
    """Row n: score n/1000, every tenth dropped, "needle" in row 1777 alone, "Haystack" in every other."""
    values = [
        {
            "id": f"doc-{n}",
            "url": f"https://host{n % 7}.example/{n}",
            "text": ("a needle lies here" if n == 1777 else f"Haystack number {n}") + " and so on" * (n % 90),
            "score": None if n == 5 else n / 1000,
            "words": n % 90,
            "flag": n % 2 == 0,
            "tags": ["a", str(n)],
            "reason": "too_short" if n % 10 == 0 else None,
            "reason_value": 3.0 if n % 10 == 0 else None,
            "reason_threshold": 5.0 if n % 10 == 0 else None,
            "reason_detail": None,
        }
        for n in range(2 * ROWS)
    ]
    return pl.DataFrame(values, schema=COLUMNS)


HOSTILE_COLUMN = "<script>alert('column')</script>\u202e"
HOSTILE = {
    "url": pl.String(),
    "text": pl.String(),
    HOSTILE_COLUMN: pl.String(),
    "a.b": pl.Int64(),
    "reason": pl.String(),
}
HOSTILE_TEXTS = [
    "<script>fetch('https://evil.example')</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>' autofocus onfocus=alert(1) x='",
    "abc\u202egnp.exe\u202c \u2066x\u2069 \x00\x07\x1b[31m",
    "{{ 7*7 }} {% raw %} </textarea></title><!--",
    '=HYPERLINK("https://evil.example","click")',
    "\u200b\ufeff\U000e0041 zero width",
]


def hostile() -> pl.DataFrame:
    values = [
        {
            "url": "javascript:alert(1)" if n % 2 else 'https://x.example/\u202e"onmouseover=alert(1)',
            "text": text,
            HOSTILE_COLUMN: text,
            "a.b": n,
            "reason": "<b>reason</b>\u202e" if n == 1 else None,
        }
        for n, text in enumerate(HOSTILE_TEXTS)
    ]
    return pl.DataFrame(values, schema=HOSTILE)


def make_store(url: str) -> dict[str, Snapshot]:
    """The store at `url`, and its snapshots by stage."""
    store = Store(url)
    made: dict[str, Snapshot] = {}
    record = RunRecord("corpus", {"store": url, "c4": {"min_sentences": 5}})

    def seal(recipe: Recipe, files: list[File], inputs: dict[str, str]) -> None:
        store.write(f"{recipe.stage}/{recipe.key}/recipe.json", json.dumps(recipe.document()).encode())
        made[recipe.stage] = Snapshot.of(recipe.stage, recipe.key, files, {"share": 0.5} if recipe.stage == "report" else None)
        made[recipe.stage].seal(store)
        record.add(recipe.stage, made[recipe.stage], inputs, False, 1.0)

    recipe = Recipe("url", 1, {"profile": "winnow"}, {})
    rows = friendly()
    files = [
        write_shard(
            store, f"url/{recipe.key}", f"crawl-p000{n}-0000000{n}.parquet", rows[n * ROWS : (n + 1) * ROWS], COLUMNS, f"o{n}"
        )
        for n in range(2)
    ]
    seal(recipe, files, {})

    recipe = Recipe(
        "c4",
        1,
        {"min_sentences": 5},
        {"docs": f"url/{made['url'].key}", "removed": "clusters/0123456789ab", "model": "file:8f34"},
    )
    file = write_shard(store, f"c4/{recipe.key}", "crawl-p0000-00000000.parquet", hostile(), HOSTILE, "o0")
    seal(recipe, [file], {"docs": made["url"].reference})

    recipe = Recipe("report", 1, {}, {"docs": made["c4"].reference})
    folder = f"report/{recipe.key}"
    contents: dict[str, bytes] = {
        "report.md": b"# Report\n<script>alert(1)</script>\n",
        "words.json": b'{"a": 1}\n',
        "vectors.npy": _npy(),
        "model.bin": b"\x00" * 10,
        "one.parquet": encode(pl.DataFrame({"n": [1, 2, 3]}), {"n": pl.Int64()}),
        "two.parquet": encode(pl.DataFrame({"name": ["x"]}), {"name": pl.String()}),
        "walks-00000.parquet": encode(pl.DataFrame({"miles": [1, 2]}), {"miles": pl.Int64()}),
        "walks-00001.parquet": encode(pl.DataFrame({"miles": [3]}), {"miles": pl.Int64()}),
    }
    counts = {"one.parquet": 3, "two.parquet": 1, "walks-00000.parquet": 2, "walks-00001.parquet": 1}
    for name, data in contents.items():
        store.write(f"{folder}/{name}", data)
    seal(
        recipe,
        [File(name, len(data), sha256(data), counts.get(name)) for name, data in contents.items()],
        {"docs": made["c4"].reference},
    )
    record.finish(store, "completed")
    return made


def _npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((3, 4), np.float32))
    return stream.getvalue()


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("viewer") / "store"


@pytest.fixture(scope="session")
def made(root: Path) -> dict[str, Snapshot]:
    return make_store(str(root))


@pytest.fixture(scope="session")
def store(root: Path, made: dict[str, Snapshot]) -> Store:
    return Store(str(root))


@pytest.fixture
def browser(root: Path, made: dict[str, Snapshot]) -> TestClient:
    return client(str(root))


def client(store: str, host: str = "127.0.0.1:4300", **given: Any) -> TestClient:
    return TestClient(create_app(store, **given), base_url=f"http://{host}", raise_server_exceptions=False)
