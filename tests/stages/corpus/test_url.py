import io
import itertools
import random
import tarfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter
from tldextract import TLDExtract

from stages.corpus.blocklists import ARCHIVE, BLOCKLISTS, WORDS, BlocklistsConfig
from stages.corpus.url import URL, UrlConfig, _lists
from stages.stage import Input, Sides

DOMAINS = ["bad.com", "host.fine.com", "mid.fine.com", "blog.co.uk", "xn--bcher-kva.de", "1.2.3.4", "free.blogspot.com"]
URLS = ["fine.com/bad/page", "fine.com/Q?id=1", "https://full.com/page", "sub.fine.com", "www.old.com/x"]
HARD = ["vile", "worse"]
SOFT = ["meh", "soso", "dull"]
SUB = ["nas ty", "grim"]
WINNOW, LIBRARY = UrlConfig(), UrlConfig(profile="datatrove-0.10")


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    source, out = tmp_path_factory.mktemp("lists"), tmp_path_factory.mktemp("blocklists")
    with tarfile.open(source / ARCHIVE, "w:gz") as archive:
        for name, entries in (("domains", DOMAINS), ("urls", URLS)):
            text = "\n".join(entries).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    for name, words in (("hard", HARD), ("soft", SOFT), ("sub", SUB)):
        (source / WORDS[name]).write_text("\n".join(words))
    BLOCKLISTS.run({"lists": Input(source, (ARCHIVE, *WORDS.values()))}, out, BlocklistsConfig())
    return {"lists": Input(out, ("domains.npy", "urls.npy", "words.json"))}


def run(urls: list[str | None], config: UrlConfig, sides: Sides) -> pl.DataFrame:
    docs = pl.DataFrame({"id": [str(n) for n in range(len(urls))], "url": urls}, schema={"id": pl.String(), "url": pl.String()})
    found = URL.run(docs, config, sides)
    assert dict(found.schema) == URL.schema(docs.schema)
    assert found.select("id", "url").equals(docs)
    return found


TABLE = [
    # url, reason and detail of `winnow`, reason of `datatrove-0.10`
    ("http://fine.com/", None, None, None),
    ("http://bad.com/a", "domain", "bad.com", "domain"),
    ("http://www.bad.com:8080/a", "domain", "bad.com", "domain"),
    ("https://user:pass@bad.com", "domain", "bad.com", "domain"),
    ("http://BAD.com/", "domain", "bad.com", None),
    ("http://bad.com.", "domain", "bad.com", "domain"),
    ("//bad.com/x", "domain", "bad.com", "domain"),
    ("http://fine.com/bad.com", None, None, None),
    ("http://notbad.com/", None, None, None),
    ("http://blog.co.uk/", "domain", "blog.co.uk", "domain"),
    ("http://host.fine.com/x", "subdomain", "host.fine.com", "subdomain"),
    ("http://a.mid.fine.com/x", "subdomain", "mid.fine.com", None),
    ("http://a.free.blogspot.com/x", "subdomain", "free.blogspot.com", None),
    ("http://bücher.de/", "domain", "xn--bcher-kva.de", None),
    ("http://xn--bcher-kva.de/", "domain", "xn--bcher-kva.de", "domain"),
    ("http://1.2.3.4/", "subdomain", "1.2.3.4", None),
    ("http://fine.com/bad/page", "url", "http://fine.com/bad/page", None),
    ("https://www.Fine.com:443/bad/page/#top", "url", "https://www.Fine.com:443/bad/page/#top", None),
    ("fine.com/bad/page", "url", "fine.com/bad/page", "url"),
    ("http://fine.com/bad/page/2", None, None, None),
    ("http://fine.com/Q?id=1", "url", "http://fine.com/Q?id=1", None),
    ("http://fine.com/q?id=1", None, None, None),
    ("http://sub.fine.com/", "url", "http://sub.fine.com/", None),
    ("http://www.old.com/x/", "url", "http://www.old.com/x/", None),
    ("http://old.com/x", None, None, None),
    ("fine.com/go?to=http://fine.com/bad/page", None, None, None),
    ("https://full.com/page", None, None, "url"),
    ("http://fine.com/a-vile-day", "hard_blacklisted", "vile", "hard_blacklisted"),
    ("http://fine.com/a-VILE-day", "hard_blacklisted", "vile", None),
    ("http://fine.com/worse/vile", "hard_blacklisted", "worse", "hard_blacklisted"),
    ("http://fine.com/viler", None, None, None),
    ("http://fine.com/meh", None, None, None),
    ("http://fine.com/meh/meh", None, None, None),
    ("http://fine.com/soso_meh", "soft_blacklisted", "soso, meh", "soft_blacklisted"),
    ("http://fine.com/soso_Meh", "soft_blacklisted", "soso, meh", None),
    ("http://fine.com/nas-ty", "blacklisted_subword", "nasty", "blacklisted_subword"),
    ("http://fine.com/piGRIMage", "blacklisted_subword", "grim", "blacklisted_subword"),
    (None, None, None, None),
    ("", None, None, None),
]
ABSURD = [
    "http://[::1]:80/x", "http://[::1", "http://]", "http://", "http:///", "//", "?", "#", "@", ":", "http://.", "http://..com",
    "http://a..b.com", "http://xn--a.com", "http://xn--.com", "http://xn--" + "9" * 300 + ".com", "http://" + "a" * 70 + ".com/",
    "http://co.uk/", "http://blogspot.com", "mailto:a@bad.com", "http://fine.com\\@bad.com/", "http://ba d.com", "http://bad.com:x/",
    "http://b\u0000ad.com/\u0000", "http://bad。com/", "http://１.２.３.４/", "http://例え.テスト/vile", "http://ẞ.de", "javascript:vile()",
    "http://a@b@bad.com", "http://bad.com /x", "http://bad.com . /x", " http://bad.com", "HTTP://bad.com", "data:text/html,<p>", "\n",
    "http://\u202ebad.com", "http://1.2.3.4.5/", "http://0x7f.1/", "http://bad.com%2f/", "http://[v1.bad.com]/", "localhost/vile",
]  # fmt: skip


