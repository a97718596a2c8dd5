"""Pages whose address alone says that nobody wants them: block lists of domains and URLs, and words in the URL.

In: `url`. Out:

| column | type | |
|---|---|---|
| domain | string | registered domain by the public suffix list; null where there is none (IP address, invalid URL) |
| host | string | host, or the listed parent of it; null where there is none |
| domain_listed, host_listed, url_listed | bool | found in the lists |
| hard_words, soft_words | i32 | different banned words that are whole words of the URL |
| subword | bool | a banned word stands anywhere in the URL, punctuation left out |
| hard_word, soft_word, sub_word | string | which; the first in the URL, soft ones all |

| reason | |
|---|---|
| domain, subdomain, url | domain, host, URL is listed |
| hard_blacklisted, soft_blacklisted, blacklisted_subword | a hard word; more than `max_soft_words` soft words; a sub-word |

| profile | `datatrove-0.10`: the decisions of the library | `winnow` |
|---|---|---|
| host | as written | lower case, IDNA as ASCII; IP addresses too |
| hosts looked up | registered domain, whole host | and every parent in between |
| URLs looked up | as written, so never: listed URLs have no scheme | without scheme, port, fragment, closing slash; `www.` or not |
| words | of lower case only | of any case |

Source: RefinedWeb (Penedo et al., 2023, appendix G.1) by way of datatrove 0.10.1's URLFilter. The public suffix list is the snapshot
that tldextract carries. A row without a URL is kept. Left out: percent-decoding, and lists by category.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import ahocorasick
import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field
from tldextract import TLDExtract
from tldextract.remote import lenient_netloc

from stages.corpus.blocklists import NOT_WORD, key
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage

SIGNALS: dict[str, pl.DataType] = {
    "domain": pl.String(),
    "host": pl.String(),
    "domain_listed": pl.Boolean(),
    "host_listed": pl.Boolean(),
    "url_listed": pl.Boolean(),
    "hard_words": pl.Int32(),
    "soft_words": pl.Int32(),
    "subword": pl.Boolean(),
    "hard_word": pl.String(),
    "soft_word": pl.String(),
    "sub_word": pl.String(),
}
_SCHEME = re.compile(r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//")
# DNS allows no longer name; a longer one has no parents worth a look-up.
_HOST_CHARS = 253


class UrlConfig(Config):
    """Settings of `url`."""

    profile: Literal["winnow", "datatrove-0.10"] = "winnow"
    """Whose matching: `winnow` mends the faults of the library."""
    max_soft_words: int = Field(default=1, ge=0, le=100)
    """Soft words that a URL may have."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The block lists in memory; the arrays are mapped from the files."""

    domains: npt.NDArray[np.uint64]
    urls: npt.NDArray[np.uint64]
    hard: frozenset[str]
    soft: frozenset[str]
    sub: Any


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the lists know it: its registered domain, its name, and the names to look up, from the longest on."""

    domain: str
    name: str
    names: tuple[str, ...]


@lru_cache(maxsize=2)
def _lists(folder: Path) -> Lists:
    words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    automaton = ahocorasick.Automaton()
    for word in words["sub"]:
        automaton.add_word(word, word)
    automaton.make_automaton()
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("domains", "urls")]
    return Lists(arrays[0], arrays[1], frozenset(words["hard"]), frozenset(words["soft"]), automaton if words["sub"] else None)


@lru_cache(maxsize=1)
def _suffixes() -> TLDExtract:
    return TLDExtract(suffix_list_urls=(), cache_dir=None)


def _ascii(host: str) -> str:
    """IDNA form of a host, or the host itself where it has none."""
    if host.isascii() or len(host) > _HOST_CHARS:
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def split_host(url: str, profile: str) -> Host:
    """The host of a URL; it depends on nothing but the URL's `lenient_netloc`."""
    netloc = _ascii(lenient_netloc(url).strip().lower())
    try:
        found = _suffixes()(netloc if profile == "winnow" else url)
    except (ValueError, UnicodeError):
        return Host("", "", ())
    domain = found.top_domain_under_public_suffix
    if profile != "winnow":
        return Host(domain, found.fqdn, (found.fqdn,))
    if not domain or len(netloc) > _HOST_CHARS:
        return Host(domain, netloc, (netloc,))
    labels = found.subdomain.split(".") if found.subdomain else []
    return Host(domain, netloc, tuple(".".join((*labels[i:], domain)) for i in range(len(labels) + 1)))


