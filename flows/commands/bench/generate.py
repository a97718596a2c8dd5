"""`winnow bench generate`: tokens for each CPU second, beside Hugging Face's `generate` and a loop without a cache.

| method | |
|---|---|
| winnow | models/transformer/generate.py |
| huggingface | transformers' `generate` with its cache, the same weights read from a folder that Winnow wrote |
| no cache | the whole row again for every token, as nanoGPT's `generate` does; only on demand, it is slow |

Random weights, random prompts of equal length, greedy, no stop tokens, one process, the methods in turn in every round; figures are
medians over the rounds. Winnow's layout of the weights and Hugging Face's loading are not counted, reading the prompts is.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from flows.commands.options import JsonOption
from flows.commands.terminal import console
from models.formats.pretrained import save_model
from models.transformer.generate import Engine, Request
from models.transformer.presets import preset
from models.transformer.sampling import GREEDY
from models.transformer.transformer import Transformer
from storage.problem import Problem

METHODS = ("winnow", "huggingface", "no cache")
DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Prompts = list[list[int]]
Method = Callable[[Prompts], Prompts]


@dataclass(frozen=True)
class Measured:
    method: str
    batch: int
    tokens_per_cpu_second: float
    tokens_per_second: float
    ratio: float | None
    """Of winnow's tokens per CPU second to this method's: median over the rounds."""
    same_tokens: float
    """Share of this method's tokens that are winnow's: a tie once decided otherwise makes another text."""


def generate(
    shape: Annotated[str, typer.Option("--preset", help="Which shape; see models/transformer/presets.py.")] = "small",
    batch: Annotated[list[int] | None, typer.Option("--batch", min=1, help="Rows at a time; may be given many times.")] = None,
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", min=1, help="Length of each prompt.")] = 64,
    new_tokens: Annotated[int, typer.Option("--new-tokens", min=1, help="Tokens generated for each prompt.")] = 128,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each method is run.")] = 5,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of every method.")] = 1,
    dtype: Annotated[str, typer.Option("--dtype", help="float32 or bfloat16.")] = "float32",
    qk_norm: Annotated[bool, typer.Option(help="With: Hugging Face's Qwen3. Without: its Llama.")] = True,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run the loop without a cache as well.")] = False,
    json_: JsonOption = False,
) -> None:
    """Generation beside Hugging Face's: same weights, prompts, threads. Example: winnow bench generate --batch 1 --batch 16"""
    if dtype not in DTYPES:
        raise Problem(f"--dtype {dtype}: expected one of {', '.join(DTYPES)}")
    torch.set_num_threads(threads)
    model = random_model(shape, qk_norm, DTYPES[dtype])
    if prompt_tokens + new_tokens > model.shape.context:
        raise Problem(
            f"{prompt_tokens} + {new_tokens} tokens do not fit into a context of {model.shape.context}; lower --prompt-tokens or --new-tokens"
        )
    shown = Console(stderr=True, highlight=False)
    peer = _huggingface(model, new_tokens)
    measured: list[Measured] = []
    for rows in batch or [1, 16]:
        engine = Engine(model, rows, prompt_tokens + new_tokens)
        methods: dict[str, Method] = {"winnow": _winnow(engine, new_tokens), "huggingface": peer}
        if no_cache:
            methods["no cache"] = _no_cache(model, new_tokens)
        shown.print(f"{rows} rows, {', '.join(methods)}")
        measured += _measured(methods, rows, prompt_tokens, model.shape.vocab, new_tokens, rounds)
    if json_:
        about = {"preset": shape, "dtype": dtype, "threads": threads, "prompt_tokens": prompt_tokens, "new_tokens": new_tokens}
        print(json.dumps({**about, "rounds": rounds, "methods": [asdict(one) for one in measured]}))
        return
    console().print(
        _table(measured, f"{shape}, {dtype}, {threads} thread{'s' * (threads > 1)}, {prompt_tokens} + {new_tokens} tokens")
    )


def random_model(name: str, qk_norm: bool, dtype: torch.dtype) -> Transformer:
    """Every matrix random, so that no two tokens are as good as each other."""
    shape = preset(name)
    torch.manual_seed(0)
    model = Transformer(replace(shape, qk_norm=qk_norm and shape.family == "llama"), dtype)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    return model


def _winnow(engine: Engine, new_tokens: int) -> Method:
    def run(prompts: Prompts) -> Prompts:
        tickets = [engine.add(Request(prompt, new_tokens, GREEDY)) for prompt in prompts]
        done: dict[int, list[int]] = {}
        while engine.busy:
            done |= {event.ticket: event.completion.tokens for event in engine.step() if event.completion}
        return [done[ticket] for ticket in tickets]

    return run


def _huggingface(model: Transformer, new_tokens: int) -> Method:
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise Problem("transformers is not installed; it comes with the extra: pip install -e '.[test]'") from None
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder), start=None, stops=(), pad=0)
        peer: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=model.compute).eval()

    def run(prompts: Prompts) -> Prompts:
        ids = torch.tensor(prompts)
        out = peer.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False)
        tokens: Prompts = out[:, ids.shape[1] :].tolist()
        return tokens

    return run


def _no_cache(model: Transformer, new_tokens: int) -> Method:
    def run(prompts: Prompts) -> Prompts:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            for _ in range(new_tokens):
                ids = torch.cat((ids, model.logits(model.hidden(ids)[:, -1:]).argmax(-1)), 1)
        tokens: Prompts = ids[:, len(prompts[0]) :].tolist()
        return tokens

    return run


def _measured(
    methods: Mapping[str, Method], rows: int, prompt_tokens: int, vocab: int, new_tokens: int, rounds: int
) -> list[Measured]:
    draw = torch.Generator().manual_seed(rows)
    cpu: dict[str, list[float]] = {name: [] for name in methods}
    wall: dict[str, list[float]] = {name: [] for name in methods}
    same: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(rounds + 1):
        prompts = torch.randint(0, vocab, (rows, prompt_tokens), generator=draw).tolist()
        ours: Prompts = []
        for name, method in methods.items():
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            tokens = method(prompts)
            used, passed = time.process_time() - cpu_began, time.perf_counter() - wall_began
            ours = ours or tokens
            if turn:  # the first round warms up
                cpu[name].append(used)
                wall[name].append(passed)
                equal = [
                    one == other for row, mine in zip(tokens, ours, strict=True) for one, other in zip(row, mine, strict=True)
                ]
                same[name].append(sum(equal) / len(equal))
    made = rows * new_tokens
    return [
        Measured(
            name,
            rows,
            made / statistics.median(cpu[name]),
            made / statistics.median(wall[name]),
            statistics.median(theirs / mine for theirs, mine in zip(cpu[name], cpu["winnow"], strict=True)),
            statistics.mean(same[name]),
        )
        for name in methods
    ]


def _table(measured: list[Measured], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("method", "rows", "tokens / CPU s", "tokens / s", "winnow is", "same tokens"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for one in measured:
        table.add_row(
            one.method,
            str(one.batch),
            f"{one.tokens_per_cpu_second:,.0f}",
            f"{one.tokens_per_second:,.0f}",
            "" if one.method == "winnow" else f"{one.ratio:.2f} x",
            f"{one.same_tokens:.1%}",
        )
    return table
