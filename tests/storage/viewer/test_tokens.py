"""Tokens: rows split into pieces of the vocabulary that the lineage names, hostile pieces as text, and what is wrong said."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storage.recipe import Recipe
from storage.runs import RunRecord
from storage.shards import File, encode, sha256, write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.tokens_page import HEAD, MOST
from storage.viewer.vocabulary import shown

from .conftest import HOSTILE_TEXTS, client
from .test_pages import Links, every_address

PIECES: list[tuple[int, bytes | None, str]] = [
    (0, b"<s>", "control"), (1, b"Hello", "normal"), (2, b" world\n", "normal"), (3, b"\xf0\x9f", "byte"), (5, b"", "unused"),
    (6, None, "normal"), *((10 + n, text.encode(), "normal") for n, text in enumerate(HOSTILE_TEXTS)), (30, b"x" * 5_000, "normal"),
]  # fmt: skip
VOCABULARY = {"id": pl.Int32(), "bytes": pl.Binary(), "kind": pl.String()}
PACKED = {"tokens": pl.List(pl.UInt16), "document_starts": pl.List(pl.Int64), "mask": pl.List(pl.Boolean)}


class Made:
    """A store in which artifacts are made one from another, as a flow would."""

    def __init__(self, folder: Path) -> None:
        self.store, self.record = Store(str(folder)), RunRecord("tokenizer", {})

    def whole(self, stage: str, name: str, frame: pl.DataFrame, columns: dict[str, Any], **inputs: Snapshot) -> Snapshot:
        data = encode(frame, columns)
        recipe = Recipe(stage, 1, {}, {word: one.reference for word, one in inputs.items()})
        self.store.write(f"{recipe.stage}/{recipe.key}/{name}", data)
        return self._seal(recipe, File(name, len(data), sha256(data), frame.height), inputs)

    def packed(self, rows: list[dict[str, Any]], columns: dict[str, Any] | None = None, **inputs: Snapshot) -> Snapshot:
        recipe = Recipe("tokenize", 1, {}, {word: one.folder for word, one in inputs.items()})
        frame = pl.DataFrame(rows, schema=columns or PACKED)
        file = write_shard(self.store, f"tokenize/{recipe.key}", "a-p0000-00000000.parquet", frame, columns or PACKED, "o0")
        return self._seal(recipe, file, inputs)

    def _seal(self, recipe: Recipe, file: File, inputs: dict[str, Snapshot]) -> Snapshot:
        self.store.write(f"{recipe.stage}/{recipe.key}/recipe.json", json.dumps(recipe.document()).encode())
        made = Snapshot.of(recipe.stage, recipe.key, [file])
        made.seal(self.store)
        self.record.add(recipe.stage, made, {word: one.reference for word, one in inputs.items()}, False, 1.0)
        self.record.save(self.store)
        return made

    def page(self, made: Snapshot, rest: str = "") -> str:
        answer = client(self.store.url).get(f"/{made.reference}/tokens{rest}")
        assert answer.status_code == 200, answer.text[-600:]
        return answer.text


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def vocabulary(made: Made) -> Snapshot:
    return made.whole("tokenizer", "vocabulary.parquet", pl.DataFrame(PIECES, VOCABULARY, orient="row"), VOCABULARY)


def tokens(html: str) -> list[tuple[str, str, str]]:
    """(class, title, text) of every token."""
    found = re.findall(r'<span class="t( [^"]*)?" title="([^"]*)">(.*?)</span>(?=<span class="(?:t|start)|</div>)', html, re.S)
    return [(kind.strip(), title, re.sub(r"<[^>]+>", "", text)) for kind, title, text in found]


def row(*ids: int | None, starts: list[Any] | None = None, mask: list[Any] | None = None) -> dict[str, Any]:
    return {"tokens": list(ids), "document_starts": starts, "mask": mask}


def test_a_row_is_its_pieces_with_documents_and_mask(made: Made) -> None:
    packed = made.packed(
        [row(0, 1, 2, 3, 0, 1, starts=[0, 4], mask=[False, True, True, True, False, True])], tok=vocabulary(made)
    )
    html = made.page(packed)
    assert tokens(html) == [
        ("control masked", "0 at 0, control, not in the loss", "&lt;s&gt;"),
        ("o", "1 at 1", "Hello"),
        ("", "2 at 2", "·world⏎\n"),
        ("o byte", "3 at 3, byte", "&lt;0xF0&gt;&lt;0x9F&gt;"),
        ("control masked", "0 at 4, control, not in the loss", "&lt;s&gt;"),
        ("o", "1 at 5", "Hello"),
    ]
    assert re.findall(r'<span class="start" title="document (\d) of this row begins">', html) == ["1", "2"]
    assert html.index("document 2 of this row") > html.index("3 at 3, byte")
    assert '<p class="ids">0 1 2 3 0 1 </p>' in html
    assert "2</b> not in the loss" in html


def test_the_vocabulary_of_a_far_ancestor_is_found(made: Made) -> None:
    first = made.packed([row(1)], tok=vocabulary(made))
    sides = {"docs": first}
    recipe = Recipe("pack", 1, {}, {"docs": first.folder})
    frame = pl.DataFrame([row(2)], schema=PACKED)
    far = made._seal(
        recipe, write_shard(made.store, f"pack/{recipe.key}", "a-p0000-00000000.parquet", frame, PACKED, "o0"), sides
    )
    assert tokens(made.page(far)) == [("", "2 at 0", "·world⏎\n")]


def test_a_recipe_names_the_vocabulary_where_no_run_record_does(made: Made) -> None:
    tokenizer = vocabulary(made)
    packed = made.whole("sft_rows", "rows.parquet", pl.DataFrame([row(1)], schema=PACKED), PACKED, tok=tokenizer)
    made.store.remove(f"runs/{made.record.id}.json")
    assert tokens(made.page(packed)) == [("", "1 at 0", "Hello")]


def test_without_a_vocabulary_ids_are_shown_and_the_page_says_why(made: Made) -> None:
    packed = made.packed([row(1, 2)])
    html = made.page(packed)
    assert [text for _, _, text in tokens(html)] == ["1", "2"]
    assert f"nothing that {packed.reference} was made from holds vocabulary.parquet" in html


def test_a_vocabulary_that_is_none_is_named(made: Made) -> None:
    wrong = {"id": pl.String(), "bytes": pl.Binary()}
    other = made.whole("tokenizer", "vocabulary.parquet", pl.DataFrame([("1", b"x")], wrong, orient="row"), wrong)
    html = made.page(made.packed([row(1)], tok=other))
    assert "id: expected int32, found string; kind: expected string, found no such column" in html
    assert [text for _, _, text in tokens(html)] == ["1"]


def test_hostile_pieces_are_text_on_every_page(made: Made) -> None:
    ids = [token for token, _, _ in PIECES]
    rows = [row(*ids, 4, 65_535, None), row(), {"tokens": None, "document_starts": None, "mask": None}, *[row(1)] * 9]
    packed = made.packed(rows, tok=vocabulary(made))
    addresses = []
    for address, html in every_address(client(made.store.url)):
        addresses.append(address)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", Links(html).text), address
    assert f"/{packed.reference}/tokens?page=2" in addresses
    html = made.page(packed)
    found = {title.split(" ")[0]: (kind, text) for kind, title, text in tokens(html)}
    assert found["10"][1].startswith("&lt;script&gt;fetch")
    assert "‹U+202E›" in found["13"][1]
    assert found["30"][1] == "x" * 200 + " …"
    assert "unknown" in found["4"][0]
    assert found["65535"][1] == "65535"
    assert found["6"][1] == "6"
    assert "null" in found["None"][1]
    assert "an empty row" in html
    assert "tokens is null" in html


def test_what_does_not_fit_the_row_is_said(made: Made) -> None:
    html = made.page(made.packed([row(1, 1, 1, starts=[-1, 0, 0, 3, None], mask=[True])]))
    assert "mask has 1 values for 3 tokens, and is not shown" in html
    assert "4 of 5 document starts are repeated, null or outside of the row" in html
    assert "masked" not in "".join(kind for kind, _, _ in tokens(html))
    columns = {"tokens": pl.List(pl.Int64), "mask": pl.List(pl.String)}
    html = made.page(made.packed([{"tokens": [-5, 2**40], "mask": ["a", "b"]}], columns))
    assert "mask is list" in html
    assert [text for _, _, text in tokens(html)] == ["-5", "1099511627776"]


def test_a_long_row_is_gone_through_in_pieces(made: Made) -> None:
    packed = made.packed([row(*[7] * (MOST + 100))])
    assert len(tokens(made.page(packed))) == HEAD
    whole = made.page(packed, "?row=0")
    assert len(tokens(whole)) == MOST
    link = re.search(r'rel="next" href="([^"]+)"', whole)
    assert link
    rest = client(made.store.url).get(link[1].replace("&amp;", "&")).text
    assert [title for _, title, _ in tokens(rest)][::99] == [f"7 at {MOST}", f"7 at {MOST + 99}"]
    assert "none from 99,999 on" in made.page(packed, "?row=0&from=99999")
    masked = made.packed([row(*[7] * (MOST + 2), mask=[False] * MOST + [True, False])])
    assert [kind for kind, _, _ in tokens(made.page(masked, f"?row=0&from={MOST}"))] == ["", "o masked"]


@pytest.mark.parametrize("kind", [pl.String(), pl.List(pl.String), pl.List(pl.Float32), pl.Int64()])
def test_columns_of_another_shape_have_no_such_page(made: Made, kind: Any) -> None:
    other = made.packed([], {"tokens": kind})
    browser = client(made.store.url)
    assert ">Tokens</a>" not in browser.get(f"/{other.reference}").text
    assert "expected a column tokens: a list of integers" in browser.get(f"/{other.reference}/tokens").text


@pytest.mark.parametrize(
    ("rest", "says"), [("?row=1", "from 0 to 0"), ("?page=2", "there are pages 1 to 1"), ("?rwo=1", "unknown parameter")]
)
def test_what_is_refused_is_named(made: Made, rest: str, says: str) -> None:
    answer = client(made.store.url).get(f"/{made.packed([row(1)]).reference}/tokens{rest}")
    assert (answer.status_code, says in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("piece", "html"),
    [
        (b"", ""),
        ("é▁".encode(), "é▁"),
        (b"a\xc3", "a&lt;0xC3&gt;"),
        (b"\xed\xa0\x80", "&lt;0xED&gt;&lt;0xA0&gt;&lt;0x80&gt;"),
        (b"<0x41>\\x41", "&lt;0x41&gt;\\x41"),
        (b"\t\r", '<span class="space">⇥</span><span class="space">⇤</span>'),
    ],
)
def test_bytes_are_shown_as_what_they_are(piece: bytes, html: str) -> None:
    assert shown(piece) == html