def plain(url: str, host: str) -> str:
    """The URL as the lists write it: no scheme, user, port, fragment nor closing slash; the host in lower case."""
    rest = _SCHEME.sub("", url, count=1).partition("#")[0]
    authority = rest.partition("?")[0].partition("/")[0]
    return host + rest[len(authority) :].rstrip("/")


def _contains(listed: npt.NDArray[np.uint64], entries: Iterable[str]) -> list[bool]:
    wanted = np.array([key(entry) for entry in entries], dtype=np.uint64)
    if not len(listed):
        return [False] * len(wanted)
    at = np.minimum(np.searchsorted(listed, wanted), len(listed) - 1)
    return [bool(hit) for hit in listed[at] == wanted]


def _words(url: str, lists: Lists) -> tuple[int, int, bool, str | None, str | None, str | None]:
    """hard_words, soft_words, subword and the words themselves."""
    parts = NOT_WORD.split(url)
    words = dict.fromkeys(parts)
    hard = [word for word in words if word in lists.hard]
    soft = [word for word in words if word in lists.soft]
    sub: str | None = None
    if lists.sub is not None:
        sub = next((word for _, word in lists.sub.iter("".join(parts).lower())), None)
    return len(hard), len(soft), sub is not None, hard[0] if hard else None, ", ".join(soft) or None, sub


def rules(config: UrlConfig) -> tuple[Rule, ...]:
    """The library's order."""
    return (
        Rule("domain", "domain_listed", "above", 0, "domain"),
        Rule("subdomain", "host_listed", "above", 0, "host"),
        Rule("url", "url_listed", "above", 0, "url"),
        Rule("hard_blacklisted", "hard_words", "above", 0, "hard_word"),
        Rule("soft_blacklisted", "soft_words", "above", config.max_soft_words, "soft_word"),
        Rule("blacklisted_subword", "subword", "above", 0, "sub_word"),
    )


def run(docs: pl.DataFrame, config: UrlConfig, sides: Sides) -> pl.DataFrame:
    """`docs` with signals and reason; `sides["lists"]` is the artifact of `blocklists`."""
    lists = _lists(sides["lists"].folder)
    winnow = config.profile == "winnow"
    urls = [url for url in docs["url"] if url]
    netlocs = [lenient_netloc(url) for url in urls]
    hosts = {netloc: split_host(url, config.profile) for netloc, url in dict(zip(netlocs, urls, strict=True)).items()}
    names = dict.fromkeys(name for host in hosts.values() for name in (host.domain, *host.names) if name)
    listed = dict(zip(names, _contains(lists.domains, names), strict=True))
    addresses = [plain(url, hosts[netloc].name) for url, netloc in zip(urls, netlocs, strict=True)] if winnow else urls
    in_urls = _contains(lists.urls, addresses)
    if winnow:
        bare = _contains(lists.urls, [address.removeprefix("www.") for address in addresses])
        in_urls = [a or b for a, b in zip(in_urls, bare, strict=True)]
    rows: list[tuple[Any, ...]] = []
    for url, netloc, url_listed in zip(urls, netlocs, in_urls, strict=True):
        host = hosts[netloc]
        hit = next((name for name in host.names if listed.get(name)), None)
        listings = (listed.get(host.domain, False), hit is not None, url_listed)
        rows.append((host.domain or None, hit or host.name or None, *listings, *_words(url.lower() if winnow else url, lists)))
    measured = iter(rows)
    signals = [next(measured) if url else (None,) * len(SIGNALS) for url in docs["url"]]
    return decide(docs.hstack(pl.DataFrame(signals, schema=SIGNALS, orient="row")), rules(config))


URL = Stage(
    name="url",
    version=1,
    run=run,
    config=UrlConfig,
    needs={"url": pl.String()},
    signals=SIGNALS,
    filters=True,
    sides={"lists": "artifact"},
)
