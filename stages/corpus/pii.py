"""PII: replace e-mail addresses and public IPv4 addresses by ones that belong to nobody.

In: `text`. Out: the same rows with `text` replaced, and these signals.

| column | type | |
|---|---|---|
| emails | i32 | e-mail addresses replaced |
| ips | i32 | public IPv4 addresses replaced |

Which replacement an address gets follows from the address alone, so one address has one replacement in the whole corpus, whatever the
order of pages. Replacements found in a text stay as they are and do not count: running twice changes nothing.

Source: the addresses and the form of an e-mail address are those of FineWeb (Penedo et al. 2024, arXiv 2406.17557) as in datatrove
0.10.1's PIIFormatter. Mended here: an e-mail address is looked for only around an `@` (at most LOCAL characters before it and DOMAIN
behind it, the limits of RFC 5321), so the work grows with the length of the text; and four numbers within a longer version (v1.2.3.4,
1.2.3.4.5, "version 1.2.3.4") are no address, unless `ips_in_versions`. Left out: IPv6, telephone numbers, names, addresses of other
alphabets.
"""

import ipaddress
import re
import zlib
from collections.abc import Iterable, Iterator

import polars as pl
from pydantic import Field

from stages.stage import Config, Sides, Stage

LOCAL = 64
DOMAIN = 255

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
BEFORE_AT = re.compile(rf"\b{ATOM}(?:\.{ATOM})*(?=@)")
BEHIND_AT = re.compile(rf"@(?:(?:{LABEL}\.)+{LABEL}|\[(?:{OCTET}\.){{3}}(?:{OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)\])")
FOUR_NUMBERS = rf"(?:{OCTET}\.){{3}}{OCTET}"
ANYWHERE = re.compile(FOUR_NUMBERS)
IPV4 = re.compile(rf"(?<!\w)(?<!\w\.)(?<![Vv]ersion ){FOUR_NUMBERS}(?!\w)(?!\.[0-9])")


class PiiConfig(Config):
    """What is replaced, and by what."""

    emails: bool = True
    """Replace e-mail addresses."""
    ips: bool = True
    """Replace public IPv4 addresses."""
    ips_in_versions: bool = False
    """Take four numbers for an address within longer ones, too (v8.8.4.4, 8.8.4.4.1, 1234.5.6.7), as datatrove 0.10.1 does."""
    email_replacements: tuple[str, ...] = Field(("email@example.com", "firstname.lastname@example.org"), min_length=1)
    """Addresses that belong to nobody (RFC 2606), one of which each e-mail address becomes."""
    ip_replacements: tuple[str, ...] = Field(
        ("22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168"), min_length=1
    )
    """FineWeb's addresses that answered nobody, one of which each public address becomes."""


SIGNALS: dict[str, pl.DataType] = {"emails": pl.Int32(), "ips": pl.Int32()}


def run(docs: pl.DataFrame, config: PiiConfig, sides: Sides) -> pl.DataFrame:
    rows = [clean(text or "", config) for text in docs["text"]]
    signals = pl.DataFrame([(emails, ips) for _, emails, ips in rows], schema=SIGNALS, orient="row")
    return docs.with_columns(pl.Series("text", [text for text, _, _ in rows], dtype=pl.String)).hstack(signals)


def clean(text: str, config: PiiConfig) -> tuple[str, int, int]:
    """The text without personal addresses, and how many e-mail and IP addresses were replaced."""
    emails = ips = 0
    if config.emails:
        text, emails = replace(text, email_spans(text), config.email_replacements)
    if config.ips:
        text, ips = replace(text, ip_spans(text, ANYWHERE if config.ips_in_versions else IPV4), config.ip_replacements)
    return text, emails, ips


def replace(text: str, spans: Iterable[tuple[int, int]], replacements: tuple[str, ...]) -> tuple[str, int]:
    """Each span of the text exchanged for the replacement that its content chooses, and how many there were."""
    pieces, end, count = [], 0, 0
    for start, stop in spans:
        found = text[start:stop]
        if found in replacements:
            continue
        pieces += [text[end:start], replacements[zlib.crc32(found.lower().encode()) % len(replacements)]]
        end, count = stop, count + 1
    return "".join([*pieces, text[end:]]), count


def email_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where e-mail addresses stand, from left to right."""
    end = 0
    for start, at, stop in at_windows(text):
        domain = BEHIND_AT.match(text, at, stop)
        if domain is None:
            continue
        local = BEFORE_AT.search(text, max(start, end), at + 1)
        if local is not None:
            end = domain.end()
            yield local.start(), end


def at_windows(text: str) -> Iterator[tuple[int, int, int]]:
    """Each `@` between the ends of what may belong to its address; no character lies in more than two of these windows."""
    before, at = -1, text.find("@")
    while at >= 0:
        behind = text.find("@", at + 1, at + 1 + DOMAIN)
        yield max(before + 1, at - LOCAL), at, behind if behind >= 0 else min(at + 1 + DOMAIN, len(text))
        before, at = at, behind if behind >= 0 else text.find("@", at + 1)


def ip_spans(text: str, form: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Where public IPv4 addresses of this form stand, from left to right."""
    for match in form.finditer(text):
        try:
            public = ipaddress.IPv4Address(match[0]).is_global
        except ValueError:  # a leading zero
            continue
        if public:
            yield match.span()


PII = Stage(
    name="pii",
    version=1,
    run=run,
    config=PiiConfig,
    needs={"text": pl.String()},
    adds={"text": pl.String()},
    signals=SIGNALS,
)
