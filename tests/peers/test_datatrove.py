"""Page by page: datatrove 0.10.1 in the order of its examples/fineweb.py, and our stages in the profile `datatrove-0.10`.

Known differences, each made equal here and told in flows/profiles.py: trafilatura's memory of earlier pages is emptied for each page, both
replace addresses by one word, and the library is given the language model and the list of suffixes that it would download.
"""

import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.pipeline.formatters.pii import PIIFormatter
from datatrove.pipeline.readers import WarcReader
from datatrove.utils.hashing import HashConfig
from fasttext.FastText import _FastText
from tldextract import TLDExtract
from trafilatura import deduplication

from flows.corpus import CorpusSettings
from flows.profiles import PROFILES, Profile, effective
from stages.corpus.blocklists import ARCHIVE, BLOCKLISTS, WORDS, BlocklistsConfig, list_files
from stages.corpus.c4 import C4
from stages.corpus.clusters import band_keys, components
from stages.corpus.extract import EXTRACT
from stages.corpus.fineweb import FINEWEB
from stages.corpus.gopher_quality import GOPHER_QUALITY
from stages.corpus.gopher_repetition import GOPHER_REPETITION
from stages.corpus.language import LANGUAGE, default_model
from stages.corpus.minhash import SIGNATURES
from stages.corpus.pii import PII
from stages.corpus.records import RECORDS
from stages.corpus.sources import SOURCE_COLUMNS, digest, discover, source_row
from stages.corpus.url import URL
from stages.extraction.model import SHIPPED
from stages.simulation.crawl import plan
from stages.simulation.warc import Response, write_warc
from stages.simulation.world import build
from stages.stage import Input
from tests.stages.corpus.test_gopher_quality import LIBRARY_REASONS

End = tuple[str, str | None]
"""Where a page's way ended, with the reason; or "kept" and its text."""

STEPS = (URL, EXTRACT, LANGUAGE, GOPHER_REPETITION, GOPHER_QUALITY, C4, FINEWEB)
REASONS = {
    **LIBRARY_REASONS,
    **{f"duplicated_{n}_n_grams": f"dup_{n}_gram" for n in range(5, 11)},
}
DOMAIN, ADDRESS = "bad.example", "listed.example/page"
UNSAID = {"read": "read", "extract": "extract", "language": "language"}  # steps for which the library gives no reason

PROSE = [
    "The lighthouse that stands beside the harbour was built by fishermen, and it still shows them the way home at night.",
    "Every spring somebody climbs up with a bucket of white paint, which takes about a week if the wind is kind.",
    "In bad years the storms have broken windows, torn off shutters and once carried away the keeper's only bench.",
    "Visitors may go to the top on Sundays, provided that they leave their dogs with Anna, who sells tea below.",
    "From there you see three islands, two ferries and, when the air is clear, the snow of the northern hills.",
    "Nobody lives in it today; a small computer in the town hall turns the lamp on and off without any fuss.",
]
ADDRESSES = (
    "Release v8.8.4.4 and 8.8.4.4.1 answer at 8.8.4.4, 10.0.0.1 does not; write to jane@site.org or to 1234.5.6.7 by hand."
)
GERMAN = [
    "Der alte Leuchtturm am Hafen wurde von Fischern gebaut und zeigt ihnen bis heute nachts den Weg nach Hause.",
    "Jedes Frühjahr steigt jemand mit einem Eimer weißer Farbe hinauf, was bei gutem Wind ungefähr eine Woche dauert.",
    "Von oben sieht man drei Inseln, zwei Fähren und bei klarer Luft sogar den Schnee der Berge im Norden.",
    "Niemand wohnt heute darin; ein kleiner Rechner im Rathaus schaltet die Lampe ein und wieder aus.",
]


def html(lines: Sequence[str], head: str = "") -> str:
    paragraphs = "".join(f"<p>{line}</p>\n" for line in lines)
    return f"<!DOCTYPE html><html><head><title>Harbour</title>{head}</head><body><article>{paragraphs}</article></body></html>"


