"""Conversations from a file to packed rows, as artifacts."""

import json
from pathlib import Path

from flows.engines.local import LocalEngine
from flows.materialize import materialize
from models.tokenizer import bytelevel, load
from stages.posttraining.import_conversations import IMPORT_CONVERSATIONS, ImportConversationsConfig
from stages.posttraining.layout import LAYOUT, LayoutConfig
from stages.posttraining.render import RENDER, RenderConfig
from stages.stage import Input
from storage.store import Store
from tests.flows.toy import context


def test_rows_of_a_file_are_counted_by_reason_and_the_others_become_packed_rows(tmp_path: Path, engine: LocalEngine) -> None:
    rows = [{"prompt": f"Say {n}.", "completion": f"{n}."} for n in range(30)]
    rows += [{"prompt": "Say.", "completion": "x" * 400}, {"chosen": "a", "rejected": "b"}]  # type: ignore[list-item]
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = tmp_path / "tokenizer"
    load.made(bytelevel.train(["Say 1 or 23. user assistant"] * 3, 280)).save(folder)
    tokenizer = Input(folder, tuple(sorted(path.name for path in folder.iterdir())))
    made = context(Store(str(tmp_path / "store")), engine)

    def everything() -> list[object]:
        chats = materialize(made, IMPORT_CONVERSATIONS, ImportConversationsConfig(validation=0.2), given={"files": file})
        tokens = materialize(made, RENDER, RenderConfig(row_length=64), chats, {"tokenizer": tokenizer})
        packed = materialize(made, LAYOUT, LayoutConfig(row_length=64), given={"tokenizer": tokenizer, "chats": tokens})
        assert chats.snapshot.reasons == {"preference": 1}
        assert chats.snapshot.kept == tokens.snapshot.rows == 31
        assert tokens.snapshot.reasons == {"too_long": 1}
        assert 15 < packed.snapshot.stats["conversations"] < 30
        return [chats, tokens, packed]

    first = everything()
    assert [one.snapshot for one in everything()] == [one.snapshot for one in first]  # type: ignore[attr-defined]
    assert [one.cached for one in everything()] == [True] * 3  # type: ignore[attr-defined]
