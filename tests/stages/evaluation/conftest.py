"""A small country, a tokenizer of its pages, and a model that has read them until it knew them."""

from pathlib import Path

import pytest
import torch

from models.formats.pretrained import save_model
from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import made
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.loss import cross_entropy
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.evaluation.facts import QUESTIONS
from stages.evaluation.prompted import HEAD
from stages.simulation.world import FACTS
from stages.stage import Input
from storage.shards import encode
from tests.stages.evaluation.country import Country, a_country

CONTEXT = 96


@pytest.fixture(scope="session")
def country() -> Country:
    return a_country()


@pytest.fixture(scope="session")
def words(country: Country) -> list[str]:
    return [*country.pages.values(), *country.unread.values(), *QUESTIONS.values(), HEAD, "Question: Answer:"] * 4


@pytest.fixture(scope="session")
def tokenizer(words: list[str]) -> Tokenizer:
    return made(bytelevel.train(words, 512))


@pytest.fixture(scope="session")
def tokenizers(tokenizer: Tokenizer, words: list[str]) -> list[Tokenizer]:
    """One of each kind."""
    return [tokenizer, made(sentence_piece.train(words, 512))]


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
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, betas=(0.9, 0.95), weight_decay=0.0)
    steps = 120
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1, step / 10) * (1 - step / steps)
        total, count = cross_entropy(model.hidden(ids[:, :-1]), model.output_weight, targets)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
    torch.set_num_threads(threads)
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
