"""`winnow bench train`: tokens that a training step takes for each CPU second, beside others' models of the same shape.

| method | |
|---|---|
| winnow | models/transformer: forward, chunked loss, backward |
| huggingface | transformers' Qwen3 (its Llama with --no-qk-norm) with its own loss, under autocast for bf16 |
| nanogpt-like | pre-norm, learned positions, GELU of four times the width, one matrix for q, k and v, plain cross-entropy over all logits, autocast |

Random weights, random tokens, fp32 masters, the same fused AdamW for all, one process, the methods in turn in every round; figures are
medians over the rounds. Two steps of each are not counted, and with --compile neither is the compilation.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from flows.commands.options import JsonOption
from flows.commands.terminal import console
from models.transformer.allocation import keep_freed_memory
from models.transformer.counting import parameters
from models.transformer.loss import cross_entropy
from models.transformer.presets import preset
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from storage.problem import Problem

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Step = Callable[[Tensor], None]
"""One update on tokens [rows, T + 1]."""


@dataclass(frozen=True)
class Measured:
    method: str
    dtype: str
    parameters: int
    tokens_per_cpu_second: float
    tokens_per_second: float
    ratio: float
    """Of winnow's tokens per CPU second to this method's: median over the rounds."""


def train(
    shape: Annotated[str, typer.Option("--preset", help="Which shape; see models/transformer/presets.py.")] = "small",
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of a step, each as long as the preset's context.")] = 4,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each method in a round.")] = 3,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each method is run.")] = 5,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of every method.")] = 1,
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", help="float32 or bfloat16; may be given twice. Default: both.")
    ] = None,
    qk_norm: Annotated[bool, typer.Option(help="With: Hugging Face's Qwen3. Without: its Llama.")] = True,
    compiled: Annotated[bool, typer.Option("--compile", help="All methods through torch.compile.")] = False,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    json_: JsonOption = False,
) -> None:
    """Training beside others: same shape, tokens, threads, optimizer. Example: winnow bench train --preset small --dtype bfloat16"""
    chosen = dtype or list(DTYPES)
    if unknown := [name for name in chosen if name not in DTYPES]:
        raise Problem(f"--dtype {unknown[0]}: expected one of {', '.join(DTYPES)}")
    form = preset(shape)
    if form.family != "llama" or form.experts:
        raise Problem(f"--preset {shape}: expected a dense preset of the llama family, which all methods can build")
    form = replace(form, qk_norm=qk_norm)
    torch.set_num_threads(threads)
    keep_freed_memory()
    shown = Console(stderr=True, highlight=False)
    measured: list[Measured] = []
    for name in chosen:
        shown.print(f"{shape}, {name}: {rounds} rounds of {steps} steps of {rows} x {form.context} tokens")
        measured += _measured(_methods(form, DTYPES[name], device, compiled), form, name, rows, steps, rounds, device)
    if json_:
        about = {"preset": shape, "rows": rows, "steps": steps, "rounds": rounds, "threads": threads, "device": device}
        print(json.dumps({**about, "compile": compiled, "qk_norm": qk_norm, "methods": [asdict(one) for one in measured]}))
        return
    console().print(_table(measured, f"{shape}, {threads} thread{'s' * (threads > 1)}, {rows} x {form.context} tokens a step"))


class _NanoGPT(nn.Module):
    """D width, H heads, T tokens: what a minimal GPT is written as."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        D = shape.width
        self.heads = shape.heads
        self.tokens, self.positions = nn.Embedding(shape.vocab, D), nn.Embedding(shape.context, D)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "n1": nn.LayerNorm(D), "qkv": nn.Linear(D, 3 * D), "o": nn.Linear(D, D),
                    "n2": nn.LayerNorm(D), "up": nn.Linear(D, 4 * D), "down": nn.Linear(4 * D, D),
                }
            )
            for _ in range(shape.layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(D)

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        x = self.tokens(tokens_BT) + self.positions.weight[: tokens_BT.shape[1]]
        for block in self.blocks:
            q, k, v = (one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in block["qkv"](block["n1"](x)).chunk(3, -1))
            x = x + block["o"](F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
            x = x + block["down"](F.gelu(block["up"](block["n2"](x)), approximate="tanh"))
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), targets_BT.flatten())


