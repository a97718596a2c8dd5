"""Adapters in PEFT's format: what Winnow writes PEFT reads, what PEFT writes Winnow reads, and both compute the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.formats.peft import CONFIG, TENSORS, load_adapter, save_adapter
from models.formats.pretrained import load_model, save_model
from models.transformer.lora import Lora, adapt, adapted, merge
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

QWEN3 = Shape(vocab=50, width=16, layers=2, heads=4, kv_heads=2, head_width=4, hidden=24, context=12)
LLAMA = Shape(**{**vars(QWEN3), "qk_norm": False, "tied": False})
EXPERTS = Shape(**{**vars(QWEN3), "experts": Experts(count=2, active=1, hidden=8)})
GPT2 = Shape(**{**vars(QWEN3), "family": "gpt2", "qk_norm": False, "kv_heads": 4})
TOKENS = torch.arange(20).view(2, 10) * 7 % 50


def random_model(shape: Shape) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(shape)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.2)
    return model


def with_adapter(shape: Shape, lora: Lora) -> Transformer:
    model = random_model(shape)
    adapt(model, lora)
    with torch.no_grad():
        for _, module in adapted(model):
            module.lora_b.normal_(std=0.3)
    return model


def saved(model: Transformer, folder: Path) -> Path:
    save_model(model, folder, start=1, stops=[2], pad=0)
    return folder


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        out = model(TOKENS)
    found: Tensor = out if isinstance(out, Tensor) else out.logits
    return found


@pytest.mark.parametrize("shape", [QWEN3, LLAMA, EXPERTS], ids=["qwen3", "llama", "qwen3_moe"])
def test_peft_computes_what_the_adapter_written_here_does(tmp_path: Path, shape: Shape) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    targets = ("q", "v", "o") if shape is EXPERTS else Lora().targets
    saved(random_model(shape), tmp_path / "base")
    ours = with_adapter(shape, Lora(rank=3, alpha=5.0, targets=targets))
    save_adapter(ours, tmp_path / "adapter", base=str(tmp_path / "base"))
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", attn_implementation="eager")
    without = logits(base)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert (logits(ours) - without).abs().max() > 0.1
    torch.testing.assert_close(logits(theirs), logits(ours), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits(theirs.merge_and_unload()), logits(ours), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [QWEN3, LLAMA], ids=["qwen3", "llama"])
@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], "all-linear"])
def test_an_adapter_that_peft_wrote_computes_the_same_here(tmp_path: Path, shape: Shape, targets: Any) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    base = saved(random_model(shape), tmp_path / "base")
    config = peft.LoraConfig(r=4, lora_alpha=6, lora_dropout=0.1, target_modules=targets, task_type="CAUSAL_LM")
    theirs = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager"), config)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    theirs.save_pretrained(tmp_path / "adapter")
    ours = load_model(base)
    lora = load_adapter(ours, tmp_path / "adapter")
    assert lora == Lora(4, 6.0, ("q", "v") if isinstance(targets, list) else Lora().targets)
    torch.testing.assert_close(logits(ours), logits(theirs.eval()), atol=1e-5, rtol=1e-4)
    merge(ours)
    torch.testing.assert_close(logits(ours), logits(theirs), atol=1e-5, rtol=1e-4)


def test_an_adapter_comes_back_as_it_was_and_always_as_the_same_bytes(tmp_path: Path) -> None:
    lora = Lora(rank=2, alpha=3.5, targets=("o", "gate"))
    model = with_adapter(QWEN3, lora)
    for folder in ("one", "two"):
        save_adapter(model, tmp_path / folder, base="a/base")
    for name in (CONFIG, TENSORS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [CONFIG, TENSORS]
    other = random_model(QWEN3)
    assert load_adapter(other, tmp_path / "one") == lora
    assert torch.equal(logits(other), logits(model))


def changed(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / CONFIG).read_text()) | fields
    (folder / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"use_dora": True}, "use_dora is True, which is not computed here; expected False"),
        ({"use_rslora": True}, "use_rslora is True"),
        ({"bias": "all"}, "bias is 'all', which is not computed here; expected 'none'"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern is"),
        ({"modules_to_save": ["embed_tokens"]}, "modules_to_save is"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; expected 'LORA'"),
        ({"r": None}, "r is None and lora_alpha 32"),
        ({"r": 3}, r"q_proj.lora_A.weight is \[16, 16\]; the model and the rank ask for \[3, 16\]"),
    ],
)
def test_an_adapter_of_another_mathematics_is_refused_by_the_field(tmp_path: Path, fields: dict[str, Any], text: str) -> None:
    save_adapter(with_adapter(QWEN3, Lora()), tmp_path)
    changed(tmp_path, **fields)
    model = random_model(QWEN3)
    with pytest.raises(Unusable, match=text):
        load_adapter(model, tmp_path)
    assert not [*adapted(model)]


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    save_adapter(with_adapter(QWEN3, Lora(rank=2)), tmp_path / "two")
    longer, shorter = (Shape(**{**vars(QWEN3), "layers": layers}) for layers in (3, 1))
    with pytest.raises(Unusable, match=r"lacks base_model.model.model.layers.2.mlp.down_proj.lora_A.weight; expected the same"):
        load_adapter(random_model(longer), tmp_path / "two")
    with pytest.raises(
        Unusable, match=r"holds base_model.model.model.layers.1.mlp.down_proj.lora_A.weight, which adapts no matrix"
    ):
        load_adapter(random_model(shorter), tmp_path / "two")


def test_what_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="the model has no adapter to save"):
        save_adapter(random_model(QWEN3), tmp_path)
    with pytest.raises(Unusable, match=r"q, k and v are one matrix c_attn"):
        save_adapter(with_adapter(GPT2, Lora(targets=("q",))), tmp_path)
    with pytest.raises(Unusable, match="the model has adapters, for which this format has no place; merge them first"):
        saved(with_adapter(QWEN3, Lora()), tmp_path)
    with pytest.raises(Unusable, match=r"adapter_config.json is missing"):
        load_adapter(random_model(QWEN3), tmp_path)
    save_adapter(with_adapter(QWEN3, Lora()), tmp_path)
    with pytest.raises(Unusable, match="has adapters already; merge them"):
        load_adapter(with_adapter(QWEN3, Lora()), tmp_path)
    (tmp_path / TENSORS).write_bytes((tmp_path / TENSORS).read_bytes()[:-9])
    with pytest.raises(Unusable, match="cut short or damaged"):
        load_adapter(random_model(QWEN3), tmp_path)
    (tmp_path / TENSORS).unlink()
    with pytest.raises(Unusable, match=f"{TENSORS} is missing"):
        load_adapter(random_model(QWEN3), tmp_path)
