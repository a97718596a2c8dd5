import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import zstandard

from stages.extraction.pages import GoldPage, gold_pages
from storage.problem import Problem

ROWS = [
    {"html": "<p>é", "gold_text": "é", "url": "https://news.host.co.uk/a", "page_id": "one", "language": "en", "source": "s"},
    {"html": "<p>b", "gold_text": ""},
    {"html": "\ud800", "gold_text": "", "url": "http://[broken"},
    {"html": "", "gold_text": "", "url": None, "page_type": "forum"},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".jsonl.gz": gzip.compress,
    ".jsonl.xz": lzma.compress,
    ".jsonl.zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("suffix", PACK)
def test_pages_are_read_from_json_lines_however_packed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"gold{suffix}"
    path.write_bytes(PACK[suffix](LINES))
    stem = path.stem
    assert list(gold_pages(path)) == [
        GoldPage("one", "<p>é".encode(), "é", "host.co.uk", "en", "s"),
        GoldPage(f"{stem}:2", b"<p>b", "", f"{stem}:2"),
        GoldPage(f"{stem}:3", b"?", "", f"{stem}:3"),
        GoldPage(f"{stem}:4", b"", "", f"{stem}:4", page_type="forum"),
    ]


def test_pages_are_read_from_parquet(tmp_path: Path) -> None:
    path = tmp_path / "gold.parquet"
    pl.DataFrame({"html": ["<p>a"], "gold_text": ["a"], "url": ["http://a.b.org/"]}).write_parquet(path)
    assert list(gold_pages(path)) == [GoldPage("gold:1", b"<p>a", "a", "b.org")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gold.csv", b"html,gold_text", "neither .parquet nor .jsonl"),
        ("gold.jsonl", b'{"html": "a"}\n', "row 1: expected the strings html and gold_text, found html"),
        ("gold.jsonl", b'{"html": 3, "gold_text": "a"}\n', "row 1: expected the strings"),
        ("gold.jsonl", b"{}\n", "found nothing"),
        ("gold.jsonl", b"[]\n", "line 1: expected a JSON object, found list"),
        ("gold.jsonl", b'{"html": ', "cannot be read as JSON lines"),
        ("gold.jsonl", b'{"html": "\xff"}', "cannot be read as JSON lines"),
        ("gold.jsonl.xz", lzma.compress(LINES * 99)[:-20], "cannot be read as JSON lines"),
        ("gold.jsonl.gz", gzip.compress(LINES * 99)[:-20], "cannot be read as JSON lines"),
        ("gold.jsonl.zst", b"no zstd", "cannot be read as JSON lines"),
        ("gold.parquet", b"no parquet", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_file_of_gold_pages_is_told(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Problem, match=message) as told:
        list(gold_pages(path))
    assert str(path) in str(told.value)


@pytest.mark.parametrize("name", ["none.jsonl", "none.parquet"])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        list(gold_pages(tmp_path / name))
