"""Conversations share rows whole; what a model computes of each is what it computes of it alone."""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import torch

from models.chat.renderer import render
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.segments import segment_mask
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.posttraining.conversations import CONVERSATIONS
from stages.posttraining.layout import CORPORA, LAID, LAYOUT, LayoutConfig
from stages.posttraining.render import RENDER, RenderConfig
from stages.posttraining.rows import ChatRows
from stages.stage import Input
from storage.problem import Problem
from storage.shards import arrow_schema, encode, read_parquet
from storage.viewer.chat import shape as chats_of
from storage.viewer.tokens_page import LISTS

from .conftest import SYSTEM, frame, talk

T = 160
TALKS = [[SYSTEM, *talk(number, 1 + number % 3)] for number in range(40)]


def artifact(folder: Path, frames: list[pl.DataFrame]) -> Input:
    folder.mkdir(parents=True)
    for index, one in enumerate(frames):
        (folder / f"chats-p{index:04}-00000000.parquet").write_bytes(encode(one, dict(one.schema)))
    return Input(folder, tuple(sorted(path.name for path in folder.iterdir())))


def rendered(vocabulary: Input, folder: Path, row_length: int = T) -> Input:
    config, sides = RenderConfig(row_length=row_length), {"tokenizer": vocabulary}
    halves = [RENDER.run(frame(TALKS[:32]), config, sides), RENDER.run(frame(TALKS[32:], "validation"), config, sides)]
    return artifact(folder, halves)


def laid_out(vocabulary: Input, folder: Path, seed: int = 0, **sources: Input) -> tuple[Input, dict[str, Any]]:
    folder.mkdir(parents=True)
    stats = LAYOUT.run({"tokenizer": vocabulary, **sources}, folder, LayoutConfig(row_length=T, seed=seed))
    return Input(folder, tuple(sorted(path.name for path in folder.iterdir()))), stats


def rows(laid: Input, split: str) -> list[dict[str, Any]]:
    return [row for path in laid.shards if path.name.startswith(split) for row in read_parquet(str(path)).iter_rows(named=True)]