def test_a_url_is_dropped_for_its_host_its_address_or_its_words(sides: Sides) -> None:
    found = run([row[0] for row in TABLE], WINNOW, sides)
    assert found.select("url", "reason", "reason_detail").rows() == [row[:3] for row in TABLE]


def test_the_profile_of_the_library_keeps_its_faults(sides: Sides) -> None:
    found = run([row[0] for row in TABLE], LIBRARY, sides)
    assert found.select("url", "reason").rows() == [(row[0], row[3]) for row in TABLE]


def test_all_signals_are_measured_also_behind_the_first_broken_rule(sides: Sides) -> None:
    row = run(["http://host.fine.com/vile/soso/meh/worse/grim"], WINNOW, sides).row(0, named=True)
    assert (row["domain"], row["host"], row["domain_listed"], row["host_listed"]) == ("fine.com", "host.fine.com", False, True)
    assert (row["hard_words"], row["soft_words"], row["subword"]) == (2, 2, True)
    assert (row["hard_word"], row["soft_word"], row["sub_word"]) == ("vile", "soso, meh", "grim")
    assert (row["reason"], row["reason_value"], row["reason_threshold"]) == ("subdomain", 1.0, 0.0)


def test_the_number_of_soft_words_is_a_setting(sides: Sides) -> None:
    url = "http://fine.com/soso/meh"
    assert run([url], UrlConfig(max_soft_words=2), sides)["reason"].to_list() == [None]
    assert run(["http://fine.com/meh"], UrlConfig(max_soft_words=0), sides)["reason"].to_list() == ["soft_blacklisted"]


def made_urls() -> list[str]:
    """A few hundred URLs with the entries of all lists in all places."""
    rng = random.Random(5)
    pieces = [*HARD, *SOFT, *SUB, "Vile", "MEH", "x", "a1", "", "é", "%20", "nasty"]
    hosts = [*DOMAINS, "fine.com", "www.fine.com", "sub.fine.com", "[::1]", "FINE.com", "x.y.z.bad.com", "u@bad.com", "bad.com:9"]
    schemes = ["http://", "https://", "//", "", "HTTP://", "ftp://"]
    urls = [scheme + url for scheme, url in itertools.product(schemes, [*URLS, *DOMAINS])]
    for _ in range(400):
        path = "".join(rng.choice(pieces) + rng.choice("/-_.?=&#+") for _ in range(rng.randrange(5)))
        urls.append(f"{rng.choice(schemes)}{rng.choice(hosts)}/{path}")
    return urls


def test_the_profile_of_the_library_decides_as_the_library_does(sides: Sides) -> None:
    library = URLFilter(
        extra_domains=DOMAINS,
        extra_urls=URLS,
        banned_words=HARD,
        soft_banned_words=SOFT,
        banned_subwords=SUB,
        use_integrated_lists=False,
    )
    library.tldextractor = TLDExtract(suffix_list_urls=(), cache_dir=None)  # its own would ask the network
    urls = [url for row in TABLE if (url := row[0])] + ABSURD + made_urls()
    with pytest.warns(DeprecationWarning, match="registered_domain"):
        theirs = [library.filter(Document(text="", id="", metadata={"url": url})) for url in urls]
    reasons = [None if answer is True else answer[1] for answer in theirs]
    assert len(set(reasons)) == 7
    assert list(zip(urls, run(urls, LIBRARY, sides)["reason"], strict=True)) == list(zip(urls, reasons, strict=True))


def test_a_row_is_judged_alike_whatever_stands_beside_it(sides: Sides) -> None:
    urls = ABSURD + made_urls()
    together = run(urls, WINNOW, sides)["reason"].to_list()
    assert together == [run([url], WINNOW, sides)["reason"][0] for url in urls]


@pytest.mark.parametrize("config", [WINNOW, LIBRARY])
def test_absurd_urls_cost_little(config: UrlConfig, sides: Sides) -> None:
    size = 200_000
    urls = [
        "http://" + "a." * size + "com/",
        "http://" + "ü" * size + ".com/",
        "http://" + "xn--a." * size + "com",
        "http://[" + ":" * size + "]/",
        "http://" + "@" * size,
        "http://fine.com/" + "a-" * size,
        "http://fine.com/" + "nas" * size,
        "/" * size,
    ]
    before = time.process_time()
    assert run(urls, config, sides)["reason"].null_count() == len(urls)
    assert time.process_time() - before < 2


def test_empty_shards_and_empty_lists_are_fine(sides: Sides, tmp_path: Path) -> None:
    assert run([], WINNOW, sides).is_empty()
    for name in ("domains", "urls"):
        np.save(tmp_path / f"{name}.npy", np.array([], dtype=np.uint64))
    (tmp_path / "words.json").write_text('{"hard": [], "soft": [], "sub": []}')
    assert run(["http://bad.com/vile"], WINNOW, {"lists": Input(tmp_path, ())})["reason"].to_list() == [None]


def test_the_lists_are_mapped_and_not_copied(sides: Sides) -> None:
    assert isinstance(_lists(sides["lists"].folder).domains, np.memmap)
