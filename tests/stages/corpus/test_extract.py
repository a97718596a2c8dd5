import gzip
import multiprocessing
import resource
import signal
import threading
import time
from collections.abc import Callable

import polars as pl
import pytest

from stages.corpus import extract, peers
from stages.corpus.encoding import declared, decode
from stages.corpus.extract import EXTRACT, ExtractConfig, extract_page
from stages.corpus.limits import CpuLimitExceeded, limited
from stages.corpus.records import RECORDS, RecordsConfig
from stages.corpus.sources import SOURCE_COLUMNS
from stages.extraction.model import SHIPPED

CONFIG = ExtractConfig()
PROSE = "The harbour of Ostermark freezes late in the winter, and the ferries stop only when the ice is thicker than a hand."
ARTICLE = f"""<!doctype html><html><head><title>Ice</title><style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/about">About</a></li></ul></nav>
<div><div><article><h1>Ice in the harbour</h1><p>{PROSE}</p><p>Second paragraph, <b>bold</b> and calm.</p>
<ul><li>Skates with a strap for every child.</li><li>Sledges that carry the mail.</li></ul><p>{PROSE}</p><pre>if ice.is_thick():
    children.walk(over=harbour, until=evening)</pre><p>{PROSE}</p><!-- hidden --><script>var tracker = 1;</script></article></div></div>
<footer>Copyright notice</footer></body></html>"""


def page(html: str | bytes, charset: str | None = None, kind: str = "html", **config: object) -> extract.Extracted:
    payload = html if isinstance(html, bytes) else html.encode()
    return extract_page(payload, charset, kind, ExtractConfig.model_validate(config))


def test_the_main_text_is_light_markdown() -> None:
    found = page(ARTICLE)
    assert found.text == "\n\n".join(
        [
            "# Ice in the harbour",
            PROSE,
            "Second paragraph, bold and calm.",
            "- Skates with a strap for every child.\n- Sledges that carry the mail.",
            PROSE,
            "```\nif ice.is_thick():\n    children.walk(over=harbour, until=evening)\n```",
            PROSE,
        ]
    )
    assert (found.title, found.author) == ("Ice", None)
    assert found.extract_confidence is not None
    assert 0 < found.extract_confidence <= 1


def test_plain_text_has_no_marks() -> None:
    text = page(ARTICLE, text_format="plain").text
    assert text is not None
    assert text.startswith("Ice in the harbour\n\nThe harbour")
    assert "if ice.is_thick():\n    children.walk" in text
    assert not set(text) & set("#`")


def test_a_text_that_the_model_doubts_can_be_dropped_and_stays_to_be_seen() -> None:
    found = page(ARTICLE, min_confidence=1)
    assert (found.reason, found.reason_threshold) == ("low_confidence", 1)
    assert found.reason_value == found.extract_confidence
    assert PROSE in str(found.text)


@pytest.mark.parametrize(
    ("payload", "charset", "text", "codec"),
    [
        ("zażółć".encode(), None, "zażółć", "utf-8"),
        (b"\xef\xbb\xbfna\xc3\xafve", "iso-8859-1", "naïve", "utf-8"),  # a byte order mark wins over the header
        ("привет".encode("utf-16"), None, "привет", "utf-16-le"),
        (b"\x93quoted\x94", "ISO-8859-1", "“quoted”", "cp1252"),  # the label means windows-1252
        (b"<meta charset=windows-1251>\xef.", "utf-8", "<meta charset=windows-1251>\ufffd.", "utf-8"),  # the header wins
        (b"<meta charset=windows-1251>\xef\xf0", "no-such-charset", "<meta charset=windows-1251>пр", "cp1251"),
        (b'<META content="text/html; charset=koi8-r" x>\xd0', None, '<META content="text/html; charset=koi8-r" x>п', "koi8-r"),
        (b"<?xml version='1.0' encoding='latin1'?>\xe9", None, "<?xml version='1.0' encoding='latin1'?>é", "cp1252"),
        (b"<!-- <meta charset=koi8-r> --><p>\xc3\xa9", None, "<!-- <meta charset=koi8-r> --><p>é", "utf-8"),
        (b"<meta charset=utf-16>\xc3\xa9", None, "<meta charset=utf-16>é", "utf-8"),  # or the tag could not have been read
        ("汉字".encode("gb18030"), "gb2312", "汉字", "gb18030"),
        ("①".encode("cp932"), "shift_jis", "①", "cp932"),
        ("똠".encode("cp949"), "euc-kr", "똠", "cp949"),
        (("Как дела? Всё хорошо, спасибо. " * 9).encode("cp1251"), None, "Как дела? Всё хорошо, спасибо. " * 9, "cp1251"),
        (b"", None, "", "utf-8"),
    ],
)
def test_bytes_are_decoded_in_the_order_of_the_standard(payload: bytes, charset: str | None, text: str, codec: str) -> None:
    assert decode(payload, charset) == (text, codec)


def test_the_search_for_a_declaration_is_quick_on_bait() -> None:
    before = time.process_time()
    for bait in (b"<meta ", b"<!--", b"<meta charset=", b"<?xml encoding=", b"<meta x charset", b" charset "):
        declared(b"<meta " + bait * 10_000)
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("html", "config", "reason", "value", "threshold"),
    [
        ("", {}, "empty", None, None),
        ("<html><body><script>var a = 1;</script>", {}, "empty", None, None),
        ("\0\0 \n", {}, "empty", None, None),
        ("<p>" + "many words " * 200, {"max_text_chars": 1000}, "extract_error:too_long", 2199, 1000),
        ("x" * 2000, {"max_html_bytes": 1000}, "extract_error:too_large", 2000, 1000),
    ],
)
def test_pages_that_cannot_be_extracted_have_a_reason_with_its_numbers(
    html: str, config: dict[str, int], reason: str, value: float | None, threshold: float | None
) -> None:
    found = page(html, **config)
    assert (found.text, found.reason, found.reason_value, found.reason_threshold) == (None, reason, value, threshold)


