"""GGUF files: the bytes of llama.cpp's own quantizer, and back to a model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from models.formats.gguf_file import About, number, write_gguf
from models.formats.gguf_names import shapes
from models.formats.gguf_read import load_gguf, open_gguf
from models.quantization.mixture import FILE_TYPES, FileType
from models.tokenizer.bytelevel import train
from models.tokenizer.load import made
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable
from tests.llama_cpp import ask

BASE = Shape(vocab=320, width=256, layers=8, heads=4, kv_heads=2, head_width=64, hidden=256, context=64)
FEW = replace(BASE, layers=2)
SHAPES: dict[str, Shape] = {
    "qwen3, tied": BASE,
    "llama, untied, stretched": replace(BASE, qk_norm=False, tied=False, scaling=Llama3Scaling(8.0, 1.0, 4.0, 32)),
    "rows of 96 and 160": replace(BASE, width=96, heads=3, kv_heads=1, head_width=32, hidden=160),
    "eight experts": replace(FEW, qk_norm=False, hidden=256, experts=Experts(8, 2, 256)),
    "qwen3-moe": replace(FEW, experts=Experts(5, 2, 256)),
    "gpt2": replace(FEW, family="gpt2", qk_norm=False, kv_heads=4),
}
ABOUT = About("A model", "apache-2.0", "{{ bos_token }}", "a text")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return made(train(["the cat sat on the mat and the hat of the bat that ate the rat, which was quick and brown"] * 3, 300))


def model(shape: Shape) -> Transformer:
    torch.manual_seed(1)
    drawn = Transformer(shape)
    for weight in drawn.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    with torch.no_grad():  # rows that are no ordinary ones
        drawn.embedding.weight[5] *= 100
        drawn.embedding.weight[6] *= 1e-6
        drawn.embedding.weight[7], drawn.embedding.weight[8] = 0.25, 0
        drawn.blocks[0].attention.v.weight[:3] = 0  # type: ignore[union-attr, index, operator]
    return drawn


def importance(shape: Shape) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {
        name: draw.random((size[0], size[-1]) if len(size) == 3 else size[-1], np.float32) ** 4
        for name, size in shapes(shape).items()
        if len(size) > 1 and name.startswith("blk") and "gate_inp" not in name
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_every_file_type_has_the_bytes_of_llama_cpp(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    shape = SHAPES[name]
    drawn = model(shape)
    write_gguf(tmp_path / "source.gguf", drawn, tokenizer, "F32", ABOUT)
    jobs = [(tmp_path / f"theirs-{one}.gguf", number(one)) for one in FILE_TYPES]
    ask("quantize", source=tmp_path / "source.gguf", jobs=jobs)
    for one in FILE_TYPES:
        write_gguf(tmp_path / "ours.gguf", drawn, tokenizer, one, ABOUT)
        assert (tmp_path / "ours.gguf").read_bytes() == (tmp_path / f"theirs-{one}.gguf").read_bytes(), one


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_with_importance_every_tensor_has_the_bytes_of_llama_cpp(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    shape = SHAPES[name]
    drawn, given = model(shape), importance(shape)
    _alike(drawn, tokenizer, given, FILE_TYPES, tmp_path)
    if shape.width == 256:  # the importance did count
        write_gguf(tmp_path / "plain.gguf", drawn, tokenizer, "Q4_K_M", ABOUT)
        plain = {tensor.name: bytes(tensor.data) for tensor in gguf.GGUFReader(tmp_path / "plain.gguf").tensors}
        aimed = gguf.GGUFReader(tmp_path / "theirs-Q4_K_M.gguf").tensors
        assert all(
            plain[tensor.name] != bytes(tensor.data) for tensor in aimed if "ffn_up" in tensor.name and tensor.name in given
        )


@pytest.mark.slow
def test_where_almost_nothing_is_important_too(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Then scales of groups come out negative and go round."""
    shape = replace(FEW, width=1024, hidden=1024)
    draw = np.random.default_rng(1)
    given = {name: one * (draw.random(one.shape) > 0.93) for name, one in importance(shape).items()}
    _alike(model(shape), tokenizer, given, ("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q5_K_S", "Q6_K"), tmp_path)


def _alike(
    drawn: Transformer, tokenizer: Tokenizer, given: dict[str, np.ndarray], types: tuple[FileType, ...], folder: Path
) -> None:
    """By `given` importance, every tensor of each type is llama.cpp's, and all metadata but the importance's own."""
    write_gguf(folder / "source.gguf", drawn, tokenizer, "F32", ABOUT)
    np.savez(folder / "importance.npz", **given)  # type: ignore[arg-type]
    jobs = [(folder / f"theirs-{one}.gguf", number(one)) for one in types]
    ask("quantize", source=folder / "source.gguf", jobs=jobs, importance=folder / "importance.npz")
    for one in types:
        write_gguf(folder / "ours.gguf", drawn, tokenizer, one, ABOUT, given)
        ours, theirs = (gguf.GGUFReader(folder / file) for file in ("ours.gguf", f"theirs-{one}.gguf"))
        assert [_whole(tensor) for tensor in ours.tensors] == [_whole(tensor) for tensor in theirs.tensors], one
        added = ours.fields.keys() - theirs.fields.keys()
        assert added == {"quantize.imatrix.dataset", "quantize.imatrix.entries_count"}


