"""The pages: each answers, says what it is about, shows hostile content as text, and refuses by name what it cannot do."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from fastapi.testclient import TestClient

from storage.locks import lock
from storage.runs import RunRecord
from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.app import PAGES
from storage.viewer.catalogue import FEW
from storage.viewer.page import ARTIFACT, Page

from .conftest import HOSTILE_COLUMN, HOSTILE_TEXTS, client, make_store

ELEMENTS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "img", "nav", "span", "div", "h1", "h2", "p", "b", "details",
    "summary", "dl", "dt", "dd", "main", "form", "input", "select", "option", "button", "table", "thead", "tbody", "tr", "th", "td", "bdi",
    "svg", "rect", "mark", "footer", "kbd", "section", "pre", "code", "textarea",
    "ol", "li", "del", "ins", "g", "path", "text", "tspan",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "rel", "href", "type", "src", "defer", "class", "alt", "width", "height", "aria-label", "title",
    "id", "aria-current", "method", "action", "value", "placeholder", "role", "tabindex", "viewbox", "preserveaspectratio", "x", "y",
    "aria-sort", "aria-hidden", "dir", "scope", "rows", "spellcheck", "selected",
    "d", "transform", "rx", "open", "colspan", "autofocus",
}  # fmt: skip


class Links(HTMLParser):
    """Every address of a page; fails at any element or attribute that our templates do not have."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts: list[str | None] = []
        self.text = ""
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, f"<{tag}> comes from no template"
        for name, value in attrs:
            assert name in ATTRIBUTES, f"the attribute {name}={value!r} of <{tag}> comes from no template"
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src"))
        self.found += [address for name in ("href", "src", "action") if (address := given.get(name))]


def every_address(browser: TestClient) -> Iterator[tuple[str, str]]:
    """(address, page) of everything that can be reached from / by links, one of each kind of query."""
    todo, seen = ["/"], {"/"}
    while todo:
        address = todo.pop()
        answer = browser.get(address, follow_redirects=False)
        assert answer.status_code in (200, 302), f"{address}: {answer.status_code} {answer.text[-900:]}"
        if answer.status_code == 302:
            todo.append(answer.headers["location"])
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        yield address, answer.text
        for found in Links(answer.text).found:
            kind = re.sub(r"(?<!sort)=[^&]*", "=", found)
            if kind not in seen and not found.startswith("#"):
                seen.add(kind)
                todo.append(found)


def at(snapshot: Snapshot, rest: str = "") -> str:
    return f"/{snapshot.reference}{rest}"


def test_every_link_leads_to_a_page_of_ours_without_a_script_of_the_crawl(browser: TestClient) -> None:
    addresses = []
    for address, page in every_address(browser):
        links = Links(page)
        assert links.scripts == ["/static/keyboard.js"]
        assert all(found.startswith(("/", "#")) and not found.startswith("//") for found in links.found)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", links.text), address
        addresses.append(address)
    assert len(addresses) > 40


@pytest.mark.parametrize("page", [page for page in PAGES if page.name], ids=lambda page: str(page.name))
def test_a_page_with_a_name_is_in_the_navigation_of_what_it_fits(
    browser: TestClient, store: Store, made: dict[str, Snapshot], page: Page
) -> None:
    html = browser.get(at(made["report"])).text
    fits = not page.path.startswith(ARTIFACT) or page.fits(store, made["report"])
    assert (f">{page.name}</a>" in html) == fits
    assert fits == (page.name not in ("Chats", "Curves", "Tokens"))


def test_the_catalogue_names_what_there_is_in_pipeline_order(browser: TestClient, made: dict[str, Snapshot]) -> None:
    html = browser.get("/").text
    places = [html.index(made[stage].reference.partition("/")[2]) for stage in ("url", "c4", "report")]
    assert places == sorted(places)
    assert "5,000" in html
    assert "4,500" in html
    assert "min_sentences" in html
    assert f'<a href="{at(made["c4"])}">c4</a>' in html, "url says what was made from it"


