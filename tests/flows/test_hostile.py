"""Pages that were made to hurt, and files that are broken, through the whole corpus flow: good pages never notice."""

import gzip
import os
import random
import signal
import zlib
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import polars as pl
import pytest

from flows.engines.local import LocalEngine
from flows.materialize import materialize
from stages.stage import REASON, Config, Stage
from storage.artifact import resolve
from storage.shards import read_shard
from storage.store import Store
from tests.flows import toy
from tests.flows.conftest import Winnow

Command = Callable[[str, str], list[str]]
SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "warc_samples"
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "that",
    "have",
    "with",
    "be",
    "house",
    "river",
    "stone",
    "morning",
    "winter",
    "letter",
    "garden",
    "teacher",
]
WORDS += [
    "window",
    "market",
    "forest",
    "bridge",
    "story",
    "answer",
    "paper",
    "quiet",
    "distant",
    "ancient",
    "carried",
    "opened",
    "walked",
    "found",
]


def prose(seed: int) -> str:
    """English enough for every filter, and like no other page."""
    dice = random.Random(seed)
    sentences = [
        " ".join(dice.choices(WORDS, k=dice.randint(8, 15))).capitalize() + f" {dice.randint(1, 10**6)}." for _ in range(24)
    ]
    return "".join(f"<p>{' '.join(sentences[at : at + 4])}</p>" for at in range(0, 24, 4))


def page(seed: int, more: str = "") -> bytes:
    html = f"<!doctype html><html><body><article>{prose(seed)}{more}</article></body></html>"
    return html.encode("utf-8", "surrogatepass")


def member(
    name: str, body: bytes, *, id: str | None = "", header: str = "", media: str = "text/html", length: int | None = None
) -> bytes:
    """One gzip member with one response. `id`: empty for one of its own, None for none; `length`: what the record claims."""
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{header}\r\n".encode() + body
    lines = ["WARC/1.0", "WARC-Type: response", f"WARC-Target-URI: http://{name}.example/", "WARC-Date: 2026-01-01T00:00:00Z"]
    lines += ["Content-Type: application/http; msgtype=response", f"Content-Length: {len(http) if length is None else length}"]
    lines += [] if id is None else [f"WARC-Record-ID: {id or f'<urn:{name}>'}"]
    return gzip.compress("\r\n".join([*lines, "", ""]).encode() + http + b"\r\n\r\n", 1, mtime=0)


def zeros(count: int) -> bytes:
    engine = zlib.compressobj(1, wbits=31)
    return b"".join(engine.compress(bytes(1 << 20)) for _ in range(count >> 20)) + engine.flush()


# Text that baits a regular expression or a tokenizer; each stands inside a good article, so that the extractor takes it for text.
BAIT = {
    "at": "a-a-a-@" * 6_000,
    "domain": "x@" + "a." * 30_000,
    "pounds": "£" * 200_000,
    "word": "a" * 1_000_000,
    "quotes": "a'" * 50_000,
    "stops": "." * 100_000,
    "addresses": "1.1.1." * 20_000,
    "links": "http://" * 20_000,
    "citations": "[edit" * 20_000,
    "spaces": "<pre>" + " \n\t" * 100_000 + "</pre>",
    "marks": "a" + "\u0301" * 100_000,
    "rtl": "\u202e\u2067\u200f" * 20_000,
    "nul": "a\0b" * 20_000,
    "surrogates": "\ud800\udfff&#xD800;" * 5_000,
    "entities": "&lt;&#x41;&#999999999;&bogus;" * 20_000,
    "nested": "<div>" * 100_000,
    "divs": "<div>" * 3_000,
    "fonts": "".join(f"<font size={n}>" for n in range(2_000)) + "</p><p>x" * 2_000,
    "tag": "<a " + "x" * 500_000,
    "angles": "<" * 300_000,
    "comments": "<!-- -" * 50_000,
}


def hostile() -> list[bytes]:
    good, bomb = page(2000), zeros(100 << 20)
    return [
        # So many attributes keep the parser in C for longer than the limit; first, so that its deaths cost no other page's time.
        member("killer", page(1999, "<p " + " ".join(f"a{n}" for n in range(90_000)) + ">")),
        *(member(name, page(1000 + number, text)) for number, (name, text) in enumerate(BAIT.items())),
        member("script", b"<html><script>" + b"var a = '<p>x</p>';" * 10_000),
        member("huge", b"<html>" + b"x " * (8 << 20)),
        member("wide", page(2001).decode().encode("utf-16-le")),
        member("gzipped", bomb, header="Content-Encoding: gzip\r\n"),
        member("twice", gzip.compress(bomb), header="Content-Encoding: gzip, gzip\r\n"),
        member("brotli", random.Random(1).randbytes(5_000), header="Content-Encoding: br\r\n"),
        member("chunks", b"5\r\nabcde\r\nFFFF\r\n" + good, header="Transfer-Encoding: chunked\r\n"),
        member("many", b"".join(b"1\r\n%c\r\n" % c for c in page(2002)), header="Transfer-Encoding: chunked\r\n"),
        member("charset", page(2003), media="text/html; charset=\udcff\0klingon".encode("utf-8", "replace").decode()),
        member("hex", page(2004), media="text/html; charset=hex"),
        member("far/" + "a" * 1_000_000, good),
        member("@" * 7_000, page(2005)),
        member("ü" * 3_000, page(2006)),
        member("again", page(2007), id="<urn:good0>"),
        member("nameless", page(2008), id=None),
        member("negative", good, length=-5),
        member("endless", good, length=10**30),
        member("long", good, length=10**6),
        member("short", good, length=120),
        b"\x1f\x8b\x08" + random.Random(2).randbytes(5_000),
        member("torn", good)[:-40],
    ]


