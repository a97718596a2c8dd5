"""`winnow ask`: a model answers from what a search finds, an index is made once, sources are named."""

import itertools
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from flows.engines.local import LocalEngine
from flows.identity import Dataset
from flows.materialize import sources
from models.formats.pretrained import save_model
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.tokenizer.reserved import RESULT_END, SEARCH, SEARCH_END, TURN_END
from stages.stage import Stage
from storage.problem import Problem
from storage.runs import records
from storage.store import Store
from tests.flows.toy import NoConfig, context
from tests.models.chat.tools.walking import walking

PAGES = {"id": pl.String(), "url": pl.String(), "text": pl.String()}
TEXTS = [
    "Tara lives in Holmford. Her parrot whistles at the neighbours.",
    "Odin keeps an owl. Odin works as a smith.",
    "Gelmere lies on the river Dresuth.",
]


def never(*arguments: Any) -> None:
    raise AssertionError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, engine: LocalEngine) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def pages(store: Store, engine: LocalEngine) -> Dataset:
    frame = pl.DataFrame({"id": ["a", "b", "c"], "url": [f"https://{n}.example" for n in "abc"], "text": TEXTS}, schema=PAGES)
    stage = Stage(name="pages", version=1, run=never, config=NoConfig, adds=PAGES)
    return sources(context(store, engine), stage, NoConfig(), {"digest": ("pages.jsonl", frame)})


def model(folder: Path, says: str, context: int = 1024) -> str:
    """A folder of a chat model that says this behind a result, reserved names in it as tokens; and that alone."""
    tokenizer = made(bytelevel.train(TEXTS * 9, 330))
    parts = says.split("|") if "|" in says else [says]
    named = {"SEARCH": SEARCH, "SEARCH_END": SEARCH_END}
    walk = [tokenizer.special[RESULT_END]]
    for part in parts:
        walk += [tokenizer.special[named[part]]] if part in named else tokenizer.encode(part)
    walk.append(tokenizer.special[TURN_END])
    assert len(set(walk)) == len(walk)
    network = walking(tokenizer.size, dict(itertools.pairwise(walk)), context)
    save_model(network, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)
    return str(folder)


def called(store: Store, *arguments: str) -> Any:
    done = CliRunner().invoke(app, ["ask", *arguments, "--store", store.url])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_the_answer_comes_with_its_sources_and_the_index_is_made_once(store: Store, pages: Dataset, tmp_path: Path) -> None:
    given = [model(tmp_path, "owl."), "Which animal does Odin keep?", "--corpus", pages.snapshot.reference]
    first = called(store, *given, "--json")
    found = json.loads(first.stdout)
    assert "making an index of" in first.stderr
    assert (found["answer"], found["finished"], found["calls"]) == ("owl.", True, [])
    assert found["shown"].startswith("[1] Odin keeps an owl. Odin works as a smith.")
    assert [found["sources"][0][name] for name in ("number", "id", "url")] == [1, "b", "https://b.example"]

    second = called(store, *given)
    assert "making an index of" not in second.stderr
    assert second.stdout.splitlines()[:3] == ["owl.", "", "[1] https://b.example  b"]
    index = next(iter((Path(store.root) / "index").iterdir())).name
    [run] = records(store)  # of the first time alone
    assert (run.flow, run.state, run.parameters) == ("index", "completed", {"corpus": pages.snapshot.reference})
    assert run.artifacts["index"].reference.startswith(f"index/{index}")
    assert run.artifacts["index"].inputs == {"docs": pages.snapshot.reference}
    again = json.loads(called(store, *given[:2], "--corpus", f"index/{index}", "--json").stdout)
    assert again == found


def test_a_call_of_the_models_own_is_answered_and_shown(store: Store, pages: Dataset, tmp_path: Path) -> None:
    """The model of the test goes on behind every result in the same way, until it may call no more."""
    given = [model(tmp_path, "SEARCH|Dresuth|SEARCH_END"), "Where does Tara live?", "--corpus", pages.snapshot.reference]
    found = json.loads(called(store, *given, "--json", "--tokens", "900", "--hits", "1").stdout)
    assert found["calls"][0] == {
        "tool": "search",
        "text": "Dresuth",
        "result": "[1] Gelmere lies on the river Dresuth.",
    }
    assert found["calls"][4]["result"] == "error: no more than 4 calls are allowed"
    assert found["sources"][0]["id"] == "a"
    assert not found["finished"]
    assert "search: Dresuth" in called(store, *given, "--hits", "1").stdout


def test_where_the_context_is_small_less_is_shown_and_where_it_is_too_small_it_is_refused(
    store: Store, pages: Dataset, tmp_path: Path
) -> None:
    given = ["Tara, Odin and Gelmere?", "--corpus", pages.snapshot.reference]
    whole = json.loads(called(store, model(tmp_path / "large", "owl."), *given, "--json").stdout)
    found = json.loads(called(store, model(tmp_path / "small", "owl.", 130), *given, "--json").stdout)
    assert found["answer"] == whole["answer"] == "owl."
    assert 0 < len(found["shown"]) < len(whole["shown"])
    assert len(found["sources"]) < len(whole["sources"]) == 3
    with pytest.raises(Problem, match="the model's context is 40; ask in fewer words, or a model with a longer context"):
        called(store, model(tmp_path / "tiny", "owl.", 40), *given)


def test_a_question_about_nothing_in_the_corpus_has_no_sources(store: Store, pages: Dataset, tmp_path: Path) -> None:
    shown = called(store, model(tmp_path, "No."), "zzz?", "--corpus", pages.snapshot.reference).stdout
    assert shown.splitlines()[-1] == "The search found nothing."


def test_an_empty_question_an_unknown_method_and_a_corpus_that_is_not_there_are_refused(
    store: Store, pages: Dataset, tmp_path: Path
) -> None:
    chat = model(tmp_path, "No.")
    with pytest.raises(Problem, match="the question is empty"):
        called(store, chat, "  ", "--corpus", pages.snapshot.reference)
    with pytest.raises(Problem, match="found the search method 'fuzzy'"):
        called(store, chat, "owl?", "--corpus", pages.snapshot.reference, "--method", "fuzzy")
    with pytest.raises(Problem, match="no artifact 'nowhere'"):
        called(store, chat, "owl?", "--corpus", "nowhere")
