"""The SQL box: it answers questions about one dataset, and whatever else a query asks for, it gets one line that says why not."""

import csv
import io
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode

import fsspec
import pytest
from fastapi.testclient import TestClient

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import sql
from storage.viewer.sql import run

from .conftest import HOSTILE_TEXTS, client


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT count(*) FROM data", [[5000]]),
        ("SELECT reason, count(*) AS n FROM data GROUP BY reason ORDER BY n", [["too_short", 500], [None, 4500]]),
        ("SELECT id FROM data WHERE text LIKE '%needle%'", [["doc-1777"]]),
        ("FROM data SELECT max(score) - min(score)", [[4.999]]),
        ("WITH long AS (SELECT * FROM data WHERE words > 88) SELECT count(*) FROM long", [[55]]),
        ("SELECT id FROM data WHERE false", []),
        ("SELECT DATE '2026-01-02', [1, NULL], {'a': 'b'}, 1.5::DECIMAL(4, 2), 'NaN'::DOUBLE, '\\xff'::BLOB, NULL, true",
         [["2026-01-02", "[1, null]", '{"a": "b"}', 1.5, "nan", "ff", None, True]]),
    ],
)  # fmt: skip
def test_a_question_is_answered(store: Store, made: dict[str, Snapshot], query: str, rows: list[object]) -> None:
    answer = run(store, made["url"], query)
    assert answer.rows == rows
    assert not answer.more


def test_each_table_of_a_whole_stage_has_a_name(store: Store, made: dict[str, Snapshot]) -> None:
    assert run(store, made["report"], "SELECT sum(n), (SELECT name FROM two) FROM one").rows == [[6, "x"]]
    assert run(store, made["report"], "SELECT count(*) FROM data").rows == [[3]]
    assert run(store, made["report"], "SELECT sum(miles) FROM walks").rows == [[6]]


def test_an_answer_is_bounded_in_rows_in_bytes_and_in_each_value(store: Store, made: dict[str, Snapshot]) -> None:
    many = run(store, made["url"], "SELECT * FROM range(1_000_000_000)")
    assert (len(many.rows), many.more, many.rows[-1]) == (1_000, True, [999])
    wide = run(store, made["url"], "SELECT repeat(id, 300), repeat(url, 300) FROM data")
    assert 100 < len(wide.rows) < 1_000
    assert wide.more
    [[one]] = run(store, made["url"], "SELECT repeat('x', 100_000)").rows
    assert len(one) < 2_100
    with pytest.raises(Problem, match="2,000 columns; 300 are the most"):
        run(store, made["url"], f"SELECT {', '.join(map(str, range(2000)))}")


ESCAPES = [
    ("SELECT * FROM read_text('/etc/passwd')", "no file, network or extension"),
    ("SELECT * FROM read_blob('/proc/self/environ')", "no file, network or extension"),
    ("SELECT * FROM read_csv('/etc/passwd')", "no file, network or extension"),
    ("SELECT * FROM read_json('/etc/passwd')", "no file, network or extension"),
    ("SELECT * FROM sniff_csv('/etc/passwd')", "no file, network or extension"),
    ("SELECT * FROM '/etc/passwd'", "does not exist"),
    ("SELECT * FROM '/etc/hosts.csv'", "no file, network or extension"),
    ("SELECT * FROM read_parquet('{other}')", "no file, network or extension"),
    ("SELECT * FROM parquet_metadata('{other}')", "no file, network or extension"),
    ("SELECT * FROM '{other}'", "no file, network or extension"),
    ("SELECT * FROM 'file://{other}'", "no file, network or extension"),
    ("SELECT * FROM read_parquet('shard:///../{other}')", "no file, network or extension"),
    ("SELECT * FROM read_parquet('{other}/../*.parquet')", "no file, network or extension"),
    ("SELECT * FROM glob('/**')", "no file, network or extension"),
    ("SELECT * FROM glob('shard://*')", "no file, network or extension"),
    ("SELECT * FROM 'https://127.0.0.1/x.parquet'", "no file, network or extension"),
    ("SELECT * FROM read_csv('s3://bucket/x.csv')", "no file, network or extension"),
    ("SELECT * FROM read_duckdb('/tmp/x.db')", "no file, network or extension"),
    ("SELECT * FROM sqlite_scan('/tmp/x.db', 't')", "sqlite_scan"),
    ("SELECT getenv('PATH')", "getenv"),
    ("SELECT * FROM query('COPY data TO ''/tmp/x''')", "single SELECT"),
    ("SELECT * FROM enable_logging(storage='file')", "locked"),
    ("SELECT * FROM files", "does not exist"),
    ("SELECT * FROM connection", "does not exist"),
    ("COPY data TO '{scratch}/x.csv'", "found COPY"),
    ("COPY (SELECT 1) TO '{own}' (FORMAT parquet, USE_TMP_FILE false)", "found COPY"),
    ("COPY data TO 'shard://0-0.parquet' (FORMAT parquet, USE_TMP_FILE false)", "found COPY"),
    ("EXPLAIN ANALYZE COPY data TO '{scratch}/x.csv'", "found EXPLAIN"),
    ("ATTACH '{scratch}/x.db'", "found ATTACH"),
    ("EXPORT DATABASE '{scratch}'", "found EXPORT"),
    ("IMPORT DATABASE '{scratch}'", "found"),
    ("INSTALL httpfs", "found LOAD"),
    ("LOAD httpfs", "found LOAD"),
    ("SET enable_external_access=true", "found SET"),
    ("RESET lock_configuration", "found SET"),
    ("PRAGMA threads=8", "found SET"),
    ("PRAGMA database_list", "found PRAGMA"),
    ("CALL pragma_version()", "found CALL"),
    ("CREATE TABLE t AS SELECT 1", "found CREATE"),
    ("DROP VIEW data", "found DROP"),
    ("PREPARE p AS SELECT 1", "found PREPARE"),
    ("SELECT 1; COPY data TO '{scratch}/x.csv'", "found SELECT, COPY"),
    ("", "found nothing"),
    ("SELECT * FROM data WHERE txt = 1", 'Candidate bindings: "text"'),
    ("SELEC 1", 'syntax error at or near "SELEC"'),
]


