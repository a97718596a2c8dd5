"""`winnow run tokenizer`: from an artifact that is there to a tokenizer that commands and transformers read."""

import json
from pathlib import Path

from flows.engines.local import LocalEngine
from models.tokenizer.load import load
from storage.store import Store
from tests.flows.conftest import Winnow
from tests.flows.toy import context, texts

TEXTS = ["The river runs to the sea, and the sea takes it in. " * 3, "A page that says little: 42 words, no more.\n"] * 30


def test_a_corpus_becomes_a_tokenizer_and_a_second_run_finds_it(tmp_path: Path, engine: LocalEngine, winnow: Winnow) -> None:
    store = Store(str(tmp_path))
    docs = texts(context(store, engine), TEXTS).snapshot
    command = ["run", "tokenizer", "--store", str(tmp_path), "--set", f"corpus={docs.reference}", "--set", "tokenizer.size=310"]
    first = winnow(*command, "--json")
    made = json.loads(first.stdout.splitlines()[-1])["artifacts"]["tokenizer"]
    assert load(Path(made["path"])).size == 310
    assert not made["cached"]
    assert "| all | " in first.stderr
    assert f"winnow tokens --tokenizer tokenizer/{made['key']}@{made['snapshot']}" in first.stderr

    again = json.loads(winnow(*command, "--json").stdout.splitlines()[-1])["artifacts"]["tokenizer"]
    assert again == made | {"cached": True}
    shown = json.loads(winnow("tokens", "the sea", "--store", str(tmp_path), "--json").stdout)
    assert shown["tokenizer"] == f"tokenizer/{made['key']}@{made['snapshot']}"

    recipe = json.loads((Path(made["path"]) / "recipe.json").read_text())
    assert recipe["inputs"] == {"docs": docs.reference}
    other = winnow(*command, "--set", "tokenizer.kind=sentencepiece", "--set", "tokenizer.size=3000", code=2)
    assert "tokenizer: the text gives a vocabulary of" in other.stderr.splitlines()[-1]
