"""Tokenizers in GGUF files: llama.cpp makes the same tokens of a text."""

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch

from models.chat.template import template
from models.formats.gguf_file import About, write_gguf
from models.formats.gguf_vocabulary import vocabulary
from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import made
from models.tokenizer.pretokenizers import NAMES, Pretokenizer
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable
from tests.llama_cpp import ask

TEXTS = [
    "Hello world, the quick brown fox jumps over 13 lazy dogs; we've seen it, they'LL see it too.\n\n\tTabs  and   spaces\r\n",
    "日本語のテキスト 我想在apple工作 Привет мир 🚀🦙 कान्हा ไทย عربى 3.14159 ê é ½ ²",
]
HOSTILE = [
    "Hello world", "  leading   spaces\n\n\n\ttabs\r\n crlf  \n  end  ", "I've we'LL 'tis don't o'ſ", "123 4567 12345678 3.14 ١٢٣",
    "日本語 我想在apple工作1314151天～", "🚀🦙 👩‍👩‍👧", "Привет ê é e\u0301", "a\u00a0b\u3000c\u200bd\u2028e\u0085f", "\x00\x01\x02", " ", "   ", "\n", "ﬁ ﬂ Ⅷ ½ ²",
    "कान्हा ไทย عربى", "<|im_start|>user<|im_sep|>hi<|im_end|>", "<think>foo</think> <|document_end|>bar<|pad|>",
    " \n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n", "\ufeffbom \ue000 \U0010ffff", "\u0130\u212a\u017f",
]  # fmt: skip
POOL = [
    chr(code)
    for code in [
        *range(9, 14), *[*range(32, 127)] * 3, 0xA0, 0x85, 0x2003, 0x2028, 0x301, 0x308, 0x3042, 0x4E2D, 0x1F600, 0x200D, 0xFE0F, 0x660,
        0x966, 0xB2, 0xBD, 0x2160, 0x1D7D8, 0xE000, 0x10FFFF, 0xFEFF, 0x17F, 0x212A, 0x130,
    ]
]  # fmt: skip
SHAPE = Shape(vocab=640, width=32, layers=1, heads=1, kv_heads=1, head_width=32, hidden=32, context=64)


def hostile() -> list[str]:
    draw = random.Random(0)
    return HOSTILE + ["".join(draw.choices(POOL, k=draw.randrange(1, 60))) for _ in range(1000)]


def written(folder: Path, tokenizer: Tokenizer, chat: str = "") -> Path:
    torch.manual_seed(0)
    write_gguf(folder / "model.gguf", Transformer(SHAPE), tokenizer, "F32", About("A tokenizer", template=chat))
    return folder / "model.gguf"


def bytes_of(name: Pretokenizer) -> Tokenizer:
    return made(bytelevel.train(TEXTS * 5, 420, name))


def pieces() -> Tokenizer:
    return made(sentence_piece.train(TEXTS * 5, 460))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_byte_level_tokens_are_llama_cpps(name: Pretokenizer, tmp_path: Path) -> None:
    tokenizer = bytes_of(name)
    texts = hostile()
    found = ask("tokens", model=written(tmp_path, tokenizer), texts=texts)
    assert found == tokenizer.encode_batch(texts)


@pytest.mark.slow
def test_sentencepiece_tokens_are_llama_cpps(tmp_path: Path) -> None:
    tokenizer = pieces()
    texts = hostile()
    found = ask("tokens", model=written(tmp_path, tokenizer), texts=texts)
    assert found == tokenizer.encode_batch(texts)


@pytest.mark.slow
def test_a_wrong_name_of_the_pretokenizer_gives_other_tokens(tmp_path: Path) -> None:
    tokenizer = bytes_of("gpt-2")
    path = written(tmp_path, tokenizer)
    path.write_bytes(path.read_bytes().replace(b"gpt-2", b"qwen2"))
    texts = hostile()
    found = ask("tokens", model=path, texts=texts)
    assert sum(one != other for one, other in zip(found, tokenizer.encode_batch(texts), strict=True)) >= 10


