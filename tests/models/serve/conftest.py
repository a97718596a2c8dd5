"""One server for all tests of a file that only ask: a model that writes at random, and its official client."""

from collections.abc import Iterator

import openai
import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from tests.models.serve.server import random_model, running, served
from tests.models.serve.server import tokenizer as trained


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return trained()


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer) -> Transformer:
    return random_model(tokenizer.size)


@pytest.fixture(scope="module")
def address(tokenizer: Tokenizer, model: Transformer) -> Iterator[str]:
    with running([served("random", tokenizer, model)]) as at:
        yield at


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as made:
        yield made
