"""What llama.cpp computes of our GGUF files is what our model computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.chat.conversation import ASSISTANT, SYSTEM, USER, Message
from models.chat.renderer import prompt
from models.chat.template import template
from models.formats.gguf_file import About, write_gguf
from models.formats.gguf_read import load_gguf
from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import made
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import GREEDY
from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.transformer.transformer import Transformer
from tests.llama_cpp import ask

pytestmark = pytest.mark.slow

TEXTS = [
    "Where does Zolek live? Zolek lives in Marum, by the river; the quick brown fox jumps over 13 lazy dogs. assistant system user"
]
BASE = Shape(vocab=400, width=64, layers=3, heads=4, kv_heads=2, head_width=16, hidden=96, context=128)
SHAPES: dict[str, Shape] = {
    "qwen3": BASE,
    "qwen3 with heads of its own width, untied": replace(BASE, head_width=32, tied=False, theta=1e6),
    "llama": replace(BASE, qk_norm=False),
    "llama of 3.1, untied": replace(BASE, qk_norm=False, tied=False, theta=5e5, scaling=Llama3Scaling(8.0, 1.0, 4.0, 32)),
    "mixtral": replace(BASE, qk_norm=False, hidden=64, experts=Experts(4, 2, 64)),
    "qwen3-moe": replace(BASE, experts=Experts(5, 2, 32)),
    "gpt2": replace(BASE, family="gpt2", qk_norm=False, kv_heads=4),
}
TOKENS = [(17 * n + n * n) % 380 for n in range(100)]


def model(shape: Shape) -> Transformer:
    torch.manual_seed(3)
    drawn = Transformer(shape)
    for weight in drawn.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=1.2 * weight.shape[-1] ** -0.5)
        else:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    return drawn.eval()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return made(bytelevel.train(TEXTS * 5, 320))


def logits(path: Path, folder: Path) -> torch.Tensor:
    ask("logits", model=path, tokens=TOKENS, target=folder / "logits.npy")
    return torch.from_numpy(np.load(folder / "logits.npy"))


@pytest.mark.parametrize("name", SHAPES)
def test_logits_in_full_precision_are_ours(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    drawn = model(SHAPES[name])
    path = tmp_path / "model.gguf"
    write_gguf(path, drawn, tokenizer, "F32", About("A model"))
    theirs = logits(path, tmp_path)
    with torch.inference_mode():
        ours = drawn(torch.tensor([TOKENS]))[0]
    assert ours.std() > 0.3  # logits that say something
    assert (theirs - ours).abs().max() < (1e-2 if name == "gpt2" else 1e-3)


@pytest.mark.parametrize("name", ["llama", "mixtral"])
def test_rows_in_the_wrong_order_are_noticed(
    name: str, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.formats import gguf_file

    drawn = model(SHAPES[name])
    ordered = gguf_file.held
    monkeypatch.setattr(gguf_file, "held", lambda shape: [replace(one, heads=0) for one in ordered(shape)])
    write_gguf(tmp_path / "model.gguf", drawn, tokenizer, "F32", About("A model"))
    with torch.inference_mode():
        ours = drawn(torch.tensor([TOKENS]))[0]
    assert (logits(tmp_path / "model.gguf", tmp_path) - ours).abs().max() > 0.1


def test_a_quantized_file_stands_for_the_weights_that_we_read_from_it(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """llama.cpp rounds activations too, so the two agree only nearly: far better than with the model before."""
    shape = replace(BASE, width=256, heads=4, head_width=64, hidden=256)
    drawn = model(shape)
    path = tmp_path / "model.gguf"
    write_gguf(path, drawn, tokenizer, "Q4_K_M", About("A model"))
    theirs = logits(path, tmp_path)
    with torch.inference_mode():
        ours, before = (one(torch.tensor([TOKENS]))[0] for one in (load_gguf(path), drawn))
    assert (theirs - ours).norm() < 0.3 * (theirs - before).norm()


@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
def test_chats_through_the_embedded_template_go_on_as_ours_do(kind: str, tmp_path: Path) -> None:
    train = {"bytelevel": bytelevel.train, "sentencepiece": sentence_piece.train}[kind]
    tokenizer = made(train(TEXTS * 5, 320))
    drawn = model(BASE)
    path = tmp_path / "model.gguf"
    write_gguf(path, drawn, tokenizer, "F32", About("A model", template=template()))
    chats = [
        [Message(USER, "Where does Zolek live?")],
        [
            Message(SYSTEM, "Be brief.\n "),
            Message(USER, " a\n\nb  c "),
            Message(ASSISTANT, "in Marum"),
            Message(USER, "日本 and?"),
        ],
    ]
    for messages in chats:
        given = [{"role": one.role, "content": one.content} for one in messages]
        theirs = ask("chat", model=path, messages=given, count=40)
        assert theirs["ids"] == prompt(messages, tokenizer)
        (ours,) = (one.tokens for one in generate(drawn, [Request(theirs["ids"], 40, GREEDY, stops=tokenizer.stops)]))
        unsure = next((place for place, lead in enumerate(theirs["leads"]) if lead < 1e-3), len(theirs["leads"]))
        assert unsure > 5
        assert ours[:unsure] == theirs["written"][:unsure]
        assert theirs["legacy_ids"] == theirs["ids"]
