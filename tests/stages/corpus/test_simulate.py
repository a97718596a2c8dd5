import hashlib
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.archiveiterator import ArchiveIterator as Reader

from stages.corpus.simulate import SIMULATE, SimulateConfig
from stages.simulation.truth import TRUTH

PAGES = 400
SCRIPT = """
import hashlib, sys, pathlib
from stages.corpus.simulate import SIMULATE, SimulateConfig
out = pathlib.Path(sys.argv[1])
SIMULATE.run({}, out, SimulateConfig(seed=4, pages=60, files=2))
print(hashlib.sha256(b"".join(path.read_bytes() for path in sorted(out.iterdir()))).hexdigest())
"""


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crawl")
    SIMULATE.run({}, out, SimulateConfig(pages=PAGES, files=3))
    return out


@pytest.fixture(scope="module")
def truth(crawl: Path) -> pl.DataFrame:
    return pl.read_parquet(crawl / "truth.parquet")


def test_the_bytes_depend_on_the_settings_alone(tmp_path: Path) -> None:
    digests = []
    for hash_seed in ("1", "2"):
        out = tmp_path / hash_seed
        out.mkdir()
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(out)], env=environment, capture_output=True, text=True, check=True
        )
        digests.append(done.stdout)
    assert digests[0] == digests[1]
    other = tmp_path / "other"
    other.mkdir()
    SIMULATE.run({}, other, SimulateConfig(seed=5, pages=60, files=2))
    assert hashlib.sha256(b"".join(path.read_bytes() for path in sorted(other.iterdir()))).hexdigest() != digests[0].strip()


def test_the_files_are_sound_warc_and_every_response_has_its_row(crawl: Path, truth: pl.DataFrame) -> None:
    found, types = [], []
    for path in sorted(crawl.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in Reader(stream, check_digests="raise"):
                record.content_stream().read()
                types.append(record.rec_type)
        with path.open("rb") as stream:
            found += [
                (record.headers["WARC-Record-ID"], record.headers["WARC-Target-URI"])
                for record in ArchiveIterator(stream, record_types=WarcRecordType.response)
            ]
    assert sorted(found) == sorted(truth.select("id", "url").rows())
    assert types[:5] == ["warcinfo", "request", "response", "request", "response"]
    assert (types.count("warcinfo"), types.count("request"), types.count("response")) == (3, PAGES, PAGES)


def test_the_truth_has_its_schema_and_every_stage_its_pages(truth: pl.DataFrame) -> None:
    assert dict(truth.schema) == TRUTH
    assert truth["id"].is_unique().all()
    assert truth["url"].is_unique().all()
    meant = dict(truth.group_by("drop").len().iter_rows())
    stages = {"records", "url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup", None}
    assert set(meant) == stages
    assert 0.55 < meant[None] / PAGES < 0.65
    assert (truth["drop"].is_null() == truth["rule"].is_null()).all()


def test_the_facts_are_told_but_not_in_the_withheld_words(crawl: Path, truth: pl.DataFrame) -> None:
    facts = pl.read_parquet(crawl / "facts.parquet")
    told = "\n".join(truth["text"].drop_nulls())
    stated = {
        withheld: sum(sentence in told for sentence in group["sentence"]) for (withheld,), group in facts.group_by("withheld")
    }
    assert stated[True] == 0
    assert stated[False] > 50
    people = facts.filter(pl.col("kind") == "person")["subject"].unique()
    assert all(told.count(name) >= 2 for name in people)


def test_personal_data_and_decoys_stand_in_the_text_that_names_them(truth: pl.DataFrame) -> None:
    planted = [
        (text, item)
        for text, *lists in truth.select("text", "emails", "ips", "decoys").iter_rows()
        for items in lists
        for item in items
    ]
    assert len(planted) > 20
    assert all(item in text for text, item in planted)
    assert truth.filter(pl.col("emails").list.len() > 0)["drop"].is_in(["dedup", None], nulls_equal=True).all()


def test_copies_share_most_of_their_words_and_other_pages_do_not(truth: pl.DataFrame) -> None:
    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}

    clusters = (
        truth.filter(pl.col("cluster").is_not_null() & (pl.col("rule").fill_null("") != "shortened"))
        .group_by("cluster", maintain_order=True)
        .agg("text", "drop")
    )
    assert clusters.height >= 5
    for texts, drops in clusters.select("text", "drop").iter_rows():
        first, *rest = [shingles(text) for text in texts]
        assert all(len(first & other) / len(first | other) > 0.7 for other in rest)
        assert drops.count(None) == 1
    good = [shingles(text) for text in truth.filter(pl.col("drop").is_null())["text"].head(80)]
    alike = [len(a & b) / len(a | b) for i, a in enumerate(good) for b in good[:i]]
    assert max(alike) < 0.7
    assert sum(value > 0.25 for value in alike) < 10


def test_only_banned_addresses_are_banned(truth: pl.DataFrame) -> None:
    assert truth.filter(pl.col("kind") == "banned")["drop"].unique().to_list() == ["url"]
    hosts = {url.split("/")[2] for url in truth.filter(pl.col("kind") != "banned")["url"]}
    assert all(host.endswith(".example") for host in hosts)
