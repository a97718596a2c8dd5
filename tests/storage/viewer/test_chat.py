"""Chats: rows as conversations, with thoughts apart, long texts folded and hostile ones as text."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.recipe import Recipe
from storage.shards import File, sha256, write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.chat import ROOM, TURNS, chat, side

from .conftest import HOSTILE_TEXTS, client
from .test_pages import Links, every_address

MESSAGES = pl.List(
    pl.Struct({"role": pl.String, "content": pl.String, "name": pl.String, "tool_calls": pl.List(pl.Struct({"f": pl.String}))})
)


def say(role: str | None, content: str | None, **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, "name": None, "tool_calls": None} | fields


def dataset(folder: Path, columns: dict[str, Any], rows: list[dict[str, Any]], stage: str = "sft") -> Snapshot:
    store, recipe = Store(str(folder)), Recipe(stage, 1, {}, {})
    store.write(f"{stage}/{recipe.key}/recipe.json", json.dumps(recipe.document()).encode())
    frame = pl.DataFrame(rows, schema=columns)
    file = write_shard(store, f"{stage}/{recipe.key}", "crawl-p0000-00000000.parquet", frame, columns, "o0")
    made = Snapshot.of(stage, recipe.key, [file])
    made.seal(store)
    return made


def page(folder: Path, made: Snapshot, rest: str = "") -> str:
    answer = client(str(folder)).get(f"/{made.reference}/chat{rest}")
    assert answer.status_code == 200, answer.text[-600:]
    return answer.text


def words(html: str) -> str:
    return re.sub(r"\s+", " ", Links(html).text)


def test_a_conversation_is_its_turns_with_thoughts_folded_and_fields_shown(tmp_path: Path) -> None:
    talk = [
        say("system", "Be brief."),
        say("user", "What is 2 + 2?", name="Ada"),
        say("assistant", "<think>two and two</think>4", tool_calls=[{"f": "add"}]),
        say("tool", None),
    ]
    made = dataset(tmp_path, {"messages": MESSAGES, "source": pl.String()}, [{"messages": talk, "source": "sums"}])
    html = page(tmp_path, made)
    assert re.findall(r'<li class="turn (\w+)">', html) == ["system", "user", "assistant", "tool"]
    assert re.search(
        r'<details class="thought">.*?two and two</div></details>\s*<div class="said" dir="auto">4</div>', html, re.S
    )
    assert "&lt;think&gt;" not in html
    assert "source sums" in words(html)
    assert "name Ada" in words(html)
    assert 'tool_calls [{"f": "add"}]' in words(html)
    assert "no content: null" in words(html)


def test_what_was_thought_may_stand_in_a_field_of_its_own() -> None:
    turns = side(
        "", [say("assistant", "4", reasoning_content="two and two"), say("assistant", "", reasoning_content="")], ""
    ).turns
    assert [[(part.kind, part.shown) for part in turn.parts] for turn in turns] == [
        [("thought", "two and two"), ("said", "4")],
        [("thought", "")],
    ]
    assert [turn.fields for turn in turns] == [(), ()]


def test_a_rollout_is_prompt_and_completion_with_its_figures(tmp_path: Path) -> None:
    columns = {
        "prompt": MESSAGES, "completion": pl.String(), "reward": pl.Float32(), "advantage": pl.Float64(), "finish_reason": pl.String(),
        "logprob": pl.List(pl.Float32), "tokens": pl.List(pl.Int32),
    }  # fmt: skip
    rows = [
        {"prompt": [say("user", "3 - 5?")], "completion": "<think>never ends", "reward": float("nan"), "advantage": -0.5,
         "finish_reason": "length", "logprob": [-1.0, -2.0, None, float("-inf")], "tokens": [1, 2]},
        {"prompt": None, "completion": None, "reward": None, "advantage": None, "finish_reason": None, "logprob": [], "tokens": None},
    ]  # fmt: skip
    html = page(tmp_path, dataset(tmp_path, columns, rows, "rollouts"))
    text = words(html)
    assert "reward nan" in text
    assert "advantage -0.5" in text
    assert "finish_reason length" in text
    assert "logprob mean -1.5 of 4" in text
    assert re.search(r'<details class="thought"><summary>unfinished thought, 10 characters', html)
    assert "no prompt: null" in text


def test_a_preference_is_two_answers_side_by_side(tmp_path: Path) -> None:
    columns = {
        "prompt": pl.String(),
        "chosen": pl.String(),
        "rejected": MESSAGES,
        "margin": pl.Float64(),
        "annotator": pl.String(),
    }
    row = {"prompt": "Hello", "chosen": "Hi!", "rejected": [say("assistant", "Go away")], "margin": 1.25, "annotator": "judge-1"}
    html = page(tmp_path, dataset(tmp_path, columns, [row]))
    sides = re.findall(r'<section class="(chosen|rejected)">(.*?)</section>', html, re.S)
    assert [name for name, _ in sides] == ["chosen", "rejected"]
    assert "Hi!" in sides[0][1]
    assert "Go away" in sides[1][1]
    assert "margin 1.25" in words(html)
    assert "annotator judge-1" in words(html)


@pytest.mark.parametrize(
    "columns",
    [
        {"messages": pl.String()},
        {"messages": pl.List(pl.String)},
        {"messages": pl.List(pl.Struct({"role": pl.Int64, "content": pl.String}))},
        {"messages": pl.List(pl.Struct({"role": pl.String}))},
        {"prompt": pl.String(), "completion": pl.Int64()},
        {"prompt": pl.String(), "chosen": pl.String()},
        {"text": pl.String()},
    ],
)
def test_columns_of_another_shape_have_no_such_page(tmp_path: Path, columns: dict[str, Any]) -> None:
    made = dataset(tmp_path, columns, [])
    browser = client(str(tmp_path))
    assert ">Chats</a>" not in browser.get(f"/{made.reference}").text
    for rest in ("", "?table=nosuch"):
        answer = browser.get(f"/{made.reference}/chat{rest}")
        assert answer.status_code == 400
        assert "expected a column messages" in answer.text or "has no table" in answer.text


def test_a_store_of_hostile_chats_is_walked_through_as_text(tmp_path: Path) -> None:
    talk = [say(text, text, name=text, tool_calls=[{"f": text}, None, {"f": None}]) for text in HOSTILE_TEXTS]
    odd: list[Any] = [[], None, [None], [say(None, None), say("", "")], [say("user", "</think><think><think>")]]
    rows: list[dict[str, Any]] = [{"messages": one, "source": None} for one in [talk, *odd]]
    rows += [{"messages": [say("user", f"turn {n}")], "source": HOSTILE_TEXTS[0]} for n in range(20)]
    made = dataset(tmp_path, {"messages": MESSAGES, "source": pl.String()}, rows)
    seen = []
    for address, html in every_address(client(str(tmp_path))):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", Links(html).text), address
        assert Links(html).scripts == ["/static/keyboard.js"]
        seen.append(address)
    assert f"/{made.reference}/chat?page=2" in seen
    first = page(tmp_path, made)
    assert "&lt;script&gt;fetch" in first
    assert "‹U+202E›" in first
    for note in ("the list is empty", "no messages", "no message: null", "no role", "no content: empty"):
        assert note in words(first)
    assert [int(n) for n in re.findall(r">row (\d+)</a>", page(tmp_path, made, "?page=3"))] == [20, 21, 22, 23, 24, 25]
    answer = client(str(tmp_path)).get(f"/{made.reference}/chat?page=4")
    assert (answer.status_code, "there are pages 1 to 3" in answer.text) == (400, True)


def test_a_million_characters_are_cut_and_the_cut_is_named(tmp_path: Path) -> None:
    talk = [say("user", "long " * 200_000), say("assistant", "after it")]
    html = page(tmp_path, dataset(tmp_path, {"messages": MESSAGES}, [{"messages": talk}]))
    assert len(html) < 3 * ROOM
    assert f"{1_000_000 - ROOM:,} of 1,000,000 characters are not shown" in words(html)
    assert '<details class="rest">' in html


def test_a_text_in_many_pieces_is_shown_whole_and_once() -> None:
    text = "a<think>b</think>" * 50 + "x" * 3_000
    [turn] = side("", text, "answer").turns
    whole = "".join(
        f"<think>{one.shown}{one.folded}</think>" if one.kind == "thought" else one.shown + one.folded for one in turn.parts
    )
    assert whole == text
    assert turn.note == ""


def test_many_turns_are_cut_and_counted() -> None:
    made = chat(3, {"messages": [say("user", "hello")] * (TURNS + 7)}, "conversation")
    assert len(made.before.turns) == TURNS
    assert made.before.note == "7 more turns; the row has them"


def test_what_is_not_unicode_inside_a_message_is_mended(tmp_path: Path) -> None:
    bad = pa.array([b"caf\xe9"], pa.binary()).view(pa.string())
    messages = pa.ListArray.from_arrays([0, 1], pa.StructArray.from_arrays([pa.array(["user"]), bad], ["role", "content"]))
    path = tmp_path / "sft" / "0123456789ab" / "talk.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"messages": messages}), path)
    data = path.read_bytes()
    made = Snapshot.of("sft", "0123456789ab", [File("talk.parquet", len(data), sha256(data), 1)])
    made.seal(Store(str(tmp_path)))
    assert "caf\ufffd" in page(tmp_path, made)