@pytest.mark.parametrize(("query", "says"), ESCAPES)
def test_nothing_but_the_dataset_can_be_reached(
    store: Store, root: Path, made: dict[str, Snapshot], tmp_path: Path, query: str, says: str
) -> None:
    own, other = (next((root / made[stage].folder).glob("*.parquet")) for stage in ("url", "c4"))
    before = contents(root)
    with pytest.raises(Problem) as refused:
        run(store, made["url"], query.format(own=own, other=other, scratch=tmp_path))
    text = str(refused.value)
    assert says in text
    assert "\n" not in text
    assert "root:" not in text
    assert contents(root) == before
    assert contents(tmp_path) == {}


def test_settings_are_locked_and_say_nothing_of_the_machine(store: Store, root: Path, made: dict[str, Snapshot]) -> None:
    rows = run(store, made["url"], "SELECT name, value FROM duckdb_settings()").rows
    settings = dict(rows)
    assert settings["enable_external_access"] == "false"
    assert settings["lock_configuration"] == "true"
    assert settings["autoload_known_extensions"] == "false"
    assert not [value for value in settings.values() if value and (str(root) in value or str(Path.home()) in value)]
    [[view]] = run(store, made["url"], "SELECT sql FROM duckdb_views() WHERE view_name = 'data'").rows
    assert str(root) not in view
    assert "shard://" in view


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(i) FROM range(2_000_000_000) t(i)",
        "SELECT count(*) FROM (SELECT DISTINCT i FROM range(400_000_000) t(i))",
        "SELECT repeat('x', 1_900_000_000)",
        "SELECT * FROM range(1_000_000_000) a, range(1_000_000_000) b",
    ],
)
def test_memory_is_bounded(store: Store, made: dict[str, Snapshot], query: str) -> None:
    with pytest.raises(Problem, match=r"more memory than it may have|want of memory"):
        run(store, made["url"], query)


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM range(1_000_000) a(i), range(1_000_000) b(j) WHERE i * j = 7",
    ],
)
def test_time_is_bounded_and_the_process_is_gone(store: Store, made: dict[str, Snapshot], query: str) -> None:
    begun = time.monotonic()
    with pytest.raises(Problem, match=r"stopped after 1.5 s|more memory"):
        run(store, made["url"], query, seconds=1.5)
    assert time.monotonic() - begun < 5
    own = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=False).stdout
    assert "sandbox.py" not in own


def test_only_so_many_queries_run_at_once(store: Store, made: dict[str, Snapshot]) -> None:
    for _ in range(sql.AT_ONCE):
        assert sql._free.acquire(blocking=False)
    try:
        with pytest.raises(Problem, match="ask again"):
            run(store, made["url"], "SELECT 1")
    finally:
        sql._free.release(sql.AT_ONCE)
    assert run(store, made["url"], "SELECT 1").rows == [[1]]