def rows(store: Path, stage: str) -> pl.DataFrame:
    one = resolve(Store(str(store)), stage)
    return pl.concat([read_shard(Store(str(store)), one.folder, file) for file in one.shards])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["winnow", "resiliparse"])
def test_hostile_pages_become_rows_and_good_pages_never_notice(
    winnow: Winnow, tmp_path: Path, corpus_command: Command, method: str
) -> None:
    good = [member(f"good{n}", page(n)) for n in range(50)]
    bad = hostile()
    (tmp_path / "good").mkdir()
    (tmp_path / "crawl.warc.gz").write_bytes(b"".join(one + other for one, other in zip_longest(good, bad, fillvalue=b"")))
    (tmp_path / "good" / "crawl.warc.gz").write_bytes(b"".join(good))
    alone, among = tmp_path / "alone", tmp_path / "among"
    by = ["--set", f"extract.method={method}"]
    winnow(*corpus_command(f"{tmp_path}/good/crawl.warc.gz", str(alone)), *by)
    # The bound on attributes is lifted, or the parser would never see the killer.
    limits = ["--set", "extract.max_attributes=100000", "--set", "extract.cpu_seconds=1"]
    said = winnow(*corpus_command(f"{tmp_path}/crawl.warc.gz", str(among)), *by, *limits).stderr

    expected = rows(alone, "corpus").drop("minhash_cluster_size")
    assert expected.height == 50
    kept = rows(among, "corpus").drop("minhash_cluster_size")
    assert kept.filter(pl.col("url").str.contains("^http://good")).equals(expected)
    assert "cannot be read (" in said
    assert "in crawl.warc.gz" in said

    indexed, extracted = rows(among, "records"), rows(among, "extract")
    assert indexed["id"].n_unique() == indexed.height >= 50 + len(bad) - 1  # the torn one may have taken its neighbour along
    assert extracted.filter(pl.col("reason").is_null() != pl.col("text").is_not_null()).is_empty()
    reasons = dict(extracted.select("id", "reason").iter_rows())
    if method == "resiliparse":
        assert "extract: page <urn:killer>: cpu_limit" in said
        assert reasons["<urn:killer>"] == "extract_error:cpu_limit"
        assert reasons["<urn:nested>"] == "extract_error:too_deep"
    assert reasons["<urn:gzipped>"] == reasons["<urn:twice>"] == "extract_error:too_large"
    assert reasons["<urn:chunks>"] == "extract_error:bad_chunks"
    assert reasons["<urn:wide>"] is None
    assert not extracted["text"].str.contains("\0", literal=True).any()


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the upstream samples are not here: ../shared/data/warc_samples")
def test_every_sample_is_read_and_what_is_damaged_is_said_in_one_line(
    winnow: Winnow, tmp_path: Path, corpus_command: Command
) -> None:
    said = winnow(*corpus_command(str(SAMPLES), str(tmp_path))).stderr
    [line] = [line for line in said.splitlines() if "cannot be read" in line]
    assert "5 cannot be read (bad_header 2, truncated 2, content_length 1)" in line
    for name in ("clipped.warc.gz", "bad.arc", "example-space-in-url.arc", "example-trunc.warc"):
        assert name in line
    found = rows(tmp_path, "records")
    assert found.filter(pl.col("reason").is_null()).height == 90
    shown = winnow("show", "records", "--where", "reason like 'record_error:%'", "--store", str(tmp_path))
    assert "record_error:truncated" in shown.stdout


class DiaryConfig(Config):
    """Of DIARY."""

    path: str
    """Where it writes how many rows it was given, if it is about to die."""


def _diary(docs: pl.DataFrame, config: DiaryConfig, sides: object) -> pl.DataFrame:
    if 99 in docs["number"].to_list():
        with open(config.path, "a") as diary:
            diary.write(f"{docs.height}\n")
        os.kill(os.getpid(), signal.SIGXCPU)
    return docs.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in REASON.items())


DIARY = Stage("diary", 1, run=_diary, config=DiaryConfig, filters=True)


def test_a_page_that_kills_is_met_four_times_and_no_more(tmp_path: Path, engine: LocalEngine) -> None:
    """Each time may cost the whole limit on CPU time: twice with its shard, once with its piece, once alone."""
    made = toy.context(Store(str(tmp_path)), engine)
    docs = toy.numbers(made, {"a.warc": list(range(400))})
    done = materialize(made, DIARY, DiaryConfig(path=str(tmp_path / "diary.txt")), docs)
    assert (done.snapshot.rows, done.snapshot.reasons) == (400, {"diary_error:cpu_limit": 1})
    assert (tmp_path / "diary.txt").read_text().split() == ["400", "400", "20", "1"]
