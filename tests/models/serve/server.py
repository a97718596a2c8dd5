"""A server in a thread of the test, on loopback, over models made here: one that writes at random, one of which is known what it says."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import uvicorn

from models.chat.tools.tool import Tool
from models.serve.app import create_app
from models.serve.batch import Batch
from models.serve.limits import Limits
from models.serve.served import Served
from models.serve.vocabulary import Vocabulary
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from tests.models.chat.tools.walking import walking

TEXTS = ["Hello there. The owl sees the moon.", "What is it? Be brief. user assistant system tool python"] * 9


def tokenizer() -> Tokenizer:
    return made(bytelevel.train(TEXTS, 330))


def random_model(vocab: int, context: int = 512, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(
        Shape(vocab=vocab, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=64, context=context, theta=10_000.0)
    )
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=weight.shape[-1] ** -0.5)
    return model.eval()


def walks(tokens: Tokenizer, *walks: Sequence[str], endless: bool = False, context: int = 512) -> Transformer:
    """Says each walk, a list of reserved names and texts; `endless`: then the last token leads to its second again."""
    following: dict[int, int] = {}
    for walk in walks:
        ids = [one for part in walk for one in ([tokens.special[part]] if part in tokens.special else tokens.encode(part))]
        assert len(set(ids)) == len(ids)
        following |= dict(itertools.pairwise(ids)) | ({ids[-1]: ids[1]} if endless else {})
    return walking(tokens.size, following, context)


def served(
    name: str, tokens: Tokenizer, model: Transformer, tools: Sequence[Tool] = (), places: int = 4, most_waiting: int = 256
) -> Served:
    return Served(name, tokens, Batch(model, places, most_waiting, threads=1), Vocabulary(tokens), tools)


@contextmanager
def running(models: Sequence[Served], limits: Limits | None = None, key: str | None = None) -> Iterator[str]:
    """Its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(models, limits, key), log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def until(holds: object, seconds: float = 60) -> None:
    """Waits until `holds()` is true."""
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.005)
