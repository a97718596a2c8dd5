"""A small country, a tokenizer of its pages, and a model that has read them until it knew them."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch

from models.formats.pretrained import save_model
from models.tokenizer import bytelevel
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.loss import cross_entropy
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.evaluation.facts import QUESTIONS, Fact
from stages.simulation.world import FACTS, build, facts
from stages.stage import Input
from storage.shards import encode

CONTEXT = 96


@dataclass(frozen=True)
class Country:
    table: pl.DataFrame
    facts: list[Fact]
    pages: dict[str, str]
    """Subject -> a page that states its facts in the plain words."""
    unread: dict[str, str]
    """Pages about another country."""


def country_of(seed: int) -> pl.DataFrame:
    return facts(build(seed, people=8, towns=4, rivers=3)).filter(pl.col("attribute") != "km")


def pages_of(table: pl.DataFrame) -> dict[str, str]:
    return {
        str(name): " ".join(rows["sentence"])
        for (name,), rows in table.filter(pl.col("subject") != "").group_by("subject", maintain_order=True)
    }


@pytest.fixture(scope="session")
def country() -> Country:
    table = country_of(7)
    return Country(table, [Fact(*row) for row in table.iter_rows()], pages_of(table), pages_of(country_of(8)))


@pytest.fixture(scope="session")
def tokenizer(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [*country.pages.values(), *country.unread.values(), *QUESTIONS.values()] * 4
    for name, content in bytelevel.train(texts, 420).items():
        (folder / name).write_bytes(content)
    return load(folder)


@pytest.fixture(scope="session")
def fresh(tokenizer: Tokenizer) -> Transformer:
    """Untrained."""
    torch.manual_seed(0)
    return Transformer(
        Shape(vocab=tokenizer.size, width=64, layers=2, heads=2, kv_heads=1, head_width=32, hidden=128, context=CONTEXT)
    )


@pytest.fixture(scope="session")
def learnt(country: Country, tokenizer: Tokenizer, fresh: Transformer) -> Transformer:
    """Has read every page, its sentences in any order, until it knew them by heart."""
    model = Transformer(fresh.shape)
    model.load_state_dict(fresh.state_dict())
    rows = [[tokenizer.start or 0, *tokenizer.encode(text), tokenizer.stops[0]] for text in country.pages.values()]
    rows += [[tokenizer.start or 0, *tokenizer.encode(fact.sentence), tokenizer.stops[0]] for fact in country.facts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad] * (longest - len(row)) for row in rows])
    targets = torch.tensor([row[1:] + [-1] * (longest - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, betas=(0.9, 0.95), weight_decay=0.0)
    steps = 120
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1, step / 10) * (1 - step / steps)
        total, count = cross_entropy(model.hidden(ids[:, :-1]), model.output_weight, targets)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture
def crawl(country: Country, tmp_path: Path) -> Input:
    folder = tmp_path / "crawl"
    folder.mkdir()
    (folder / "facts.parquet").write_bytes(encode(country.table, FACTS))
    return Input(folder, ("facts.parquet",))


@pytest.fixture
def model_folder(learnt: Transformer, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    save_model(learnt, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)
    return folder
