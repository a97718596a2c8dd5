"""Tokenizers that others made: the same ids as transformers gives, roles from wherever they are said, and clear refusals."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from models.tokenizer.load import load
from models.unusable import Unusable

from .made import HOSTILE, gibberish, texts

SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SAMPLES = [*HOSTILE, *gibberish(100)]


def bytelevel(digits: str, special: list[str], named: list[str]) -> Any:
    """A byte-level BPE as Llama 3 and Qwen publish it: reserved tokens behind the vocabulary."""
    engine = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not digits)
    split = pre_tokenizers.Split(Regex(SPLIT % digits.removesuffix("1")), "isolated")
    engine.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if digits else level
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    engine.train_from_iterator(texts(60), trainer)
    engine.add_special_tokens([AddedToken(name, normalized=False) for name in special])
    engine.add_tokens([AddedToken(name, normalized=False) for name in named])
    return engine


def folder_of(folder: Path, engine: Any, **files: dict[str, Any]) -> Path:
    if engine is not None:
        engine.save(str(folder / "tokenizer.json"))
    for name, document in files.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def same_as_transformers(folder: Path, reserved: list[str]) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: make install")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    plain = [text for text in SAMPLES if not any(name in text for name in reserved)]
    assert load(folder).encode_batch(plain) == theirs(plain, add_special_tokens=False)["input_ids"]


def test_a_llama_3_folder(tmp_path: Path) -> None:
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|eot_id|>"]
    engine = bytelevel("{1,3}", special, [])
    engine.post_processor = processors.TemplateProcessing(single=f"{special[0]} $A", special_tokens=[(special[0], 500)])
    folder_of(
        tmp_path,
        engine,
        tokenizer_config={
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": {"__type": "AddedToken", "content": special[0]},
            "eos_token": special[3],
        },
        generation_config={"bos_token_id": 500, "eos_token_id": [501, 503]},
        config={"eos_token_id": 501, "bos_token_id": 500},
    )
    found = load(tmp_path)
    assert (found.kind, found.size, found.start, found.stops, found.pad) == ("bytelevel", 504, 500, (503, 501), 502)
    assert found.pretokenizer == "llama-bpe"  # type: ignore[attr-defined]
    assert found.special == {name: 500 + n for n, name in enumerate(special)}
    same_as_transformers(tmp_path, special)
    for text in SAMPLES:
        assert found.decode([500, *found.encode(text), 503, 502]) == text
        assert max(found.encode(text), default=0) < 500


def test_a_qwen_3_folder_where_no_text_becomes_a_named_token_though_it_is_not_marked_special(tmp_path: Path) -> None:
    special, named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["<think>", "</think>", "<|fim_pad|>"]
    engine = bytelevel("1", special, named)
    engine.normalizer = normalizers.NFC()
    folder_of(
        tmp_path,
        engine,
        tokenizer_config={
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
        },
        generation_config={"bos_token_id": 500, "eos_token_id": [502, 500], "pad_token_id": 500},
    )
    found = load(tmp_path)
    assert (found.start, found.stops, found.pad) == (None, (502, 500), 505)
    assert found.special == {name: 500 + n for n, name in enumerate([*special, *named])}
    assert [kind for _, kind in found.pieces()[500:]] == ["control"] * 6
    assert max(found.encode("a <think> b </think><|fim_pad|><|im_end|>")) < 500
    assert found.decode([503, *found.encode("e\u0301 <think>"), 502]) == "é <think>"
    same_as_transformers(tmp_path, [*special, *named])


def test_a_gpt_2_folder_where_one_token_is_everything(tmp_path: Path) -> None:
    engine = bytelevel("", ["<|endoftext|>"], [])
    folder_of(
        tmp_path, engine, config={"model_type": "gpt2", "bos_token_id": 500, "eos_token_id": 500},
        tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024},
    )  # fmt: skip
    found = load(tmp_path)
    assert (found.start, found.stops, found.pad) == (500, (500,), 500)
    assert found.pretokenizer == "gpt-2"  # type: ignore[attr-defined]
    same_as_transformers(tmp_path, ["<|endoftext|>"])


def llama_2() -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in texts() for line in text.splitlines()), model_writer=model, model_type="bpe",
        vocab_size=600, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def test_a_llama_2_folder_with_its_model_alone(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(llama_2())
    found = load(tmp_path)
    assert (found.kind, found.start, found.stops, found.pad) == ("sentencepiece", 1, (2,), 0)
    assert found.special == {"<s>": 1, "</s>": 2}
    engine = sentencepiece.SentencePieceProcessor(model_proto=(tmp_path / "tokenizer.model").read_bytes())
    assert found.encode_batch(SAMPLES) == engine.encode(SAMPLES)
    assert found.decode([1, *found.encode("Kalo  mi </s>"), 2]) == "Kalo  mi </s>"


def test_a_llama_2_folder_with_a_tokenizer_json_is_read_as_transformers_reads_it(tmp_path: Path) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_proto=llama_2())
    from models.tokenizer.sentence_piece_json import tokenizer_json

    document = json.loads(tokenizer_json(processor))
    prepend = {"type": "Prepend", "prepend": "▁"}
    document["normalizer"] = {"type": "Sequence", "normalizers": [prepend, document["normalizer"]]}
    document["decoder"]["decoders"].append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    (tmp_path / "tokenizer.model").write_bytes(processor.serialized_model_proto())
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    folder_of(tmp_path, None, tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast", **roles})
    found = load(tmp_path)
    assert (found.kind, found.start, found.stops, found.pad) == ("sentencepiece", 1, (2,), 0)
    assert [found.pieces()[n] for n in (0, 1, 3, 258)] == [
        (b"<unk>", "control"), (b"<s>", "control"), (b"\x00", "byte"), (b"\xff", "byte"),
    ]  # fmt: skip
    assert found.decode([1, *found.encode("Kalo  mi </s>"), 2]) == "Kalo  mi </s>"
    same_as_transformers(tmp_path, ["<s>", "</s>", "<unk>"])


def test_saving_a_foreign_tokenizer_keeps_its_files_as_they_were(tmp_path: Path) -> None:
    engine = bytelevel("1", ["<|endoftext|>"], [])
    engine.enable_truncation(3)
    folder_of(tmp_path, engine, tokenizer_config={"eos_token": "<|endoftext|>", "chat_template": "{{ x }}"})
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}")
    found = load(tmp_path)
    assert len(found.encode("one two three four five")) > 3
    found.save(tmp_path / "copy")
    names = sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert names == ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]
    for name in names:
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_folders_that_hold_no_usable_tokenizer_are_refused_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"there is no folder .*nowhere"):
        load(tmp_path / "nowhere")
    with pytest.raises(Unusable, match=r"no tokenizer is here; expected tokenizer.json or tokenizer.model"):
        load(tmp_path)
    Tokenizer(models.WordPiece()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(Unusable, match="of the kind WordPiece; expected BPE"):
        load(tmp_path)
    for broken in (b"{", b"[]", b"{}", b'{"model": {}, "added_tokens": 3}', b'{"model": {"type": "BPE"}, "added_tokens": []}'):
        (tmp_path / "tokenizer.json").write_bytes(broken)
        with pytest.raises(Unusable, match=r"tokenizer.json cannot be (read|used)"):
            load(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    with pytest.raises(Unusable, match=r"tokenizer.model is no model of sentencepiece"):
        load(tmp_path)


def test_a_file_beside_it_that_is_no_json_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, bytelevel("1", ["<|endoftext|>"], []))
    (tmp_path / "generation_config.json").write_text("{,}")
    with pytest.raises(Unusable, match=r"generation_config.json is not JSON"):
        load(tmp_path)


def test_a_text_that_is_too_much_for_foreign_regular_expressions_is_an_error_that_says_so(tmp_path: Path) -> None:
    engine = bytelevel("1", ["<|endoftext|>"], [])
    engine.normalizer = normalizers.NFC()
    found = load(folder_of(tmp_path, engine))
    with pytest.raises(Unusable, match=r"a text of 12,000,000 characters is too much for this tokenizer's regular expressions"):
        found.encode(" " * 12_000_000)