@pytest.mark.slow
def test_reserved_names_become_reserved_tokens_only_where_they_count(tmp_path: Path) -> None:
    for place, tokenizer in enumerate((bytes_of("qwen2"), pieces())):
        folder = tmp_path / str(place)
        folder.mkdir()
        path = written(folder, tokenizer, template())
        text = "<|im_start|>user<|im_sep|>a<|im_end|>"
        names = [tokenizer.special[name] for name in ("<|im_start|>", "<|im_sep|>", "<|im_end|>")]
        (counted,) = ask("tokens", model=path, texts=[text], special=True)
        assert counted == [names[0], *tokenizer.encode("user"), names[1], *tokenizer.encode("a"), names[2]]
        said = ask("metadata", model=path)
        assert said["template"] == template()
        assert said["tokenizer.ggml.bos_token_id"] == str(tokenizer.start)
        assert (said["tokenizer.ggml.eos_token_id"], said["tokenizer.ggml.eot_token_id"]) == tuple(map(str, tokenizer.stops))
        assert said["tokenizer.ggml.add_bos_token"] == "true"


def test_each_token_has_its_type() -> None:
    found = vocabulary(bytes_of("qwen2"), 640)
    assert len(found.tokens) == len(found.types) == len(set(found.tokens)) == 640
    assert found.types.count(3) == 14  # control
    assert found.types.count(5) == 640 - 420  # unused
    words = vocabulary(pieces(), 640)
    assert (words.types.count(6), words.types.count(2), words.types.count(3)) == (256, 1, 14)
    assert words.add_space_prefix is False
    assert len(words.scores) == 640


def foreign(**settings: Any) -> Tokenizer:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 5), model_writer=model, vocab_size=340, byte_fallback=True, character_coverage=0.99, minloglevel=2, **settings
    )  # fmt: skip
    return made({"tokenizer.model": model.getvalue()})


@pytest.mark.slow
def test_the_space_that_llama_2_puts_before_a_text_is_put_there_too(tmp_path: Path) -> None:
    tokenizer = foreign(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False)
    found = vocabulary(tokenizer, 640)
    assert found.add_space_prefix
    assert found.add_bos
    texts = hostile()
    assert ask("tokens", model=written(tmp_path, tokenizer), texts=texts) == tokenizer.encode_batch(texts)


def test_a_tokenizer_that_changes_text_or_does_not_merge_is_refused() -> None:
    with pytest.raises(Unusable, match="expected one that changes no text"):
        vocabulary(foreign(model_type="bpe"), 640)
    with pytest.raises(Unusable, match="a unigram one"):
        vocabulary(foreign(model_type="unigram", normalization_rule_name="identity", remove_extra_whitespaces=False), 640)


def test_a_pretokenizer_without_a_name_is_refused() -> None:
    files = bytelevel.train(TEXTS * 5, 420, "gpt-2")
    files["tokenizer.json"] = files["tokenizer.json"].replace(b'"use_regex":true', b'"use_regex":false')
    with pytest.raises(Unusable, match="has no name in a GGUF file"):
        vocabulary(made(files), 640)


def test_the_scores_of_a_tokenizer_json_are_the_places_of_its_merges() -> None:
    files = sentence_piece.train(TEXTS * 5, 460)
    whole, part = (
        made(files),
        made({"tokenizer.json": files["tokenizer.json"], "tokenizer_config.json": files["tokenizer_config.json"]}),
    )
    first, second = vocabulary(whole, 640), vocabulary(part, 640)
    assert first.tokens == second.tokens
    assert first.types == second.types
    made_of = [n for n in range(part.size) if second.scores[n] < 0]
    assert len(made_of) > 100
    assert sorted(made_of, key=lambda n: -first.scores[n]) == sorted(made_of, key=lambda n: -second.scores[n])


def test_a_start_token_is_put_where_the_files_say_so() -> None:
    tokenizer = bytes_of("gpt-2")
    assert vocabulary(tokenizer, 640).add_bos
    foreign = replace(tokenizer, special={"<|im_end|>": 5}, start=1)  # type: ignore[type-var]
    assert not vocabulary(foreign, 640).add_bos
