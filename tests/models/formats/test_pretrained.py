"""Model folders: written, read, and what is wrong with one is said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.formats.pretrained import load_model, read_shape, save_model
from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

BASE = Shape(vocab=31, width=16, layers=2, heads=4, kv_heads=2, head_width=4, hidden=24, context=20)
SHAPES = {
    "qwen3": BASE,
    "llama, untied, stretched": replace(BASE, qk_norm=False, tied=False, scaling=Llama3Scaling(8.0, 1.0, 4.0, 10)),
    "qwen3-moe": replace(BASE, experts=Experts(count=3, active=2, hidden=8)),
    "mixtral": replace(BASE, qk_norm=False, hidden=8, experts=Experts(count=3, active=2, hidden=8)),
    "gpt2": replace(BASE, family="gpt2", qk_norm=False, kv_heads=4),
}
TOKENS = torch.arange(20)[None] % 31
WEIGHTS = "model.safetensors"


def model(shape: Shape = BASE) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(shape)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return made


def written(folder: Path, shape: Shape = BASE) -> Path:
    save_model(model(shape), folder, start=1, stops=(2,), pad=0)
    return folder


def altered(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_read_is_what_was_written(name: str, tmp_path: Path) -> None:
    shape = SHAPES[name]
    random = torch.random.get_rng_state()
    folder = written(tmp_path, shape)
    torch.random.set_rng_state(random)
    again = load_model(folder)
    assert torch.equal(torch.random.get_rng_state(), random)  # reading draws no numbers
    assert again.shape == read_shape(folder) == shape
    first = dict(model(shape).named_parameters())
    second = dict(again.named_parameters())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) and second[key].requires_grad for key in first)
    assert torch.equal(again(TOKENS), model(shape)(TOKENS))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    names = sorted(path.name for path in one.iterdir())
    assert names == ["config.json", "generation_config.json", WEIGHTS]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_the_file_may_change_once_a_model_was_read(tmp_path: Path) -> None:
    again = load_model(written(tmp_path))
    before = again(TOKENS)
    altered(tmp_path, lambda tensors: [tensor.zero_() for tensor in tensors.values()])
    (tmp_path / WEIGHTS).write_bytes(b"")
    assert torch.equal(again(TOKENS), before)


def test_stops_and_padding_are_told(tmp_path: Path) -> None:
    save_model(model(), tmp_path, start=None, stops=(2, 5), pad=7)
    for name in ("config.json", "generation_config.json"):
        told = json.loads((tmp_path / name).read_text())
        assert (told["bos_token_id"], told["eos_token_id"], told["pad_token_id"]) == (None, [2, 5], 7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_written_and_read_into_fp32(dtype: torch.dtype, tmp_path: Path) -> None:
    save_model(model(), tmp_path, start=1, stops=(2,), pad=0, dtype=dtype)
    assert {tensor.dtype for tensor in load_file(tmp_path / WEIGHTS).values()} == {dtype}
    again = load_model(tmp_path)
    for name, weight in model().named_parameters():
        assert torch.equal(again.get_parameter(name), weight.to(dtype).float()), name
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == str(dtype).removeprefix("torch.")


def test_the_mathematics_may_be_in_another_type(tmp_path: Path) -> None:
    again = load_model(written(tmp_path), torch.bfloat16)
    assert again(TOKENS).dtype == torch.bfloat16
    assert again.embedding.weight.dtype == torch.float32


def sharded(folder: Path) -> Path:
    """The tensors of one file over three, with an index."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    where = {name: f"model-{number % 3 + 1:05}-of-00003.safetensors" for number, name in enumerate(tensors)}
    for file in set(where.values()):
        save_file({name: tensor for name, tensor in tensors.items() if where[name] == file}, folder / file)
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def test_shards_are_read(tmp_path: Path) -> None:
    assert torch.equal(load_model(sharded(written(tmp_path)))(TOKENS), model()(TOKENS))


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    (sharded(written(tmp_path)) / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(Unusable, match=r"names 'model-00002-of-00003.safetensors', which is no file of this folder"):
        load_model(tmp_path)


def test_an_index_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    folder = sharded(written(tmp_path / "model"))
    save_file({"x": torch.zeros(1)}, tmp_path / "outside.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"x": "../outside.safetensors"}}))
    with pytest.raises(Unusable, match=r"names '\.\./outside\.safetensors', which is no file of this folder"):
        load_model(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "{"])
def test_a_damaged_index_is_refused(content: str, tmp_path: Path) -> None:
    (sharded(written(tmp_path)) / f"{WEIGHTS}.index.json").write_text(content)
    with pytest.raises(Unusable, match=r"index\.json (has no weight_map|holds list; expected an object|cannot be read)"):
        load_model(tmp_path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    altered(written(tmp_path), lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(Unusable, match=r"lacks model\.layers\.1\.mlp\.up_proj\.weight, which its config\.json asks for"):
        load_model(tmp_path)


def test_an_extra_tensor_is_named(tmp_path: Path) -> None:
    altered(written(tmp_path), lambda tensors: tensors.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(16)}))
    with pytest.raises(
        Unusable, match=r"holds model\.layers\.0\.self_attn\.q_proj\.bias, which no model of its config\.json has"
    ):
        load_model(tmp_path)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    altered(written(tmp_path), lambda tensors: tensors.update({"model.norm.weight": torch.ones(17)}))
    with pytest.raises(Unusable, match=r"model\.norm\.weight is \[17\]; its config\.json asks for \[16\]"):
        load_model(tmp_path)


def test_a_gpt2_matrix_that_was_not_turned_is_refused(tmp_path: Path) -> None:
    name = "transformer.h.0.mlp.c_fc.weight"
    altered(written(tmp_path, SHAPES["gpt2"]), lambda tensors: tensors.update({name: tensors[name].T.contiguous()}))
    with pytest.raises(Unusable, match=r"c_fc\.weight is \[24, 16\]; its config\.json asks for \[16, 24\]"):
        load_model(tmp_path)


def test_a_tensor_of_whole_numbers_is_refused(tmp_path: Path) -> None:
    altered(written(tmp_path), lambda tensors: tensors.update({"model.norm.weight": torch.ones(16, dtype=torch.int8)}))
    with pytest.raises(Unusable, match=r"model\.norm\.weight is stored as I8; expected F32, F16, BF16"):
        load_model(tmp_path)


def test_a_tied_output_matrix_may_be_there_if_it_is_the_embedding(tmp_path: Path) -> None:
    altered(written(tmp_path), lambda tensors: tensors.update({"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}))
    assert torch.equal(load_model(tmp_path)(TOKENS), model()(TOKENS))
    altered(tmp_path, lambda tensors: tensors["lm_head.weight"].add_(1))
    with pytest.raises(Unusable, match=r"lm_head\.weight differs from model\.embed_tokens\.weight"):
        load_model(tmp_path)


@pytest.mark.parametrize("length", [0, 7, 8, 300, -1])
def test_a_truncated_file_is_refused(length: int, tmp_path: Path) -> None:
    path = written(tmp_path) / WEIGHTS
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Unusable, match="is cut short or damaged"):
        load_model(tmp_path)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Unusable, match=r"pytorch_model\.bin is a pickle, which may run code"):
        load_model(tmp_path)


def test_a_folder_without_config_or_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"config\.json is missing; expected a Hugging Face model folder"):
        load_model(tmp_path)
    written(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(Unusable, match=r"holds neither model\.safetensors nor model\.safetensors\.index\.json"):
        load_model(tmp_path)


def test_the_refused_config_is_named(tmp_path: Path) -> None:
    path = written(tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "relu"}))
    with pytest.raises(Unusable, match=r"config\.json: hidden_act is 'relu'"):
        load_model(tmp_path)
