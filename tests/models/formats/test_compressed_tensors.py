"""int4 and int8 models in the format compressed-tensors."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.formats.compressed_tensors import is_compressed, load_compressed, pack, save_compressed, unpack
from models.formats.pretrained import save_model
from models.quantization.integers import Codes, Grid
from models.quantization.layer_by_layer import to_integers
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

SHAPE = Shape(vocab=61, width=64, layers=2, heads=4, kv_heads=2, head_width=16, hidden=96, context=64)
TOKENS = torch.arange(2 * 50).view(2, 50) * 7 % 61


def written(folder: Path, grid: Grid, shape: Shape = SHAPE) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(shape)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=1.5 * weight.shape[-1] ** -0.5)
    codes: dict[str, Codes] = {}
    for found in to_integers(model, [], "rtn", grid):
        codes |= found
    save_compressed(model, codes, grid, folder, start=1, stops=(2,), pad=0)
    return model.eval()


@pytest.mark.parametrize("bits", [4, 8])
def test_levels_are_packed_into_32_bits_and_back(bits: int) -> None:
    top = 2 ** (bits - 1)
    levels = (torch.arange(6 * 64).view(6, 64) * 11 % (2 * top) - top).to(torch.int8)
    packed = pack(levels, bits)
    assert (packed.dtype, tuple(packed.shape)) == (torch.int32, (6, 64 * bits // 32))
    assert int(packed[0, 0]) & (2**bits - 1) == int(levels[0, 0]) + top
    assert torch.equal(unpack(packed, bits), levels)
    with pytest.raises(Unusable, match="expected a multiple"):
        pack(levels[:, :5], bits)


@pytest.mark.parametrize("bits", [4, 8])
def test_what_is_read_is_what_was_written(bits: int, tmp_path: Path) -> None:
    model = written(tmp_path, Grid(bits, 32))
    again = load_compressed(tmp_path).eval()
    assert is_compressed(tmp_path)
    assert again.shape == SHAPE
    state = dict(again.named_parameters())
    for name, weight in model.named_parameters():
        assert torch.equal(state[name], weight if name.startswith("blocks.") and weight.ndim > 1 else weight.half().float()), name
    stored = load_file(tmp_path / "model.safetensors")
    assert stored["model.layers.1.mlp.down_proj.weight_packed"].shape == (64, 96 * bits // 32)
    assert stored["model.layers.1.mlp.down_proj.weight_shape"].tolist() == [64, 96]
    assert not any(name.endswith("proj.weight") for name in stored)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / name, Grid(4, 32))
    for name in ("config.json", "generation_config.json", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_other_folders_are_refused(tmp_path: Path) -> None:
    save_model(Transformer(SHAPE), tmp_path, start=1, stops=(2,), pad=0)
    assert not is_compressed(tmp_path)
    with pytest.raises(Unusable, match="expected compressed-tensors"):
        load_compressed(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bits", "group", "shape"),
    [
        (4, 32, SHAPE),
        (8, 32, replace(SHAPE, tied=False)),
        (4, 0, replace(SHAPE, qk_norm=False, tied=False)),
        (8, 0, replace(SHAPE, qk_norm=False)),
    ],
    ids=["int4 qwen3", "int8 qwen3 untied", "int4 llama, whole rows", "int8 llama tied, whole rows"],
)
def test_transformers_computes_the_same(bits: int, group: int, shape: Shape, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("compressed_tensors")
    written(tmp_path, Grid(bits, group), shape)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ours = load_compressed(tmp_path).eval()
    with torch.inference_mode():
        found, wanted = theirs(TOKENS).logits, ours(TOKENS)
        losses = [
            torch.nn.functional.cross_entropy(one[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()).exp() for one in (found, wanted)
        ]
    torch.testing.assert_close(found, wanted, rtol=2e-3, atol=2e-3)
    assert abs(float(losses[0] / losses[1]) - 1) < 0.005
