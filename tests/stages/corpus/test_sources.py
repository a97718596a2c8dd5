"""Finding crawl files: folders, patterns, addresses, Common Crawl ids, and what names them."""

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from stages.corpus.sources import SOURCE_COLUMNS, SOURCES, content_digest, digest, discover, source_row
from storage.problem import Problem


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    for name in ("b/two.warc.gz", "a.warc", "b/c/three.wet.gz", "words.jsonl.zst", "notes.txt", "table.parquet", "old.arc.gz"):
        path = tmp_path / "crawl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {name}".encode())
    return tmp_path / "crawl"


def test_a_folder_gives_its_crawl_files_sorted_by_path_and_passes_over_the_rest(crawl: Path) -> None:
    found = discover([str(crawl)])
    assert [(source.path, source.format) for source in found] == [
        ("a.warc", "warc"),
        ("b/c/three.wet.gz", "warc"),
        ("b/two.warc.gz", "warc"),
        ("old.arc.gz", "arc"),
        ("table.parquet", "parquet"),
        ("words.jsonl.zst", "jsonl"),
    ]


def test_paths_begin_at_the_last_folder_before_a_wildcard(crawl: Path) -> None:
    assert [source.path for source in discover([f"{crawl}/**/*.gz"])] == ["b/c/three.wet.gz", "b/two.warc.gz", "old.arc.gz"]
    assert [source.path for source in discover([f"{crawl}/b/*.gz"])] == ["two.warc.gz"]
    assert [source.path for source in discover([f"{crawl}/b/two.warc.gz"])] == ["two.warc.gz"]


def test_relative_patterns_mean_the_same_files(crawl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(crawl)
    assert [source.path for source in discover(["*.warc"])] == ["a.warc"]
    assert discover(["b"]) == discover([str(crawl / "b")])


def test_a_file_that_two_patterns_name_comes_once(crawl: Path) -> None:
    assert len(discover([f"{crawl}/a.warc", f"{crawl}/*.warc", str(crawl)])) == len(discover([str(crawl)]))


def test_a_file_with_brackets_in_its_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "crawl[1].warc").write_bytes(b"WARC/1.0")
    assert [source.path for source in discover([str(tmp_path / "crawl[1].warc")])] == ["crawl[1].warc"]


def test_the_digest_covers_content_and_path(crawl: Path) -> None:
    (crawl / "copy.warc").write_bytes((crawl / "a.warc").read_bytes())
    one, copy = discover([f"{crawl}/*.warc"])
    assert content_digest(one) == content_digest(copy) == hashlib.sha256(b"content of a.warc").hexdigest()
    assert digest(one) != digest(copy)
    assert digest(one) == digest(one, content_digest(one))


def test_the_token_of_a_local_file_changes_with_its_time(crawl: Path) -> None:
    (before,) = discover([f"{crawl}/a.warc"])
    os.utime(crawl / "a.warc", ns=(1, 1))
    (after,) = discover([f"{crawl}/a.warc"])
    assert before.token != after.token
    assert digest(before) == digest(after)


def test_the_row_of_a_source_has_the_schema_of_the_stage(crawl: Path) -> None:
    (source,) = discover([f"{crawl}/a.warc"])
    row = source_row(source, digest(source))
    assert dict(row.schema) == SOURCE_COLUMNS == SOURCES.schema({})
    assert row.row(0) == (digest(source)[:16], "a.warc", "warc", 17)


