"""The extractors of others: what they are bounded by, and that trafilatura is as datatrove runs it."""

import time

import pytest

from stages.corpus import extract, peers
from stages.corpus.extract import ExtractConfig, extract_page

PROSE = "The harbour of Ostermark freezes late in the winter, and the ferries stop only when the ice is thicker than a hand."
ARTICLE = f"""<!doctype html><html><head><title>Ice</title><style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/about">About</a></li></ul></nav>
<div><div><article><h1>Ice in the harbour</h1><p>{PROSE}</p><p>Second paragraph, <b>bold</b> and calm.</p>
<ul><li>Skates with a strap for every child.</li><li>Sledges that carry the mail.</li></ul><p>Third paragraph.</p><pre>if ice:
    walk()</pre><!-- hidden --><script>var tracker = 1;</script></article></div></div>
<footer>Copyright notice</footer></body></html>"""


def page(html: str, **config: object) -> extract.Extracted:
    return extract_page(html.encode(), None, "html", ExtractConfig.model_validate({"method": "resiliparse"} | config))


def test_resiliparse_keeps_paragraphs_lists_and_code() -> None:
    assert page(ARTICLE).text == "\n\n".join(
        [
            "Ice in the harbour",
            PROSE,
            "Second paragraph, bold and calm.",
            "  • Skates with a strap for every child.\n  • Sledges that carry the mail.",
            "Third paragraph.",
            "if ice:\n    walk()",
        ]
    )


@pytest.mark.parametrize(
    ("html", "config", "reason", "value", "threshold"),
    [
        ("", {}, "empty", None, None),
        ("<html><body><script>var a = 1;</script>", {}, "empty", None, None),
        ("\0\0 \n", {}, "empty", None, None),
        ("<p>" + "many words " * 200, {"max_text_chars": 1000}, "extract_error:too_long", 2199, 1000),
        ("x" * 2000, {"max_html_bytes": 1000}, "extract_error:too_large", 2000, 1000),
        ("<p>x" * 2000, {"max_tags": 1000}, "extract_error:too_many_tags", 2000, 1000),
        ("<div>" * 100_000 + "x", {}, "extract_error:too_deep", 100_000, 1000),
        ("<a><b>" * 50_000 + "x", {}, "extract_error:too_deep", 100_000, 1000),
        ("<div></p></br>" * 20_000, {}, "extract_error:too_deep", 20_000, 1000),  # end tags of others close nothing
        ("<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">word", {}, "extract_error:too_many_attributes", 100_000, 20_000),
        (
            "<p " + "/".join(f"a{n}" for n in range(30_000)) + " b='1' >word",
            {},
            "extract_error:too_many_attributes",
            30_001,
            20_000,
        ),
        ("<p>" + "".join(f"<font size={n}>" for n in range(2500)) + "</p><p>x" * 2500, {"memory_mb": 100}, "memory", None, None),
    ],
)
def test_pages_that_cannot_be_extracted_have_a_reason_with_its_numbers(
    html: str, config: dict[str, int], reason: str, value: float | None, threshold: float | None
) -> None:
    found = page(html, **config)
    if reason == "memory":
        assert found.reason in ("extract_error:HTMLParserException", "extract_error:MemoryError")
    else:
        assert (found.text, found.reason, found.reason_value, found.reason_threshold) == (None, reason, value, threshold)


@pytest.mark.parametrize(
    "html",
    [
        "<svg>" + '<path d="M0 0"/>' * 12_000 + f"</svg><p>{PROSE}",
        "<p>word <br>" * 6_000,
        "<ul>" + "<li>word" * 12_000,
        "<div><b>word</b></div>" * 6_000,
        "&lt;&amp;&#x41;" * 100_000,
        "<p " + "a=1 " * 19_000 + ">word",
        '<svg><path d="' + "M 0/0 " * 100_000 + f'"/></svg><p>{PROSE}',
        "<p>" + " \t\n" * 300_000 + "word",
        "<pre>" + " " * 1_000_000 + "word\t\t\t",
    ],
)
def test_large_but_flat_pages_are_not_too_deep_and_quickly_done(html: str) -> None:
    before = time.process_time()
    reason = page(html).reason
    assert reason is None or reason == "empty"
    assert time.process_time() - before < 2


def test_an_exception_of_the_extractor_becomes_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(html: str) -> str:
        raise RecursionError("too \ud800 deep")

    monkeypatch.setattr(peers, "resiliparse", fails)
    found = page(ARTICLE)
    assert (found.reason, found.reason_detail, found.encoding) == ("extract_error:RecursionError", "too  deep", "utf-8")


def test_trafilatura_is_as_datatrove_runs_it_and_remembers_no_other_page() -> None:
    from datatrove.pipeline.extractors import Trafilatura
    from trafilatura import deduplication

    repeated = ARTICLE.replace("Second paragraph, <b>bold</b> and calm.", "</p><p>".join([PROSE] * 5))
    texts = [page(repeated, method="trafilatura").text for _ in range(5)]
    deduplication.LRU_TEST = deduplication.LRUCache(maxsize=deduplication.LRU_SIZE)
    fresh = Trafilatura().extract(repeated)
    assert texts == [fresh] * 5
    assert 1 <= fresh.count(PROSE) < 6
    assert fresh not in [Trafilatura().extract(repeated) for _ in range(3)][1:], "the library remembers, so this test can fail"