def test_every_conversation_stands_whole_in_one_row_with_its_mask(
    vocabulary: Input, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    laid, stats = laid_out(vocabulary, tmp_path / "laid", chats=rendered(vocabulary, tmp_path / "chats"))
    assert sorted(laid.names) == ["corpora.parquet", "packing.json", "train-00000.parquet", "validation-00000.parquet"]
    found: dict[str, list[str]] = {"train": [], "validation": []}
    for split, talks in (("train", TALKS[:32]), ("validation", TALKS[32:])):
        for row in rows(laid, split):
            assert len(row["tokens"]) == len(row["mask"]) == T + 1
            assert row["tokens"][row["used"] :] == [tokenizer.pad] * (T + 1 - row["used"])
            assert not any(row["mask"][row["used"] :])
            assert row["document_starts"][0] == 0
            ends = [*row["document_starts"][1:], row["used"]]
            for begin, end, identity in zip(row["document_starts"], ends, row["conversations"], strict=True):
                made = render(talks[int(identity.removeprefix("talk-"))], tokenizer)
                assert row["tokens"][begin:end] == made.tokens
                assert row["mask"][begin:end] == made.mask
            found[split] += row["conversations"]
    assert sorted(found["train"]) == sorted(f"talk-{index}" for index in range(32))
    assert sorted(found["validation"]) == sorted(f"talk-{index}" for index in range(8))
    lengths = [len(render(one, tokenizer).tokens) for one in TALKS[:32]]
    assert stats["tokens"] == sum(lengths)
    assert stats["rows"] <= 1.25 * sum(lengths) / (T + 1) + 1
    corpora = read_parquet(str(tmp_path / "laid" / "corpora.parquet"))
    assert dict(corpora.schema) == CORPORA
    assert corpora["conversations"].to_list() == [32, 8]


def test_what_a_model_computes_of_a_packed_conversation_is_what_it_computes_of_it_alone(
    vocabulary: Input, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    laid, stats = laid_out(vocabulary, tmp_path / "laid", chats=rendered(vocabulary, tmp_path / "chats"))
    torch.manual_seed(1)
    model = Transformer(Shape(vocab=300, width=16, layers=2, heads=4, kv_heads=2, head_width=4, hidden=24, context=T))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    reader = ChatRows(laid, tmp_path / ".cache", {}, seed=3)
    batch = reader.training(0, stats["rows"])
    tokens, targets, segments, positions = (
        torch.from_numpy(one) for one in (batch.tokens, batch.targets, batch.segments, batch.positions)
    )
    with torch.no_grad():
        packed = model(tokens, positions, segment_mask(segments))
    alone = {tuple(made.tokens): made for made in (render(one, tokenizer) for one in TALKS[:32])}
    seen = 0
    for b in range(len(tokens)):
        for number in range(int(segments[b].max()) + 1):
            here = (segments[b] == number).nonzero()[:, 0]
            ids = tokens[b, here].tolist()
            made = next(alone[whole] for whole in alone if list(whole[: len(ids)]) == ids and len(whole) - len(ids) <= 1)
            with torch.no_grad():
                torch.testing.assert_close(packed[b, here], model(torch.tensor([ids]))[0], atol=1e-5, rtol=0)
            wanted = [token if learnt else -1 for token, learnt in zip(made.tokens[1:], made.mask[1:], strict=True)]
            assert targets[b, here].tolist() == [*wanted, -1][: len(ids)]
            seen += 1
    assert seen == 32
    assert int((targets != -1).sum()) == stats["learnt_tokens"]
    assert (targets[segments == -1] == -1).all()


def test_rows_come_in_an_order_that_the_seed_decides(vocabulary: Input, tmp_path: Path) -> None:
    chats = rendered(vocabulary, tmp_path / "chats")
    laid, stats = laid_out(vocabulary, tmp_path / "laid", chats=chats)
    again, _ = laid_out(vocabulary, tmp_path / "again", chats=chats)
    other, _ = laid_out(vocabulary, tmp_path / "other", seed=1, chats=chats)
    for name in laid.names:
        assert (laid.folder / name).read_bytes() == (again.folder / name).read_bytes()
    assert (laid.folder / "train-00000.parquet").read_bytes() != (other.folder / "train-00000.parquet").read_bytes()
    count = stats["rows"]
    reader, elsewhere = (ChatRows(laid, tmp_path / cache, {}, seed=5) for cache in (".one", ".two"))
    whole = reader.training(0, 2 * count).tokens
    assert (whole[count - 1 : count + 2] == elsewhere.training(count - 1, 3).tokens).all()
    assert sorted(map(tuple, whole[:count].tolist())) == sorted(map(tuple, whole[count:].tolist()))
    assert reader.validation_count == len(reader.validation(0, 99).tokens) == len(rows(laid, "validation"))


def test_several_sources_keep_their_names_and_are_weighted(vocabulary: Input, tmp_path: Path) -> None:
    laid, _ = laid_out(
        vocabulary, tmp_path / "laid", a=rendered(vocabulary, tmp_path / "a"), b=rendered(vocabulary, tmp_path / "b")
    )
    assert {row["source"] for row in rows(laid, "train")} == {"a", "b"}
    reader = ChatRows(laid, tmp_path / ".cache", {"a": 3, "b": 1}, seed=0)
    assert reader.rows.epochs(400)["a"] == pytest.approx(3 * reader.rows.epochs(400)["b"], rel=0.05)


def test_what_does_not_fit_together_is_a_problem(vocabulary: Input, tmp_path: Path) -> None:
    long = rendered(vocabulary, tmp_path / "long", row_length=4 * T)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(
        Problem, match=r"'chats' has a conversation of \d+ tokens, a row holds 41; give `render` and `layout` one"
    ):
        LAYOUT.run({"tokenizer": vocabulary, "chats": long}, out, LayoutConfig(row_length=40))
    with pytest.raises(Problem, match="found no conversations"):
        LAYOUT.run({"tokenizer": vocabulary}, out, LayoutConfig())
    held = artifact(tmp_path / "held", [RENDER.run(frame(TALKS, "validation"), RenderConfig(), {"tokenizer": vocabulary})])
    with pytest.raises(Problem, match="'chats' has no conversation to learn from"):
        LAYOUT.run({"tokenizer": vocabulary, "chats": held}, out, LayoutConfig())
    docs = RENDER.run(frame(TALKS), RenderConfig(), {"tokenizer": vocabulary}).with_columns(vocabulary=pl.lit("another"))
    foreign = artifact(tmp_path / "foreign", [docs])
    with pytest.raises(Problem, match="'chats' was rendered with another tokenizer: vocabulary another"):
        LAYOUT.run({"tokenizer": vocabulary, "chats": foreign}, out, LayoutConfig())


def test_without_validation_there_are_no_rows_of_it(vocabulary: Input, tmp_path: Path) -> None:
    chats = artifact(tmp_path / "chats", [RENDER.run(frame(TALKS), RenderConfig(row_length=T), {"tokenizer": vocabulary})])
    laid, stats = laid_out(vocabulary, tmp_path / "laid", chats=chats)
    reader = ChatRows(laid, tmp_path / ".cache", {}, seed=0)
    assert reader.validation_count == 0
    assert reader.validation(0, 5).tokens.shape == (0, T)
    assert len(reader.training(0, stats["rows"]).tokens) == stats["rows"]


def test_the_viewer_shows_conversations_as_chats_and_rows_as_tokens(vocabulary: Input, tmp_path: Path) -> None:
    laid, _ = laid_out(vocabulary, tmp_path / "laid", chats=rendered(vocabulary, tmp_path / "chats"))
    assert dict(read_parquet(str(laid.folder / "train-00000.parquet")).schema) == LAID
    assert all(is_list(arrow_schema(LAID).field(name).type, kinds) for name, kinds in LISTS.items())
    assert chats_of(arrow_schema(CONVERSATIONS)) == "conversation"


def is_list(kind: pa.DataType, inner: Any) -> bool:
    return bool(pa.types.is_list(kind)) and any(one(kind.value_type) for one in inner)
