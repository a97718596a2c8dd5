"""The corpus flow as a person runs it: again, with more files, with another threshold, killed, on a full disk, on S3, on Ray."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from storage.artifact import resolve
from storage.store import Store
from tests.flows.conftest import Artifacts, CorpusRun, Winnow
from tests.flows.toy import files_of, times_of

Command = Callable[[str, str], list[str]]
FILTERS = ["records", "url", "extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup"]
STAGES = ["sources", "blocklists", *FILTERS[:-1], "signatures", "clusters", "dedup", "pii", "corpus"]
COLUMNS = {
    "text": pl.String,
    "id": pl.String,
    "dump": pl.String,
    "url": pl.String,
    "date": pl.String,
    "file_path": pl.String,
    "language": pl.String,
    "language_score": pl.Float64,
    "token_count": pl.Int64,
}


def rows(store: Path) -> pl.DataFrame:
    one = resolve(Store(str(store)), "corpus")
    return pl.concat([pl.read_parquet(store / one.folder / file.name) for file in one.shards])


def test_the_corpus_has_the_fineweb_schema_and_clean_pages(corpus_store: Path) -> None:
    frame = rows(corpus_store)
    assert dict(list(frame.schema.items())[:9]) == COLUMNS
    assert frame.height > 30
    assert frame["id"].n_unique() == frame.height
    assert set(frame["language"]) == {"en"}
    assert frame["language_score"].min() >= 0.65  # type: ignore[operator]
    assert frame["text"].str.len_chars().min() > 200  # type: ignore[operator]
    assert frame["token_count"].null_count() == frame.height


def test_every_filter_says_why_with_value_and_threshold(corpus_store: Path) -> None:
    store = Store(str(corpus_store))
    for stage in (name for name in FILTERS if name != "extract"):
        one = resolve(store, stage)
        frame = pl.concat([pl.read_parquet(corpus_store / one.folder / file.name) for file in one.shards])
        assert one.reasons, f"{stage} dropped nothing of a web that is made to be dropped"
        dropped = frame.filter(pl.col("reason").is_not_null())
        assert one.reasons == dict(dropped["reason"].value_counts().iter_rows())
        measured = dropped.filter(pl.col("reason_threshold").is_not_null())
        assert measured["reason_value"].null_count() == 0


def test_a_second_run_is_cached_and_rewrites_nothing(crawl: Path, corpus_store: Path, corpus_run: CorpusRun) -> None:
    before = times_of(Store(str(corpus_store)))
    again = corpus_run(f"{crawl}/*.warc.gz", str(corpus_store))
    assert list(again) == STAGES
    assert all(one["cached"] for one in again.values())
    assert times_of(Store(str(corpus_store))) == before


def test_prefect_shows_a_task_for_each_stage_and_the_funnel(
    winnow: Winnow, crawl: Path, corpus_store: Path, corpus_run: CorpusRun
) -> None:
    def ask(what: str, **body: object) -> list[dict[str, str]]:
        address = f"{winnow_environment(winnow)['PREFECT_API_URL']}/{what}/filter"
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            found: list[dict[str, str]] = json.load(answer)
            return found

    corpus_run(f"{crawl}/*.warc.gz", str(corpus_store))
    last = ask("flow_runs", sort="START_TIME_DESC", limit=1)[0]
    mine = {"id": {"any_": [last["id"]]}}
    assert last["state_name"] == "Completed"
    tasks = ask("task_runs", flow_runs=mine)
    assert {task["name"]: task["state_name"] for task in tasks} == dict.fromkeys(STAGES, "Cached")
    artifacts = {artifact["key"]: artifact["data"] for artifact in ask("artifacts", flow_runs=mine)}
    assert "```mermaid" in artifacts["funnel"]
    assert [row["stage"] for row in json.loads(artifacts["funnel-table"])] == [*FILTERS, "corpus"]


def test_a_grown_crawl_computes_its_own_shards_and_changed_duplicates(
    crawl: Path, corpus_store: Path, tmp_path: Path, corpus_run: CorpusRun
) -> None:
    part = tmp_path / "crawl"
    part.mkdir()
    first, *rest = sorted(crawl.glob("*.warc.gz"))
    for file in rest:
        shutil.copy2(file, part)
    corpus_run(f"{part}/*.warc.gz", str(tmp_path / "store"))
    store = Store(str(tmp_path / "store"))
    before = times_of(store)
    shutil.copy2(first, part)  # sorts before the others: it takes over clusters whose kept page lay elsewhere
    corpus_run(f"{part}/*.warc.gz", str(tmp_path / "store"))
    after = times_of(store)
    assert {path: after[path] for path in before} == before, "a shard was written again"
    made = pl.DataFrame({"stage": [path.partition("/")[0] for path in after if path not in before]})["stage"].value_counts()
    new = dict(made.iter_rows())
    for stage in (*FILTERS[:-1], "signatures"):
        assert new[stage] == 1, stage
    changed = [name for name in _removed(store, -1) if _removed(store, -1)[name] != _removed(store, -2).get(name)]
    assert new["dedup"] == new["pii"] == new["corpus"] == len(changed) >= 1
    assert rows(tmp_path / "store").equals(rows(corpus_store))


def _removed(store: Store, index: int) -> dict[str, str]:
    """Name -> digest of the files of the last (-1) or last but one (-2) clusters."""
    folders = sorted(Path(store.root).glob("clusters/*"), key=lambda folder: folder.stat().st_ctime)
    [snapshot] = folders[index].glob("snapshots/*.json")
    return {file["name"]: file["digest"] for file in json.loads(snapshot.read_text())["files"]}


def test_a_threshold_reruns_only_the_stages_behind_it(
    crawl: Path, corpus_store: Path, tmp_path: Path, corpus_run: CorpusRun
) -> None:
    shutil.copytree(corpus_store, tmp_path / "store")
    changed = corpus_run(f"{crawl}/*.warc.gz", str(tmp_path / "store"), "--set", "c4.min_sentences=8")
    assert [name for name, one in changed.items() if one["cached"]] == STAGES[: STAGES.index("c4")]


def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    crawl: Path, corpus_store: Path, tmp_path: Path, environment: dict[str, str], corpus_run: CorpusRun, corpus_command: Command
) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "flows", *corpus_command(f"{crawl}/*.warc.gz", str(store))]
    chance = random.Random(20261121)
    killed = 0
    for _ in range(6):
        # Its own session, so that the whole tree of processes can be killed at one blow.
        process = subprocess.Popen(
            command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not list(store.glob("runs/*.json")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        seen = len(list(store.rglob("*.parquet")))
        wanted = seen + chance.randint(0, 12)  # kill at some shard, not at some second: machines differ
        while len(list(store.rglob("*.parquet"))) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 3
    corpus_run(f"{crawl}/*.warc.gz", str(store))
    for left in store.rglob(".partial-*"):
        left.unlink()  # what a killed writer leaves is no part of any dataset; whole stages' folders may hold some
    assert files_of(Store(str(store))) == files_of(Store(str(corpus_store)))


@pytest.mark.slow
def test_a_full_disk_gives_one_clear_error_and_a_store_that_goes_on(
    winnow: Winnow, crawl: Path, corpus_store: Path, tmp_path: Path, corpus_run: CorpusRun, corpus_command: Command
) -> None:
    """The largest file a process may write is bounded, which a writer sees just as it sees a full disk: an OSError at write."""
    limited = "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " + (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY)); sys.argv[0] = 'winnow'; "
        "runpy.run_module('flows', run_name='__main__')"
    )
    store = tmp_path / "store"
    arguments = corpus_command(f"{crawl}/*.warc.gz", str(store))
    failed = subprocess.run(
        [sys.executable, "-c", limited, *arguments], env=winnow_environment(winnow), capture_output=True, text=True
    )
    assert failed.returncode == 2, failed.stderr
    assert "check space" in failed.stderr
    assert "Traceback" not in failed.stderr
    corpus_run(f"{crawl}/*.warc.gz", str(store))
    assert files_of(Store(str(store))) == files_of(Store(str(corpus_store)))


def winnow_environment(winnow: Winnow) -> dict[str, str]:
    environment: dict[str, str] = winnow.environment  # type: ignore[attr-defined]
    return environment


def test_what_is_wrong_is_said_in_one_error(winnow: Winnow, crawl: Path, tmp_path: Path, corpus_command: Command) -> None:
    for sources, store, message in (
        (crawl / "no", tmp_path, "no/*.warc.gz"),
        (crawl, Path("/proc/nowhere"), "the store '/proc/nowhere' cannot be used"),
    ):
        failed = winnow(*corpus_command(f"{sources}/*.warc.gz", str(store)), code=2)
        assert message in failed.stderr
        assert "Traceback" not in failed.stderr


def test_a_wrong_column_mapping_names_the_columns_that_exist(winnow: Winnow, tmp_path: Path, corpus_command: Command) -> None:
    (tmp_path / "texts.jsonl").write_text('{"body": "words", "link": "http://a.example/"}\n')
    failed = winnow(*corpus_command(f"{tmp_path}/texts.jsonl", str(tmp_path / "store")), code=2)
    assert "body" in failed.stderr
    assert "text_column" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_show_why_lineage_and_verify_speak_of_the_run(winnow: Winnow, corpus_store: Path) -> None:
    store = ["--store", str(corpus_store)]
    assert "corpus/" in winnow("show", *store).stdout
    shown = winnow("show", "c4", "--reason", "curly_bracket", "--sample", "1", *store).stdout
    assert "reason_value" in shown
    sample = json.loads(winnow("show", "c4", "--where", "reason is not null", "--sample", "1", "--json", *store).stdout)
    assert sample["matching"] == sample["rows"] - sample["kept"] > 0
    dropped = sample["sample"][0]
    story = winnow("why", dropped["id"], *store).stdout
    assert f"dropped: {dropped['reason']}" in story
    assert "its way ends at c4" in story
    steps = json.loads(winnow("why", dropped["url"], "--json", *store).stdout)["steps"]
    assert [step["stage"] for step in steps] == [
        "records",
        "url",
        "extract",
        "language",
        "gopher_repetition",
        "gopher_quality",
        "c4",
    ]
    lineage = json.loads(winnow("lineage", "corpus", "--json", *store).stdout)["lineage"]
    assert {node["reference"].partition("/")[0] for node in lineage} == set(STAGES)
    assert "0 of them damaged" in winnow("verify", *store).stdout
    assert "0 files" in winnow("gc", *store).stdout
    assert "no artifact 'corpse'" in winnow("show", "corpse", *store, code=2).stderr


def test_verify_names_a_truncated_file_and_the_next_run_mends_it(
    winnow: Winnow, crawl: Path, corpus_store: Path, tmp_path: Path, corpus_run: CorpusRun
) -> None:
    shutil.copytree(corpus_store, tmp_path / "store")
    victim = next((tmp_path / "store").glob("c4/*/*.parquet"))
    victim.write_bytes(victim.read_bytes()[:1000])
    found = winnow("verify", "--store", str(tmp_path / "store"), code=1)
    assert f"truncated: {victim}" in found.stdout
    corpus_run(f"{crawl}/*.warc.gz", str(tmp_path / "store"))
    assert files_of(Store(str(tmp_path / "store"))) == files_of(Store(str(corpus_store)))


def test_doctor_finds_this_machine_ready(winnow: Winnow, tmp_path: Path) -> None:
    checks = json.loads(winnow("doctor", "--store", str(tmp_path), "--json").stdout)["checks"]
    assert {check["name"]: check["state"] for check in checks}["store"] == "ok"
    assert not [check for check in checks if check["state"] == "bad"]


def test_a_store_and_a_crawl_on_s3_give_the_same_bytes(
    winnow: Winnow, crawl: Path, corpus_store: Path, bucket: dict[str, str], corpus_run: CorpusRun
) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=bucket["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="winnow")
    for file in crawl.glob("*.warc.gz"):
        client.upload_file(str(file), "winnow", f"crawl/{file.name}")

    def on_s3(sources: str) -> Artifacts:
        return corpus_run(sources, "s3://winnow/store", **bucket)

    made = on_s3(f"{crawl}/*.warc.gz")
    held = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="winnow", Prefix="store/"):
        for entry in page["Contents"]:
            name = entry["Key"].removeprefix("store/")
            if not name.startswith(("runs/", ".winnow/")):
                held[name] = client.get_object(Bucket="winnow", Key=entry["Key"])["Body"].read()
    assert held == files_of(Store(str(corpus_store)))
    assert not any(one["cached"] for one in made.values())
    assert all(one["cached"] for one in on_s3(f"{crawl}/*.warc.gz").values())
    # A crawl on S3 is named by ETag and not by content, so its shards have other names; the rows are the same.
    remote = on_s3("s3://winnow/crawl/*.warc.gz")
    assert remote["corpus"]["rows"] == made["corpus"]["rows"]
    assert "0 of them damaged" in winnow("verify", "corpus", "--store", "s3://winnow/store", **bucket).stdout