def odd_pages() -> Iterator[Response]:
    """Pages on which the library and our own profile part."""
    prose = html(PROSE).encode()
    yield Response("https://harbour.example/gone", prose, status=404)
    yield Response("https://harbour.example/german", html(GERMAN).encode())
    yield Response("https://harbour.example/addresses", html([*PROSE, ADDRESSES]).encode())
    yield Response("https://harbour.example/said", html([line[:-1] + '."' for line in PROSE]).encode())
    yield Response("https://harbour.example/wrong-charset", html([*PROSE, "A café, déjà vu."]).encode("cp1252"), charset="utf-8")
    yield Response("https://harbour.example/no-charset", html([*PROSE, "Straße, Übung, Ärger"]).encode("cp1252"), charset=None)
    yield Response("https://harbour.example/mark-of-utf-16", b"\xff\xfe" + prose, charset=None)
    yield Response("https://harbour.example/bytes", bytes(range(128, 256)) * 40 + prose, charset=None)
    yield Response("https://harbour.example/commas", html([line.replace(" ", ", ") for line in PROSE]).encode())
    listed = "".join(f"<li>{line}</li>" for line in PROSE)
    yield Response("https://harbour.example/list", html([*PROSE[:2], f"</p><ul>{listed}</ul><p>"]).encode())
    words = " ".join(PROSE).replace(".", "").split()
    headed = [f"</p><h2>What line {n} says</h2><p>{line}" for n, line in enumerate(PROSE)]
    yield Response("https://harbour.example/headings", html(headed).encode())
    yield Response("https://harbour.example/marked", html([*PROSE, "# Harbour"]).encode())
    yield Response(
        "https://harbour.example/hashes", html([f"# {' '.join(words[at : at + 4])}." for at in range(0, len(words), 4)]).encode()
    )
    yield Response("https://harbour.example/nothing", b"<html><body></body></html>")
    yield Response("https://www.BAD.example/page", prose)
    yield Response("https://sub.bad.example/page", prose)
    yield Response("https://listed.example/page", prose)
    yield from (
        Response(f"https://harbour.example/{word}", prose) for word in ("PORN", "porn", "Xxx_Sex", "xxx_sex", "pornography")
    )


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    pages = [made.response for made in plan(build(5), 5, 300)]
    write_warc(folder / "crawl.warc.gz", "peers", [*pages, *odd_pages()], 0)
    return folder


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """The installed word lists beside one domain and one URL."""
    source, out = tmp_path_factory.mktemp("lists"), tmp_path_factory.mktemp("blocklists")
    with tarfile.open(source / ARCHIVE, "w:gz") as archive:
        for name, entry in (("domains", DOMAIN), ("urls", ADDRESS)):
            member = tarfile.TarInfo(name)
            member.size = len(entry)
            archive.addfile(member, io.BytesIO(entry.encode()))
    for file in list_files():
        if file.suffix == ".txt":
            shutil.copy(file, source)
    BLOCKLISTS.run({"lists": Input(source, (ARCHIVE, *WORDS.values()))}, out, BlocklistsConfig())
    return Input(out, ("domains.npy", "urls.npy", "words.json"))


def url_filter() -> URLFilter:
    words = {path.name: path.read_text(encoding="utf-8").splitlines() for path in list_files() if path.suffix == ".txt"}
    made = URLFilter(
        extra_domains=[DOMAIN],
        extra_urls=[ADDRESS],
        banned_words=words[WORDS["hard"]],
        soft_banned_words=words[WORDS["soft"]],
        banned_subwords=words[WORDS["sub"]],
        use_integrated_lists=False,
    )
    made.tldextractor = TLDExtract(suffix_list_urls=())
    return made


def by_datatrove(crawl: Path, urls: URLFilter) -> dict[str, End]:
    """Page id -> where the library ends it. Pages that its reader passes over are missing."""
    language = LanguageFilter()
    language.model._model = _FastText(str(default_model()))
    filters = {
        "gopher_repetition": GopherRepetitionFilter(),
        "gopher_quality": GopherQualityFilter(),
        "c4": C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb": FineWebQualityFilter(),
    }
    extractor = Trafilatura(favour_precision=True)

    def way(document: Document) -> End:
        if (verdict := urls.filter(document)) is not True:
            return "url", verdict[1]
        deduplication.LRU_TEST = deduplication.LRUCache(maxsize=deduplication.LRU_SIZE)
        document.text = extractor.extract(document.text) or ""
        if not document.text:
            return "extract", "extract"
        if not language.filter(document):
            return "language", "language"
        for step, one in filters.items():
            if (verdict := one.filter(document)) is not True:
                return step, REASONS.get(verdict[1], verdict[1])
        return "kept", document.text

    return {document.id: way(document) for document in WarcReader(str(crawl), glob_pattern="*.warc.gz").run()}