def _whole(tensor: Any) -> tuple[str, str, list[int], bytes]:
    return tensor.name, tensor.tensor_type.name, list(tensor.shape), bytes(tensor.data)


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_in_full_precision_comes_back_as_the_same_model(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    shape = SHAPES[name]
    drawn = model(shape)
    write_gguf(tmp_path / "model.gguf", drawn, tokenizer, "F32", ABOUT)
    again = load_gguf(tmp_path / "model.gguf")
    first, second = dict(drawn.named_parameters()), dict(again.named_parameters())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    tokens = torch.arange(2 * 40).view(2, 40) * 7 % 300
    torch.testing.assert_close(again(tokens), drawn(tokens), rtol=2e-4, atol=2e-4)
    assert replace(again.shape, eps=shape.eps, scaling=shape.scaling, experts=shape.experts) == shape


def test_the_same_model_gives_the_same_bytes_and_nothing_else_beside(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_gguf(tmp_path / folder / "model.gguf", model(FEW), tokenizer, "Q4_K_M", ABOUT)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["model.gguf"]
    assert (tmp_path / "one/model.gguf").read_bytes() == (tmp_path / "two/model.gguf").read_bytes()


def test_the_weights_of_a_quantized_file_are_near_those_of_the_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    drawn = model(FEW)
    errors = []
    for one in ("F16", "Q8_0", "Q6_K", "Q5_K_S", "Q4_K_S"):
        file_type: FileType = one  # type: ignore[assignment]
        write_gguf(tmp_path / "model.gguf", drawn, tokenizer, file_type, ABOUT)
        again = dict(load_gguf(tmp_path / "model.gguf").named_parameters())
        name = "blocks.1.feed_forward.up.weight"
        errors.append(float((again[name] - dict(drawn.named_parameters())[name]).detach().norm()))
    assert errors == sorted(errors)
    assert errors[0] > 0


def test_what_is_wrong_with_a_file_is_said(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with pytest.raises(Unusable, match="is missing"):
        open_gguf(path)
    write_gguf(path, model(FEW), tokenizer, "Q8_0", ABOUT)
    whole = path.read_bytes()
    for size in (0, 3, 100, 5000, len(whole) - 1000):
        path.write_bytes(whole[:size])
        with pytest.raises(Unusable, match="cut short or no GGUF file"):
            open_gguf(path)
    path.write_bytes(whole.replace(b"qwen3", b"qwen9"))
    with pytest.raises(Unusable, match=r"gguf: the architecture is 'qwen9'"):
        open_gguf(path)
    path.write_bytes(whole.replace(b"token_embd", b"token_embx"))
    with pytest.raises(Unusable, match=r"the metadata are not those of a model \(KeyError: 'token_embd"):
        open_gguf(path)
    path.write_bytes(whole.replace(b"general.name", b"general.\xff\xfe\xfd\xfc"))
    with pytest.raises(Unusable, match="cut short or no GGUF file"):
        open_gguf(path)


def test_positions_that_are_stretched_otherwise_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(path, model(replace(FEW, qk_norm=False)), tokenizer, "Q8_0", ABOUT)
    reader = gguf.GGUFReader(path)
    for name, value in (("rope.scaling.type", "yarn"), ("rope.scale_linear", 4.0)):
        writer = gguf.GGUFWriter(tmp_path / "other.gguf", "llama")
        for field in reader.fields.values():
            if not field.name.startswith(("GGUF.", "general.architecture")):
                sub = field.types[-1] if len(field.types) > 1 else None
                writer.add_key_value(field.name, field.contents(), field.types[0], sub)
        (writer.add_string if isinstance(value, str) else writer.add_float32)(f"llama.{name}", value)
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with pytest.raises(Unusable, match=rf"^[^(]*llama\.{name} is {value}; expected"):
            open_gguf(tmp_path / "other.gguf")


def test_what_llama_cpp_would_compute_otherwise_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    loose = replace(FEW, experts=Experts(5, 2, 256, normalised=False))
    with pytest.raises(Unusable, match="do not add up to one"):
        write_gguf(tmp_path / "model.gguf", model(loose), tokenizer, "F16", ABOUT)
    stretched = replace(FEW, scaling=Llama3Scaling(8.0, 1.0, 4.0, 32))
    with pytest.raises(Unusable, match="rope scaling"):
        write_gguf(tmp_path / "model.gguf", model(stretched), tokenizer, "F16", ABOUT)
    with pytest.raises(Unusable, match="299 rows for 300 tokens"):
        write_gguf(tmp_path / "model.gguf", model(replace(FEW, vocab=299)), tokenizer, "F16", ABOUT)
    assert not list(tmp_path.glob("*.gguf"))
