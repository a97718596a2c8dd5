"""`winnow bench train`: training tokens for each CPU second, beside Hugging Face's models and a nanoGPT-like one.

Same shape, first weights, tokens, optimizer and threads, one process, all in turn in every round; figures are medians over the
rounds. What comes before the steady state (compiling, first allocations) is measured apart, as the time of the first step. Freed
memory stays with the process, as in Winnow's training jobs: for all alike. On CUDA the clock on the wall decides, CPU seconds elsewhere.
"""

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from flows.commands.bench.learners import Step, architectures, dressed, learners
from flows.commands.options import JsonOption
from flows.commands.terminal import console
from models.transformer.allocation import freed_memory_kept
from models.transformer.ceiling import matmul_ceiling
from models.transformer.counting import flops_per_token
from models.transformer.presets import preset
from models.transformer.shape import Shape
from storage.problem import Problem

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Measured:
    architecture: str
    dtype: str
    method: str
    tokens_per_cpu_second: float
    tokens_per_second: float
    mfu: float | None
    """Of the ceiling of a matrix product, measured here in the same type; on CUDA alone: others' work moves a CPU's."""
    ratio: float
    """Of winnow's tokens for a second to this method's: median over the rounds."""
    first_step_seconds: float
    first_loss: float
    last_loss: float
    peak_gigabytes: float | None
    """Of CUDA memory."""


def train(
    shape: Annotated[str, typer.Option("--preset", help="Which shape; see models/transformer/presets.py.")] = "small",
    architecture: Annotated[
        list[str] | None,
        typer.Option("--architecture", help="qwen3, llama, qwen3_moe or gpt2; may be given many times. Default: all that fit."),
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", help="float32 or bfloat16; may be given twice. Default: both.")
    ] = None,
    vocab: Annotated[int | None, typer.Option("--vocab", min=1, help="Another vocabulary than the preset's.")] = None,
    context: Annotated[int | None, typer.Option("--context", min=1, help="Other rows than the preset's.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of a step.")] = 4,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of a round.")] = 3,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each method has its turn.")] = 5,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of every method.")] = 1,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile all of them.")] = False,
    json_: JsonOption = False,
) -> None:
    """Training beside Hugging Face's and nanoGPT's: same shape, tokens, threads. Example: winnow bench train --architecture qwen3"""
    base = preset(shape, vocab, context)
    names, kinds = tuple(architecture or architectures(base)), tuple(dtype or DTYPES)
    for option, given, known in (("--architecture", names, architectures(base)), ("--dtype", kinds, tuple(DTYPES))):
        if unknown := [one for one in given if one not in known]:
            raise Problem(f"{option} {unknown[0]}: expected one of {', '.join(known)}, of preset {shape}")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise Problem(f"--device {device}: expected cpu{', or cuda' if torch.cuda.is_available() else '; there is no CUDA here'}")
    torch.set_num_threads(threads)
    shown = Console(stderr=True, highlight=False)
    measured: list[Measured] = []
    for kind in kinds:
        ceiling = matmul_ceiling(torch.device(device), DTYPES[kind]) if device == "cuda" else None
        for name in names:
            shown.print(f"{name}, {kind}")
            one = dressed(base, name)
            with freed_memory_kept():
                measured += _measured(one, name, kind, device, compiled, (rows, steps, rounds), ceiling)
    if json_:
        about = {
            "preset": shape, "vocab": base.vocab, "context": base.context, "rows": rows, "steps": steps, "rounds": rounds,
            "threads": threads, "device": device, "compile": compiled,
        }  # fmt: skip
        print(json.dumps({**about, "methods": [asdict(one) for one in measured]}))
        return
    about_ = f"{shape}, vocabulary {base.vocab:,}, {rows} x {base.context} tokens a step, {threads} thread{'s' * (threads > 1)}, {device}"
    console().print(_table(measured, about_ + (", compiled" if compiled else "")))


def _measured(
    shape: Shape, architecture: str, kind: str, device: str, compiled: bool, much: tuple[int, int, int], ceiling: float | None
) -> list[Measured]:
    rows, steps, rounds = much
    draw = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, shape.vocab, (rows, shape.context + 1), generator=draw).to(device) for _ in range(steps)]
    methods: dict[str, Step] = {}
    first: dict[str, tuple[float, float]] = {}
    peak: dict[str, float | None] = {}
    for name, step in learners(shape, architecture, DTYPES[kind], device, compiled):
        methods[name] = step
        used, _, losses = _run(step, batches[:1], device)
        first[name] = losses[0], used
        step(batches[-1])  # the optimizer's state and the cache of freed memory are there now
        peak[name] = None
    cpu: dict[str, list[float]] = {name: [] for name in methods}
    wall: dict[str, list[float]] = {name: [] for name in methods}
    last: dict[str, float] = {}
    for _ in range(rounds):
        for name, step in methods.items():
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
            passed, used, losses = _run(step, batches, device)
            if device == "cuda":
                peak[name] = (torch.cuda.max_memory_allocated() - before) / 1e9
            cpu[name].append(used)
            wall[name].append(passed)
            last[name] = losses[-1]
    tokens = rows * steps * shape.context
    decides = wall if device == "cuda" else cpu
    work = tokens * flops_per_token(shape)
    return [
        Measured(
            architecture=architecture,
            dtype=kind,
            method=name,
            tokens_per_cpu_second=tokens / statistics.median(cpu[name]),
            tokens_per_second=tokens / statistics.median(wall[name]),
            mfu=work / statistics.median(wall[name]) / ceiling if ceiling else None,
            ratio=statistics.median(theirs / mine for theirs, mine in zip(decides[name], decides["winnow"], strict=True)),
            first_step_seconds=first[name][1],
            first_loss=first[name][0],
            last_loss=last[name],
            peak_gigabytes=peak[name],
        )
        for name in reversed(methods)
    ]


def _run(step: Step, batches: list[torch.Tensor], device: str) -> tuple[float, float, list[float]]:
    """Seconds on the wall, CPU seconds of all threads, losses."""
    wall_began, cpu_began = time.perf_counter(), time.process_time()
    losses = [step(batch) for batch in batches]
    if device == "cuda":
        torch.cuda.synchronize()
    used, passed = time.process_time() - cpu_began, time.perf_counter() - wall_began
    return passed, used, [float(loss) for loss in losses]


def _table(measured: list[Measured], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("model", "type", "method", "tokens / CPU s", "tokens / s", "winnow is", "first step", "loss"):
        table.add_column(name, justify="left" if name in ("model", "type", "method") else "right")
    if any(one.mfu for one in measured):
        table.add_column("MFU", justify="right")
        table.add_column("peak", justify="right")
    for one in measured:
        table.add_row(
            one.architecture,
            one.dtype,
            one.method,
            f"{one.tokens_per_cpu_second:,.0f}",
            f"{one.tokens_per_second:,.0f}",
            "" if one.method == "winnow" else f"{one.ratio:.2f} x",
            f"{one.first_step_seconds:.1f} s",
            f"{one.first_loss:.3f} > {one.last_loss:.3f}",
            *([f"{one.mfu:.1%}", f"{one.peak_gigabytes:.1f} GB"] if one.mfu else []),
        )
    return table