def _methods(shape: Shape, dtype: torch.dtype, device: str, compiled: bool) -> dict[str, tuple[nn.Module, Step]]:
    torch.manual_seed(0)
    ours = Transformer(shape, dtype).to(device)
    theirs, nano = _huggingface(shape).to(device), _NanoGPT(shape).to(device)
    if compiled:
        for block in ours.blocks:
            block.compile(dynamic=False)
        theirs.compile(dynamic=False)
        nano.compile(dynamic=False)

    def own(rows: Tensor) -> Tensor:
        total, count = cross_entropy(ours.hidden(rows[:, :-1]), ours.output_weight, rows[:, 1:])
        return total / count

    def cast(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(rows: Tensor) -> Tensor:
            with torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16):
                return loss(rows)

        return run

    return {
        "winnow": (ours, _step(ours, own)),
        "huggingface": (theirs, _step(theirs, cast(lambda rows: theirs(input_ids=rows[:, :-1], labels=rows[:, :-1]).loss))),
        "nanogpt-like": (nano, _step(nano, cast(lambda rows: nano(rows[:, :-1], rows[:, 1:])))),
    }


def _huggingface(shape: Shape) -> Any:
    try:
        from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
    except ImportError:
        raise Problem("transformers is not installed; it comes with the extra: pip install -e '.[test]'") from None
    settings = {
        "vocab_size": shape.vocab, "hidden_size": shape.width, "num_hidden_layers": shape.layers, "head_dim": shape.head_width,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.context, "tie_word_embeddings": shape.tied,
    }  # fmt: skip
    made = Qwen3ForCausalLM(Qwen3Config(**settings)) if shape.qk_norm else LlamaForCausalLM(LlamaConfig(**settings))
    return made.train()


def _step(model: nn.Module, loss: Callable[[Tensor], Tensor]) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def run(rows: Tensor) -> None:
        loss(rows).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def _measured(
    methods: Mapping[str, tuple[nn.Module, Step]], shape: Shape, dtype: str, rows: int, steps: int, rounds: int, device: str
) -> list[Measured]:
    draw = torch.Generator().manual_seed(0)
    cpu: dict[str, list[float]] = {name: [] for name in methods}
    wall: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(rounds + 1):
        batches = [torch.randint(0, shape.vocab, (rows, shape.context + 1), generator=draw).to(device) for _ in range(steps)]
        for name, (_, step) in methods.items():
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            for batch in batches if turn else batches[:1] * 2:  # the first round warms up
                step(batch)
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                cpu[name].append(time.process_time() - cpu_began)
                wall[name].append(time.perf_counter() - wall_began)
    read = steps * rows * shape.context
    spent = wall if device == "cuda" else cpu
    return [
        Measured(
            name,
            dtype,
            parameters(shape).total if name == "winnow" else sum(weight.numel() for weight in model.parameters()),
            read / statistics.median(cpu[name]),
            read / statistics.median(wall[name]),
            statistics.median(theirs / mine for theirs, mine in zip(spent[name], spent["winnow"], strict=True)),
        )
        for name, (model, _) in methods.items()
    ]


def _table(measured: list[Measured], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("method", "type", "parameters", "tokens / CPU s", "tokens / s", "winnow is"):
        table.add_column(name, justify="left" if name in ("method", "type") else "right")
    for one in measured:
        ratio = "" if one.method == "winnow" else f"{one.ratio:.2f} x"
        table.add_row(
            one.method,
            one.dtype,
            f"{one.parameters:,}",
            f"{one.tokens_per_cpu_second:,.0f}",
            f"{one.tokens_per_second:,.0f}",
            ratio,
        )
    return table