def by_winnow(crawl: Path, lists: Input, profile: Profile) -> dict[str, End]:
    """Page id -> where our stages end it in this profile."""
    settings = effective(CorpusSettings(sources=[str(crawl)]), profile)
    ends: dict[str, End] = {}
    for source in discover([str(crawl)]):
        name = digest(source)
        sides = {"crawl": {name[:16]: source.url}, "lists": lists}
        docs = RECORDS.run(source_row(source, name), settings.records, sides)
        before = RECORDS.lasting(SOURCE_COLUMNS)
        for stage in STEPS:
            sides["model"] = SHIPPED if stage is EXTRACT else default_model()
            docs = stage.run(docs.filter(pl.col("reason").is_null()).select(list(before)), getattr(settings, stage.name), sides)
            before = stage.lasting(before)
            dropped = docs.filter(pl.col("reason").is_not_null())
            for page, reason in dropped.select("id", "reason").rows():
                step = "read" if reason == "extract_error:undecodable" else stage.name
                ends[page] = step, UNSAID.get(step, reason)
        ends |= {page: ("kept", text) for page, text in docs.filter(pl.col("reason").is_null()).select("id", "text").rows()}
    return {page: end for page, end in ends.items() if end[0] != "read"}


def differences(theirs: dict[str, End], ours: dict[str, End]) -> dict[str, tuple[End | None, End | None]]:
    return {page: (theirs.get(page), ours.get(page)) for page in theirs | ours if theirs.get(page) != ours.get(page)}


@pytest.fixture(scope="module")
def theirs(crawl: Path) -> dict[str, End]:
    return by_datatrove(crawl, url_filter())


def test_every_page_ends_where_the_library_ends_it_and_with_its_text(crawl: Path, lists: Input, theirs: dict[str, End]) -> None:
    assert differences(theirs, by_winnow(crawl, lists, "datatrove-0.10")) == {}
    assert {step for step, _ in theirs.values()} == {stage.name for stage in STEPS} | {"kept"}
    assert len({reason for step, reason in theirs.values() if step != "kept"}) >= 15


def test_each_setting_of_the_profile_makes_a_difference(tmp_path: Path, lists: Input, monkeypatch: pytest.MonkeyPatch) -> None:
    write_warc(tmp_path / "odd.warc.gz", "peers", list(odd_pages()), 0)
    theirs = by_datatrove(tmp_path, url_filter())
    library = PROFILES["datatrove-0.10"]
    elsewhere = {"signatures", "pii", "equal_breaks"}  # the tests below, and tests/stages/corpus/test_fineweb.py
    for section, field in [(section, field) for section, values in library.items() for field in values]:
        if elsewhere.isdisjoint((section, field)):
            less = {name: dict(values) for name, values in library.items()}
            del less[section][field]
            monkeypatch.setitem(PROFILES, "datatrove-0.10", less)
            assert differences(theirs, by_winnow(tmp_path, lists, "datatrove-0.10")), f"{section}.{field} changes nothing"


def test_addresses_are_replaced_where_the_library_replaces_them(theirs: dict[str, End]) -> None:
    settings = effective(CorpusSettings(sources=["-"]), "datatrove-0.10").pii
    marked = settings.model_copy(update={"email_replacements": ("MAIL",), "ip_replacements": ("IP",)})
    texts = [text for step, text in theirs.values() if step == "kept"]
    formatter = PIIFormatter(email_replacement="MAIL", ip_replacement="IP")
    expected = [formatter.format(text or "") for text in texts]
    assert PII.run(pl.DataFrame({"text": texts}), marked, {})["text"].to_list() == expected
    assert any("vIP and IP.1 answer at IP" in text for text in expected)


def test_clusters_are_those_of_the_library(theirs: dict[str, End], tmp_path: Path) -> None:
    kept = {page: text or "" for page, (step, text) in theirs.items() if step == "kept"}
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(hash_fc="sha1", precision=64))
    folders = [str(tmp_path / name) for name in ("signatures", "buckets", "clusters")]
    MinhashDedupSignature(folders[0], config).run([Document(text=text, id=page) for page, text in kept.items()])
    for bucket in range(14):
        MinhashDedupBuckets(folders[0], folders[1], config=config).run(rank=bucket, world_size=14)
    MinhashDedupCluster(folders[1], folders[2], config=config, save_cluster_id=True).run()
    expected: dict[int, set[int]] = {}
    for row, cluster in np.fromfile(f"{folders[2]}/000000.clusters", "<u4").reshape(-1, 2).tolist():
        expected.setdefault(cluster, set()).add(row)

    settings = effective(CorpusSettings(sources=["-"]), "datatrove-0.10")
    docs = pl.DataFrame({"id": list(kept), "text": list(kept.values())})
    signatures = SIGNATURES.run(docs, settings.signatures, {})["signature"]
    found: dict[int, set[int]] = {}
    for row, first in enumerate(components(band_keys(signatures, settings.clusters)).tolist()):
        found.setdefault(first, set()).add(row)
    assert {frozenset(rows) for rows in found.values() if len(rows) > 1} == {frozenset(rows) for rows in expected.values()}
    assert len(expected) >= 3