def test_names_that_say_nothing_are_decided_by_the_first_bytes(tmp_path: Path) -> None:
    contents = {"a.bad": gzip.compress(b"WARC/1.0"), "b": b"WARC/1.1\r\n", "c.old": b"filedesc://x", "d.pq": b"PAR1"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert [source.format for source in discover([f"{tmp_path}/*"])] == ["warc", "warc", "arc", "parquet"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{crawl}/none.warc.gz", "none.warc.gz does not exist"),
        ("{crawl}/none*.warc.gz", "names no crawl file"),
        ("{crawl}/notes.txt", "notes.txt is no crawl file that can be read; expected a name that ends in .warc"),
        ("http://127.0.0.1:9/a.warc.gz", "cannot be reached"),
        ("http://127.0.0.1:9/*.warc.gz", "a web server does not list its files"),
        ("memory://nothing/a.warc.gz", "does not exist"),
        ("memory://nothing/*.warc.gz", "names no crawl file"),
    ],
)
def test_what_cannot_be_found_is_one_clear_error(crawl: Path, pattern: str, message: str) -> None:
    with pytest.raises(Problem, match=message):
        discover([pattern.format(crawl=crawl)])


def test_no_patterns_are_an_error() -> None:
    with pytest.raises(Problem, match="No sources are named"):
        discover([])


def test_an_address_is_known_by_size_and_date_and_is_not_fetched_for_its_digest(web: Any) -> None:
    (web.folder / "x.warc.gz").write_bytes(b"12345")
    (source,) = discover([web.base + "x.warc.gz?key=1"])
    assert (source.path, source.size, source.format) == ("x.warc.gz", 5, "warc")
    before = digest(source)
    os.utime(web.folder / "x.warc.gz", (1, 1))
    assert digest(discover([web.base + "x.warc.gz?key=1"])[0]) != before
    (web.folder / "x.warc.gz").unlink()
    assert digest(source) == before


def test_an_address_that_is_not_there_is_a_clear_error(web: Any) -> None:
    with pytest.raises(Problem, match=r"none\.warc\.gz cannot be reached: 404"):
        discover([web.base + "none.warc.gz"])


def test_a_server_without_range_requests_is_a_clear_error(web: Any) -> None:
    (web.folder / "x.warc.gz").write_bytes(b"12345")
    web.ranges = False
    with pytest.raises(Problem, match=r"x\.warc\.gz can only be read from its start"):
        discover([web.base + "x.warc.gz"])


def test_a_common_crawl_id_is_the_list_of_its_files(web: Any) -> None:
    listing = web.folder / "crawl-data" / "CC-MAIN-2024-10" / "warc.paths.gz"
    listing.parent.mkdir(parents=True)
    paths = [f"crawl-data/CC-MAIN-2024-10/segments/{n}/warc/{n}.warc.gz" for n in (2, 1, 3)]
    listing.write_bytes(gzip.compress("\n".join(paths).encode() + b"\n"))
    found = discover(["CC-MAIN-2024-10"], common_crawl=web.base, limit=2)
    assert [source.path for source in found] == sorted(paths[:2])
    assert {source.token for source in found} == {web.base + path for path in paths[:2]}
    assert found[0].size is None
    assert source_row(found[0], digest(found[0]))["bytes"].to_list() == [None]
    assert len(discover(["CC-MAIN-2024-10"], common_crawl=web.base.rstrip("/"))) == 3


def test_an_unknown_common_crawl_id_is_a_clear_error(web: Any) -> None:
    with pytest.raises(Problem, match=r"CC-MAIN-2099-01 cannot be read from .*warc\.paths\.gz"):
        discover(["CC-MAIN-2099-01"], common_crawl=web.base)


def test_object_stores_are_listed_with_wildcards_folders_and_names() -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    for name in ("/pile/crawl/b/two.warc.gz", "/pile/crawl/one.warc.gz", "/pile/crawl/readme.md"):
        store.pipe(name, b"content")
    assert [source.path for source in discover(["memory://pile/crawl/**/*.gz"])] == ["b/two.warc.gz", "one.warc.gz"]
    assert [source.path for source in discover(["memory://pile/crawl"])] == ["b/two.warc.gz", "one.warc.gz"]
    (one,) = discover(["memory://pile/crawl/one.warc.gz"])
    assert (one.path, one.size) == ("one.warc.gz", 7)
    assert len(content_digest(one)) == 64
    store.rm("/pile", recursive=True)