def test_a_stage_with_many_snapshots_shows_the_newest_and_leads_to_all(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    made = []
    for n in range(FEW + 3):
        key = f"{n:012x}"
        store.write(f"c4/{key}/recipe.json", json.dumps({"version": 1, "config": {"n": n}, "inputs": {}}).encode())
        made.append(Snapshot.of("c4", key, [File("a.json", 2, f"{n:064}")]))
        made[-1].seal(store)
        record = RunRecord("corpus", {}, id=f"run-{n:03}")
        record.add("c4", made[-1], {}, False, 1.0)
        if n:  # the oldest is in no record
            record.finish(store, "completed")
    browser = client(str(tmp_path))
    html = browser.get("/").text
    assert re.findall(r'class="reference">([0-9a-f]{12})@', html) == [one.key for one in made[::-1][:FEW]]
    link = re.search(r'href="([^"]+)">all of c4</a>', html)
    assert link
    every = browser.get(link[1]).text
    assert re.findall(r'class="reference">([0-9a-f]{12})@', every) == [one.key for one in made[::-1]]
    assert f"{FEW + 3} snapshots" in every
    assert browser.get("/?stage=nosuch").status_code == 404
    assert browser.get("/compare").text.count("<option") == 2 * FEW


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    assert "winnow demo" in client(str(tmp_path / "none")).get("/").text


@pytest.mark.parametrize("form", ["url", "url@latest", "url/{key}", "{key}"])
def test_what_a_person_calls_an_artifact_leads_to_its_page(browser: TestClient, made: dict[str, Snapshot], form: str) -> None:
    answer = browser.get("/" + form.format(key=made["url"].key), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, at(made["url"]))


def test_reasons_are_chips_with_counts(browser: TestClient, made: dict[str, Snapshot]) -> None:
    html = browser.get(at(made["url"])).text
    assert re.search(r"all <b>5,000</b>", html)
    assert re.search(r"kept <b>4,500</b>", html)
    chip = re.search(r'href="([^"]+)">too_short <b>500</b>', html)
    assert chip
    assert "500 of 5,000 rows match" in browser.get(chip[1].replace("&amp;", "&")).text


def test_a_dropped_page_is_found_by_search_and_says_why(browser: TestClient, made: dict[str, Snapshot]) -> None:
    html = browser.get(at(made["url"], "?search=doc-4990")).text
    link = re.search(r'class="open" href="([^"]+)"', html)
    assert link
    page = browser.get(link[1].replace("&amp;", "&")).text
    assert "dropped: <b>too_short</b>" in page
    assert "measured 3, threshold 5" in re.sub(r"\s+", " ", page)
    assert "<mark>doc-4990</mark>" in page


def test_long_values_are_cut_in_the_list_and_whole_on_their_page(browser: TestClient, made: dict[str, Snapshot]) -> None:
    whole = "Haystack number 89" + " and so on" * 89
    assert whole not in browser.get(at(made["url"], "?page=2")).text
    assert whole in browser.get(at(made["url"], "/row?number=89")).text


def test_rows_for_programs(browser: TestClient, made: dict[str, Snapshot]) -> None:
    asked = at(made["url"], "?sort=score&order=desc&size=3&format=")
    document = browser.get(asked + "json").json()
    assert [row["id"] for row in document["rows"]] == ["doc-4999", "doc-4998", "doc-4997"]
    assert document["rows"][0]["tags"] == ["a", "4999"]
    answer = browser.get(asked + "csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert [row["id"] for row in csv.DictReader(io.StringIO(answer.text))] == ["doc-4999", "doc-4998", "doc-4997"]


def test_a_spreadsheet_is_not_tricked_and_json_is_unchanged(browser: TestClient, made: dict[str, Snapshot]) -> None:
    texts = [
        row["text"] for row in csv.DictReader(io.StringIO(browser.get(at(made["c4"], "?format=csv")).text.replace("\x00", "")))
    ]
    assert texts[5].startswith("'=HYPERLINK")
    assert [row["text"] for row in browser.get(at(made["c4"], "?format=json")).json()["rows"]] == HOSTILE_TEXTS
    assert browser.get(at(made["c4"], "/row?number=3&format=json")).json()["row"]["text"] == HOSTILE_TEXTS[3]


@pytest.mark.parametrize(
    "path", ["", "/columns", "/row?number=3", "/row?number=1", "?search=alert", "?sort=" + quote(HOSTILE_COLUMN)]
)
def test_hostile_content_is_text(browser: TestClient, made: dict[str, Snapshot], path: str) -> None:
    html = browser.get(at(made["c4"], path)).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in Links(html).text
    assert "‹U+202E›" in html


def test_what_was_asked_is_shown_as_text(browser: TestClient, made: dict[str, Snapshot]) -> None:
    for text in (*HOSTILE_TEXTS, "javascript:alert(1)"):
        for query in (
            {"search": text},
            {"column": HOSTILE_COLUMN, "operator": "contains", "value": text},
            {"column": text, "operator": "eq", "value": text},
            {"sort": text},
            {"table": text},
            {"format": text},
            {text: "1"},
        ):
            html = browser.get(at(made["c4"], "?" + urlencode(query))).text
            assert all(found.startswith(("/", "#")) for found in Links(html).found)


def test_files_are_listed_and_text_is_shown_as_text(browser: TestClient, made: dict[str, Snapshot]) -> None:
    html = browser.get(at(made["report"], "/files")).text
    assert "model.bin" in html
    assert "report.md" in html
    assert "&lt;script&gt;alert(1)" in browser.get(at(made["report"], "/files/report.md")).text
    assert "float32, shape (3, 4)" in browser.get(at(made["report"], "/files/vectors.npy")).text
    assert browser.get(at(made["report"], "?table=two.parquet&format=json")).json()["rows"] == [{"name": "x"}]
    assert browser.get(at(made["report"], "?table=walks&format=json")).json()["total"] == 3
    assert html.count('?table=walks"') == 2


def test_an_artifact_without_rows_shows_its_files(tmp_path: Path, browser: TestClient, made: dict[str, Snapshot]) -> None:
    store = Store(str(tmp_path))
    store.write("model/0123456789ab/a.json", b"{}")
    files = [file for file in made["report"].files if file.rows is None]
    snapshot = Snapshot.of("model", "0123456789ab", files)
    snapshot.seal(store)
    html = client(str(tmp_path)).get(at(snapshot)).text
    assert "model.bin" in html
    assert ">Columns</a>" not in html


def test_a_run_shows_what_it_made_and_with_what(browser: TestClient, made: dict[str, Snapshot]) -> None:
    link = re.search(r'href="(/runs/[^"]+)"', browser.get("/runs").text)
    assert link
    html = browser.get(link[1]).text
    assert "min_sentences" in html
    assert at(made["report"]) in html


def test_a_run_that_was_killed_has_crashed_whatever_its_record_says(tmp_path: Path) -> None:
    store, record = Store(str(tmp_path)), RunRecord("corpus", {})
    pages = ("/", "/runs", f"/runs/{record.id}")

    def states() -> set[str]:
        return {state for page in pages for state in re.findall(r'run-state \w+">(\w+)<', client(str(tmp_path)).get(page).text)}

    make_store(str(tmp_path))
    with lock(store, record.lock, print):
        record.save(store)
        assert states() == {"completed", "running"}
    assert states() == {"completed", "crashed"}
    record.finish(store, "cancelled")
    assert states() == {"completed", "cancelled"}


def raw(app: Any, address: str) -> tuple[int, str]:
    """Status and page for an address exactly as written; every HTTP client would tidy `..` away."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "root_path": "",
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()


CLIMBS = [
    "..",
    "../..",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "....//",
    "/etc/passwd",
    "\\..\\..",
    "a\x00b",
    "C:\\x",
]


@pytest.mark.parametrize("climb", CLIMBS)
def test_no_parameter_leaves_the_store(browser: TestClient, made: dict[str, Snapshot], root: Path, climb: str) -> None:
    (root.parent / "secret.txt").write_text("root:secret")
    one = made["report"]
    text = quote(climb, safe="/.%\\")
    paths = [
        f"/{text}", f"/{text}/{one.key}@{one.id}", f"/{one.stage}/{text}@{one.id}", f"/{one.stage}/{one.key}@{text}", f"/{one.stage}/{text}",
        f"/runs/{text}", f"/static/{text}", at(one, f"/files/{text}"), at(one, f"/files/{text}/secret.txt"), at(one, f"/files/../{text}"),
    ]  # fmt: skip
    for name in ("table", "sort", "order", "page", "size", "from", "seconds", "format", "number", "column"):
        paths += [
            at(one, f"?{name}={quote(climb)}"),
            at(one, f"/row?{name}={quote(climb)}"),
            at(one, f"/columns?{name}={quote(climb)}"),
        ]
    for path in paths:
        status, text = raw(browser.app, path)
        assert status in (400, 404), f"{path}: {status}"
        assert "root:" not in text
        assert "<h1>" in text


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nosuch", 404, "no artifact &#39;nosuch&#39;"),
        ("/url/000000000000", 404, "holds no snapshot"),
        ("/url/{key}@000000000000", 404, "the catalogue lists what there is"),
        ("/url/xyz@abc", 404, "12 hexadecimal digits"),
        ("/URL/{key}@{id}", 404, "lower-case letters"),
        ("/url/{key}@{id}/nosuch", 404, "there is no page"),
        ("/url/{key}@{id}?sotr=score", 400, "unknown parameter &#39;sotr&#39;"),
        ("/url/{key}@{id}?page=0", 400, "from 1 to"),
        ("/url/{key}@{id}?page=1e3", 400, "whole number"),
        ("/url/{key}@{id}?page=999999", 400, "there are pages 1 to 100"),
        ("/url/{key}@{id}?size=100000", 400, "from 1 to 500"),
        ("/url/{key}@{id}?seconds=3600", 400, "from 1 to 60"),
        ("/url/{key}@{id}?from=-1&search=x", 400, "row numbers with points"),
        ("/url/{key}@{id}?from=99999999&search=x", 400, "there are 5,000 rows"),
        ("/url/{key}@{id}?order=sideways", 400, "expected asc or desc"),
        ("/url/{key}@{id}?format=xml", 400, "expected json or csv"),
        ("/url/{key}@{id}?column=score&operator=lt", 400, "together"),
        ("/url/{key}@{id}?column=text&operator=matches&value=(", 400, "regular expression"),
        ("/url/{key}@{id}?column=text;drop&operator=eq&value=1", 400, "no column"),
        ("/url/{key}@{id}/row?number=5000", 400, "from 0 to 4,999"),
        ("/url/{key}@{id}/row?number=٣", 400, "whole number"),
        ("/url/{key}@{id}/files/recipe.json", 404, "lists no file"),
        ("/runs/nosuch", 404, "no run &#39;nosuch&#39;"),
    ],
)
def test_what_is_refused_is_named(browser: TestClient, made: dict[str, Snapshot], path: str, status: int, says: str) -> None:
    answer = browser.get(path.format(key=made["url"].key, id=made["url"].id))
    assert answer.status_code == status
    assert says in answer.text
    assert "Traceback" not in answer.text


def test_a_damaged_snapshot_says_so(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("c4/0123456789ab/snapshots/0123456789ab.json", json.dumps({"files": [], "stats": {}}).encode())
    browser = client(str(tmp_path))
    answer = browser.get("/c4/0123456789ab@0123456789ab")
    assert answer.status_code == 400
    assert "winnow verify" in answer.text
    assert browser.get("/").status_code == 200