def test_a_long_query_and_a_missing_or_altered_shard_are_named(root: Path, tmp_path: Path, made: dict[str, Snapshot]) -> None:
    shutil.copytree(root, tmp_path / "store")
    store = Store(str(tmp_path / "store"))
    with pytest.raises(Problem, match="20,000 are the most"):
        run(store, made["url"], "SELECT 1 " + " " * 20_000)
    shard = tmp_path / "store" / made["url"].folder / made["url"].files[0].name
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(Problem, match="its snapshot says"):
        run(store, made["url"], "SELECT 1")
    shard.unlink()
    with pytest.raises(Problem, match="is gone"):
        run(store, made["url"], "SELECT 1")


def test_a_remote_dataset_is_copied_for_the_query(root: Path, made: dict[str, Snapshot], monkeypatch: pytest.MonkeyPatch) -> None:
    fs = fsspec.filesystem("memory")
    fs.put(str(root), "/sql", recursive=True)
    store = Store("memory://sql")
    assert run(store, made["url"], "SELECT count(*) FROM data").rows == [[5000]]
    monkeypatch.setattr(sql, "MOST_FETCHED", 1_000)
    with pytest.raises(Problem, match="a local copy of the store"):
        run(store, made["url"], "SELECT count(*) FROM data")
    fs.rm("/sql", recursive=True)


def page(browser: TestClient, snapshot: Snapshot, query: str, **more: str) -> tuple[int, str]:
    answer = browser.get(f"/{snapshot.reference}/sql?" + urlencode({"q": query} | more))
    return answer.status_code, answer.text


def test_the_page_shows_the_answer_and_every_example_works(browser: TestClient, made: dict[str, Snapshot]) -> None:
    html = browser.get(f"/{made['url'].reference}/sql").text
    found = re.findall(r'class="chip" href="([^"]+)"', html)
    assert len(found) == 6
    for link in found:
        answer = browser.get(link.replace("&amp;", "&"))
        assert answer.status_code == 200
        assert 'class="rows answer"' in answer.text
    assert "too_short" in browser.get(found[1]).text


def test_the_answer_for_programs(browser: TestClient, made: dict[str, Snapshot]) -> None:
    asked = "SELECT id, score, id FROM data ORDER BY score DESC NULLS LAST LIMIT 2"
    status, text = page(browser, made["url"], asked, format="json")
    assert status == 200
    assert '"rows":[["doc-4999",4.999,"doc-4999"],["doc-4998",4.998,"doc-4998"]]' in text
    rows = list(csv.reader(io.StringIO(page(browser, made["url"], asked, format="csv")[1])))
    assert rows[1] == ["doc-4999", "4.999", "doc-4999"]
    assert len(set(rows[0])) == 3
    assert page(browser, made["url"], "SELEC", format="csv")[0] == 400
    assert page(browser, made["url"], "SELECT 1", format="xml")[0] == 400


def test_queries_and_answers_are_shown_as_text(browser: TestClient, made: dict[str, Snapshot]) -> None:
    status, html = page(browser, made["c4"], "SELECT * FROM data")
    assert status == 200
    assert "<script>fetch" not in html
    assert "‹U+202E›" in html
    for text in HOSTILE_TEXTS:
        for query in (text, f"""SELECT 1 AS "{text.replace('"', '""')}" """, "SELECT '{}'".format(text.replace("'", "''"))):
            html = page(browser, made["c4"], query)[1]
            assert "<script>fetch" not in html
            assert "<img src=x" not in html
            assert "<svg onload" not in html
            assert "\u202e" not in html
            assert html.count("</textarea>") == 1


def test_a_refusal_keeps_the_query_in_the_box(browser: TestClient, made: dict[str, Snapshot]) -> None:
    status, html = page(browser, made["url"], "SELECT * FROM read_text('/etc/passwd')")
    assert status == 400
    assert "no file, network or extension" in html
    assert "read_text(&#39;/etc/passwd&#39;)</textarea>" in html


def test_an_artifact_without_tables_has_no_box(tmp_path: Path, made: dict[str, Snapshot]) -> None:
    files = [file for file in made["report"].files if file.rows is None]
    snapshot = Snapshot.of("model", "0123456789ab", files)
    snapshot.seal(Store(str(tmp_path)))
    browser = client(str(tmp_path))
    assert ">SQL</a>" not in browser.get(f"/{snapshot.reference}/files").text
    with pytest.raises(Problem, match="holds no Parquet"):
        run(Store(str(tmp_path)), snapshot, "SELECT 1")
