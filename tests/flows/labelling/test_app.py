"""The page on which people judge, without a browser: what it asks, keeps, goes on with and refuses."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from flows.labelling.app import Desk, create_app
from flows.labelling.items import Answered, Item, items
from flows.labelling.judgements import append
from flows.labelling.report import report
from models.chat.conversation import ASSISTANT, USER, Message
from models.chat.fields import fields
from stages.alignment.compared import compare
from stages.alignment.import_preferences import IMPORT_PREFERENCES, ImportPreferencesConfig
from stages.alignment.judgements import read
from stages.alignment.rollout import ROLLOUT
from storage.problem import Problem
from storage.shards import File, encode, sha256
from storage.snapshot import Snapshot
from storage.store import Store

ADDRESS = "http://127.0.0.1:8000"


def item(number: int, *texts: str, models: tuple[str, ...] = ()) -> Item:
    prompt = (fields(Message(USER, f"Question <b>{number}</b>?")),)
    answers = [Answered(Message(ASSISTANT, text), models[place] if models else None) for place, text in enumerate(texts)]
    return Item(f"item/{number} &", prompt, tuple(answers))


ITEMS = [item(number, "Yes, <script>alert(1)</script>.", "No.", "Perhaps.") for number in range(3)]


def client(path: Path, name: str = "Ann", given: list[Item] = ITEMS) -> tuple[TestClient, Desk]:
    desk = Desk(given, name, path, "rollouts/0123")
    return TestClient(create_app(desk), base_url=ADDRESS, headers={"origin": ADDRESS}), desk


def judge(page: TestClient, one: Item, ranks: str, **headers: str) -> Any:
    return page.post("/judge", data={"item": one.id, "ranks": ranks}, headers=headers, follow_redirects=False)


def test_a_judgement_is_kept_at_once_in_the_order_of_the_item_and_can_be_learnt_from(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    page, _desk = client(path)
    assert "0 of 3 judged" in page.get("/").text
    shown = ITEMS[0].shown("Ann")
    assert judge(page, ITEMS[0], "1,2,2").status_code == 303
    (line,) = map(json.loads, path.read_text().splitlines())
    assert [line["ranks"][place] for place in shown] == [1, 2, 2]
    assert (line["item"], line["annotator"], line["source"]) == (ITEMS[0].id, "Ann", "rollouts/0123")
    pairs = compare(line).pairs
    best = ITEMS[0].answers[shown[0]].message
    assert [pair.chosen for pair in pairs] == [(best,), (best,)]
    out = tmp_path / "out"
    out.mkdir()
    assert IMPORT_PREFERENCES.run({"files": path}, out, ImportPreferencesConfig())["pairs"] == 2


def test_lines_that_are_no_judgements_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    page, _ = client(path)
    judge(page, ITEMS[1], "1,2,3")
    whole = path.read_text()
    [line] = whole.splitlines()
    bad = [json.dumps(json.loads(line) | {"ranks": ranks}) for ranks in (5, "xyz", [1, None, 2], [1, 2], [True, False, True])]
    path.write_text("\n".join([*bad, "{", *bad]) + "\n" + whole)
    assert read(path) == [json.loads(line)]
    assert "1 of 3 judged" in client(path)[0].get("/").text


def test_it_goes_on_where_it_stopped_skips_and_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    page, _ = client(path)
    assert "Question &lt;b&gt;1&lt;/b&gt;" in page.get("/", params={"skip": ITEMS[0].id}).text
    judge(page, ITEMS[1], "1,2,3")
    again, desk = client(path)
    assert desk.judged == [ITEMS[1].id]
    text = again.get("/").text
    assert "1 of 3 judged" in text
    assert "Question &lt;b&gt;0&lt;/b&gt;" in text
    assert 'href="/?item=item%2F1%20%26"' in text
    assert "judged before: 1, 2, 3" in again.get("/", params={"item": ITEMS[1].id}).text
    judge(again, ITEMS[1], "2,1,1")
    assert [len(path.read_text().splitlines()), len(read(path)), len(desk.judged)] == [2, 1, 1]
    for one in (ITEMS[0], ITEMS[2]):
        judge(again, one, "1,1,1")
    assert "All 3 items are judged" in again.get("/").text
    other, _ = client(path, "Bob")
    assert "0 of 3 judged" in other.get("/").text


def test_nothing_that_a_model_wrote_is_html_and_the_order_is_by_chance_for_each_annotator(tmp_path: Path) -> None:
    page, _ = client(tmp_path / "judged.jsonl")
    answer = page.get("/")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    orders = {tuple(ITEMS[0].shown(f"annotator {number}")) for number in range(50)}
    assert len(orders) == 6
    assert ITEMS[0].shown("Ann") == ITEMS[0].shown("Ann")


@pytest.mark.parametrize(("ranks", "status"), [("1,2", 400), ("1,2,x", 400), ("0,1,2", 400), ("", 400), ("1,2,3", 303)])
def test_what_is_no_order_of_the_answers_is_refused(tmp_path: Path, ranks: str, status: int) -> None:
    page, _ = client(tmp_path / "judged.jsonl")
    assert judge(page, ITEMS[0], ranks).status_code == status
    assert (tmp_path / "judged.jsonl").exists() == (status == 303)


def test_strangers_are_refused(tmp_path: Path) -> None:
    page, _ = client(tmp_path / "judged.jsonl")
    assert judge(page, ITEMS[0], "1,2,3", origin="http://evil.example").status_code == 403
    assert judge(page, ITEMS[0], "1,2,3", **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert page.get("/", headers={"host": "evil.example"}).status_code == 403
    assert page.get("/", params={"item": "none"}).status_code == 404
    assert not (tmp_path / "judged.jsonl").exists()


def test_a_line_that_was_cut_off_is_passed_over_and_the_next_begins_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    append(path, ITEMS[0].judgement("Ann", [1, 2, 3], ""))
    path.write_bytes(path.read_bytes() + b'{"item": "hal')
    append(path, ITEMS[1].judgement("Ann", [1, 2, 3], ""))
    assert [row["item"] for row in read(path)] == [ITEMS[0].id, ITEMS[1].id]
    with pytest.raises(Problem, match="cannot write"):
        append(tmp_path / "none" / "judged.jsonl", {})


def test_the_report_tells_agreement_and_whose_answers_are_liked(tmp_path: Path) -> None:
    several = [item(number, "Yes.", "No.", models=("sft", "dpo")) for number in range(12)]
    lines = [one.judgement("Ann", [1, 2] if number % 4 else [2, 1], "") for number, one in enumerate(several)]
    assert "No item was judged by two people yet" in report(lines)
    lines += [one.judgement("Bob", [1, 2] if number % 3 else [2, 1], "") for number, one in enumerate(several)]
    text = report(lines)
    assert "| Ann and Bob | 12 | 12 | 0.58 | 0.00 |" in text
    assert text.index("| sft | 1") < text.index("| dpo | 9")
    assert "| 17 | 7 | 0 |" in text


def rollouts(folder: Path, rows: list[dict[str, Any]], **columns: Any) -> Snapshot:
    schema = ROLLOUT | columns
    data = encode(pl.DataFrame(rows, schema=schema), schema)
    (folder / "rollouts" / "0123456789ab").mkdir(parents=True)
    (folder / "rollouts" / "0123456789ab" / "rollouts-00000.parquet").write_bytes(data)
    return Snapshot.of("rollouts", "0123456789ab", [File("rollouts-00000.parquet", len(data), sha256(data), len(rows))])


def test_items_are_prompts_with_different_answers_that_came_to_their_end(tmp_path: Path) -> None:
    def row(identity: str, sample: int, answer: str, reason: str = "stop", **more: Any) -> dict[str, Any]:
        asked = [fields(Message(USER, f"Question {identity}?"))]
        return {
            "id": identity,
            "sample": sample,
            "messages": asked,
            "answer": answer,
            "finish_reason": reason,
            "faults": [],
            **more,
        }

    rows = [
        *(row("a", sample, answer) for sample, answer in enumerate(("Yes.", "No.", "Yes.", "Maybe.", "Never."))),
        row("b", 0, "Same."), row("b", 1, "Same."),
        row("c", 0, "Whole."), row("c", 1, "Cut", "length"),
        row("d", 0, "1", thinking="one"), row("d", 1, "1", thinking="two"),
    ]  # fmt: skip
    snapshot = rollouts(tmp_path, rows)
    found = items(Store(str(tmp_path)), snapshot, 3, 0)
    assert [one.id[:2] for one in found] == ["a-", "d-"]
    assert len({one.message.content for one in found[0].answers} & {"Yes.", "No.", "Maybe.", "Never."}) == 3
    assert [one.message.thinking for one in found[1].answers] == ["one", "two"]
    assert len(items(Store(str(tmp_path)), snapshot, 3, 1)) == 1
    with pytest.raises(Problem, match="no prompt with two different answers"):
        items(Store(str(tmp_path / "same")), rollouts(tmp_path / "same", rows[5:7]), 3, 0)


def test_other_answers_to_the_same_prompt_are_another_item(tmp_path: Path) -> None:
    def found(name: str, *texts: str, most: int = 4) -> Item:
        asked = [fields(Message(USER, "Question?"))]
        rows = [
            {"id": "a", "sample": sample, "messages": asked, "answer": text, "finish_reason": "stop", "faults": []}
            for sample, text in enumerate(texts)
        ]
        [one] = items(Store(str(tmp_path / name)), rollouts(tmp_path / name, rows), most, 0)
        return one

    texts = ("Yes.", "No.", "Perhaps.")
    first, again, others, fewer = (
        found("a", *texts),
        found("b", *texts),
        found("c", "Yes.", "Never.", "Maybe."),
        found("d", *texts, most=2),
    )
    assert first.id == again.id
    assert len({first.id, others.id, fewer.id}) == 3
    path = tmp_path / "judged.jsonl"
    page, _ = client(path, given=[first])
    judge(page, first, "1,2,3")
    for one in (others, fewer):
        page, desk = client(path, given=[one])
        assert desk.next([]) == one
        judge(page, one, ",".join("1" * len(one.answers)))
        assert "Ann" in page.get("/report").text
    assert len(read(path)) == 3


def test_of_an_arena_every_model_has_its_turn(tmp_path: Path) -> None:
    asked = [fields(Message(USER, "Question?"))]
    rows = [
        {
            "id": f"{number}",
            "sample": 0,
            "messages": asked,
            "answer": f"I am {model}.",
            "finish_reason": "stop",
            "faults": [],
            "model": model,
        }
        for number in range(40)
        for model in "abcde"
    ]
    found = items(Store(str(tmp_path)), rollouts(tmp_path, rows, model=pl.String()), 3, 0)
    assert {len(one.answers) for one in found} == {3}
    assert {answer.model for one in found for answer in one.answers} == set("abcde")


def test_answers_of_different_models_are_told_apart_even_where_they_are_equal(tmp_path: Path) -> None:
    asked = [fields(Message(USER, "Question?"))]
    rows = [
        {"id": "a", "sample": 0, "messages": asked, "answer": answer, "finish_reason": "stop", "faults": [], "model": model}
        for model, answer in (("sft", "Yes."), ("dpo", "No."), ("ppo", "Yes."))
    ]
    (found,) = items(Store(str(tmp_path)), rollouts(tmp_path, rows, model=pl.String()), 4, 0)
    assert [one.model for one in found.answers] == ["sft", "dpo", "ppo"]
    assert found.judgement("Ann", [1, 2, 1], "")["models"] == ["sft", "dpo", "ppo"]
