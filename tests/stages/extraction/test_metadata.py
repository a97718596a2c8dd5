import json

import numpy as np
import pytest

from stages.extraction.metadata import Metadata, metadata
from tests.stages.extraction.lexbor import scanned


def of(html: str) -> Metadata:
    return metadata(np.frombuffer(html.encode(), np.uint8), scanned(html).marks)


def ld(*things: object) -> str:
    return "".join(f'<script type="application/ld+json">{json.dumps(thing)}</script>' for thing in things)


ARTICLE = {"@type": "NewsArticle", "headline": "Ice", "author": {"name": "Ann"}, "datePublished": "2024-02-03T10:00:00Z"}


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", Metadata()),
        ("<title> A &amp;\n B </title>", Metadata(title="A & B")),
        ("<title>A - Site</title><meta property=og:title content=A>", Metadata(title="A")),
        ("<title></title>", Metadata()),
        ("<title>a\0b</title>", Metadata(title="ab")),
        ("<meta name=author content=Ann>", Metadata(author="Ann")),
        ("<meta property=article:author content='https://host/ann'>", Metadata()),
        ("<meta name=author content='https://host/ann'>" + ld(ARTICLE), Metadata("Ice", "Ann", "2024-02-03")),
        ("<meta property=og:site_name content=Site>", Metadata(site_name="Site")),
        ("<html lang=en-US>", Metadata(page_language="en-US")),
        ("<html lang='{{lang}}'>", Metadata()),
        ("<html lang=e>", Metadata()),
        ("<meta property=og:title content=B>" + ld(ARTICLE), Metadata("B", "Ann", "2024-02-03")),
        (ld({"@graph": [{"@type": "Organization", "name": "No"}, ARTICLE]}), Metadata("Ice", "Ann", "2024-02-03")),
        (ld([{"@type": "BreadcrumbList", "name": "No"}, ARTICLE]), Metadata("Ice", "Ann", "2024-02-03")),
        (ld({"@type": ["Thing", "Article"], "name": "A"}), Metadata(title="A")),
        (ld({"@type": "Article", "author": [{"name": "A"}, "B", {"name": "A"}, 3, None]}), Metadata(author="A, B")),
        (ld({"@type": "Article", "author": "https://host/ann"}), Metadata()),
        (ld({"@type": "Article", "author": {"name": {"first": "A"}}, "headline": 3}), Metadata()),
        (ld({"@type": "Article", "publisher": {"name": "P"}}), Metadata(site_name="P")),
        (ld({"@type": "Article"}, ARTICLE), Metadata("Ice", "Ann", "2024-02-03")),
        (ld({"@graph": 3, "@type": "Article", "name": "A"}), Metadata(title="A")),
        (ld(3, "a", None, [], [3], {"@type": None}, {"@type": {"a": 1}}), Metadata()),
        (
            '<script type="application/ld+json">{"@type": "Article", "name": "A"</script>' + ld(ARTICLE),
            Metadata("Ice", "Ann", "2024-02-03"),
        ),
        ('<script type="application/ld+json">{"@type": "Article", "name": "\\ud800"}</script>', Metadata()),
        ('<script type="application/ld+json">' + "[" * 100_000 + "</script>", Metadata()),
    ],
)
def test_metadata_is_what_the_page_s_head_says(html: str, expected: Metadata) -> None:
    assert of(html) == expected


@pytest.mark.parametrize(
    ("said", "published"),
    [
        ("2024-02-03", "2024-02-03"),
        ("2024-02-03T10:00:00+02:00", "2024-02-03"),
        ("20240203", "2024-02-03"),
        ("2024-02-30", None),
        ("2024-13-01", None),
        ("0000-01-01", None),
        ("yesterday", None),
        ("3 Feb 2024", None),
        ("2024", None),
        ("", None),
    ],
)
def test_what_is_no_date_is_none(said: str, published: str | None) -> None:
    assert of(f"<meta property=article:published_time content='{said}'>").published == published
    assert of(ld({"@type": "Article", "datePublished": said})).published == published


@pytest.mark.parametrize("unit", ["a", "a ", "日", "😀", "&amp;", "&#x65e5;"])
def test_a_title_of_a_megabyte_is_cut(unit: str) -> None:
    title = of(f"<title>{unit * (1_000_000 // len(unit.encode()))}</title>").title
    assert title
    assert 100 <= len(title) <= 300
    assert title == title.strip()
    assert "\ufffd" not in title