def test_the_text_is_valid_utf8_without_nul() -> None:
    found = page("<p>one\0two &#0; &#xD800; \ud83d three</p>".encode("utf-8", "surrogatepass"))
    assert found.text is not None
    assert "\0" not in found.text
    assert found.text.encode()


def test_ready_text_passes_through_whatever_it_looks_like() -> None:
    text = "  A line about <meta charset=koi8-r>\n\n\n<div> of żółw"
    found = page(text, charset="koi8-r", kind="text")
    assert (found.text, found.encoding, found.tags, found.reason) == (text, "utf-8", None, None)
    assert page(" \n ", kind="text").reason == "empty"


def busy() -> None:
    while True:
        pass


def swallow() -> None:
    failures = 0
    while True:
        try:
            busy()
        except BaseException:
            failures += 1
            if failures == 3:
                raise


def alone(body: Callable[..., None], *arguments: object) -> None:
    """In a process of its own, as a worker is: limits count the CPU time and the memory of all threads, and tests leave some behind."""
    child = multiprocessing.get_context("spawn").Process(target=body, args=arguments)
    child.start()
    child.join(60)
    assert child.exitcode == 0


def stopped(body: Callable[[], None]) -> None:
    def state() -> tuple[object, ...]:
        limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS)]
        return signal.getsignal(signal.SIGPROF), signal.getitimer(signal.ITIMER_PROF), *limits

    state_before, before = state(), time.process_time()
    with pytest.raises(CpuLimitExceeded, match=r"more than 0\.1 s"), limited(0.1, 900):
        body()
    assert 0.09 < time.process_time() - before < 1
    assert state() == state_before


@pytest.mark.parametrize("body", [busy, swallow])
def test_a_call_is_stopped_after_its_cpu_time_and_everything_restored(body: Callable[[], None]) -> None:
    alone(stopped, body)


def test_sleeping_costs_nothing() -> None:
    with limited(0.1, 900):
        time.sleep(0.3)


def bounded() -> None:
    with pytest.raises(MemoryError), limited(10, 50):
        bytearray(100 << 20)
    assert len(bytearray(100 << 20)) == 100 << 20


def test_memory_is_bounded_and_the_bound_lifted() -> None:
    alone(bounded)


def test_outside_the_main_thread_nothing_is_touched() -> None:
    seen: list[object] = []

    def body() -> None:
        with limited(0.1, 100):
            seen.append((signal.getitimer(signal.ITIMER_PROF), resource.getrlimit(resource.RLIMIT_AS)))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [((0.0, 0.0), resource.getrlimit(resource.RLIMIT_AS))]


def never_back_to_python() -> None:
    with limited(0.1, 900):
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        busy()


def test_code_that_no_signal_handler_stops_dies_of_sigxcpu() -> None:
    child = multiprocessing.get_context("spawn").Process(target=never_back_to_python)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGXCPU


def too_slow() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(peers, "resiliparse", lambda html: busy())
        found = page(ARTICLE, cpu_seconds=0.1, method="resiliparse")
    assert (found.reason, found.reason_value, found.reason_threshold) == ("extract_error:cpu_limit", None, 0.1)


def test_a_page_that_takes_too_long_is_a_row() -> None:
    alone(too_slow)


def record(url: str, header: str, body: bytes) -> bytes:
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:{url}>\r\nWARC-Target-URI: {url}\r\n"
        "WARC-Date: 2026-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(http)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + http + b"\r\n\r\n", mtime=0)


def test_the_stage_reads_each_page_where_its_row_says(tmp_path: object) -> None:
    crawl = f"{tmp_path}/small.warc.gz"
    with open(crawl, "wb") as file:
        file.write(record("http://a/1", "", ARTICLE.encode()))
        file.write(record("http://a/2", "", b"<p>left out by the filter before"))
        file.write(record("http://a/3", "Content-Encoding: gzip\r\n", gzip.compress(ARTICLE.encode())))
        file.write(record("http://a/4", "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00 broken beyond repair"))
        file.write(record("http://a/5", "", b"<script>1</script>"))
    source = pl.DataFrame([("s", "small.warc.gz", "warc", 1)], schema=SOURCE_COLUMNS, orient="row")
    records = RECORDS.run(source, RecordsConfig(), {"crawl": {"s": crawl}})
    docs = records.filter(pl.col("url") != "http://a/2").drop(
        "reason", "reason_value", "reason_threshold", "reason_detail", "part"
    )
    assert {name: docs.schema[name] for name in EXTRACT.needs} == EXTRACT.needs
    found = EXTRACT.run(docs, CONFIG, {"crawl": {"s": crawl}, "model": SHIPPED})
    assert dict(found.schema) == EXTRACT.schema(docs.schema)
    text, again, broken, empty = found.iter_rows(named=True)
    assert PROSE in text["text"]
    assert text["text_chars"] == len(text["text"])
    assert (text["html_bytes"], text["reason"]) == (len(ARTICLE.encode()), None)
    assert again["text"] == text["text"]
    assert broken["reason"].startswith("extract_error:")
    assert (empty["reason"], empty["text"], empty["text_chars"]) == ("empty", None, 0)
    assert EXTRACT.run(docs.clear(), CONFIG, {"crawl": {}, "model": SHIPPED}).schema == found.schema
