"""`winnow size MODEL`: how much memory a model takes, and where it fits, before anything is downloaded, quantized or trained."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console
from models.formats.configuration import shape_of
from models.formats.gguf_read import open_gguf
from models.formats.pretrained import read_shape
from models.quantization.footprint import CACHE_KINDS, QUANTS, cache_bytes, compute_bytes, training_bytes, weight_bytes
from models.transformer.counting import parameters
from models.transformer.presets import PRESETS, of_depth
from models.transformer.published import PUBLISHED
from models.transformer.shape import Shape
from storage.artifact import resolve
from storage.problem import Problem
from storage.shards import checked

CARDS = (6, 8, 16, 24, 80)
"""GB of memory of cards that people have; a card's GB are GiB."""
GIB = 1 << 30
DEEPEST, NEAR = 1001, 0.3
"""Of shapes that a number of parameters alone decides: layers; how far the nearest may be from it."""
_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMBT]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def size(
    model: Annotated[
        str,
        typer.Argument(
            help="A model folder, GGUF file, artifact, preset (small), published model (llama-3.1-8b), or a number of parameters (7B)."
        ),
    ],
    quant: Annotated[str, typer.Option("--quant", help=f"What the weights are stored as: {', '.join(QUANTS)}.")] = "Q4_K_M",
    context: Annotated[
        int, typer.Option("--context", min=0, help="Tokens of a conversation; 0: the model's context, 8,192 at most.")
    ] = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Conversations at a time; in training, rows at once.")] = 1,
    kv: Annotated[str, typer.Option("--kv", help=f"What keys and values are stored as: {', '.join(CACHE_KINDS)}.")] = "f16",
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Reckon a model's memory from its shape. Example: winnow size llama-3.1-8b --quant Q4_K_M --context 8192 --kv q8_0"""
    if quant not in QUANTS:
        raise Problem(f"--quant {quant}: expected one of {', '.join(QUANTS)}")
    if kv not in CACHE_KINDS:
        raise Problem(f"--kv {kv}: expected one of {', '.join(CACHE_KINDS)}")
    shape, name = shape_called(model, store)
    found = reckoned(shape, quant, context or min(shape.context, 8192), batch, kv)
    if json_:
        print(json.dumps({"model": name, "quant": quant, "kv": kv, **found}))
        return
    out = console()
    out.print(
        f"[bold]{name}[/bold]: {found['parameters'] / 1e6:,.1f} M parameters, {found['active'] / 1e6:,.1f} M active",
        soft_wrap=True,
    )
    out.print(_table(found, quant, kv))
    if found["context"] > shape.context:
        out.print(f"[yellow]The model was trained for {shape.context:,} tokens; beyond them it does not work as it is.[/yellow]")
    for memory, longest in found["longest_context"].items():
        what = f"up to {longest:,} tokens of context" if longest else "does not fit"
        out.print(f"{memory:>3} GB: {what}")
    out.print(
        f"Training, {batch} x {min(found['context'], shape.context):,} tokens at once, Muon, bf16: about {_shown(found['training'])}",
        soft_wrap=True,
    )


def reckoned(shape: Shape, quant: str, context: int, batch: int, kv: str) -> dict[str, Any]:
    count = parameters(shape)
    weights, cache, compute = weight_bytes(shape, quant), cache_bytes(shape, context, batch, kv), compute_bytes(shape, context)
    a_token = cache_bytes(shape, 1, batch, kv)
    longest = {}
    for memory in CARDS:
        spare = memory * GIB - weights - compute_bytes(shape, shape.context)
        longest[memory] = min(shape.context, max(0, spare // a_token))
    total = weights + cache + compute
    return {
        "parameters": count.total, "active": count.active, "context": context, "trained_context": shape.context, "batch": batch, "weights": weights,
        "bits_per_weight": 8 * weights / count.total, "cache": cache, "compute": compute, "total": total,
        "fits": [memory for memory in CARDS if total <= memory * GIB], "longest_context": longest,
        "training": training_bytes(shape, batch, min(context, shape.context)),
    }  # fmt: skip


def shape_called(text: str, store: str) -> tuple[Shape, str]:
    """The shape that a person calls `text`, and its name. Raises Problem."""
    path = Path(text)
    if path.is_file():
        return open_gguf(path).shape, text
    if (path / "config.json").is_file():
        return read_shape(path), text
    known = {**PUBLISHED, **PRESETS}
    if text.lower() in known:
        return known[text.lower()], text
    if number := _COUNT.fullmatch(text):
        return _nearest(float(number[1]) * _UNITS[number[2].upper()], text)
    try:
        opened = open_store(store)
        snapshot = resolve(opened, text)
    except Problem as problem:
        raise Problem(
            f"{text!r} is no model folder, GGUF file, number of parameters or known shape ({', '.join(sorted(known))}), and no artifact: {problem}"
        ) from None
    config = next((file for file in snapshot.files if file.name == "config.json"), None)
    if config is None:
        raise Problem(f"{snapshot.reference} holds no config.json; expected a model")
    return shape_of(json.loads(checked(opened, snapshot.folder, config)))[0], snapshot.reference


def _nearest(wanted: float, text: str) -> tuple[Shape, str]:
    """Of the shapes that depth alone decides, the one with the nearest number of parameters."""
    if not wanted:
        raise Problem(f"{text} parameters; expected some, such as 7B")
    vocabs = (32_768,) if wanted >= 5e7 else (8192, 16_384, 1024)
    depths = range(4, DEEPEST, 1 if wanted < 1e9 else 2)
    shapes = [replace(of_depth(depth, vocab=vocab, context=8192), tied=wanted < 4e9) for vocab in vocabs for depth in depths]
    found = min(shapes, key=lambda shape: abs(parameters(shape).total - wanted))
    if not 1 - NEAR < parameters(found).total / wanted < 1 + NEAR:
        raise Problem(
            f"{text} parameters: the nearest shape known has {parameters(found).total / 1e6:,.1f} M; give a folder with config.json"
        )
    return found, f"Winnow's own shape of {parameters(found).total / 1e6:,.0f} M parameters ({found.layers} x {found.width})"


def _table(found: dict[str, Any], quant: str, kv: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("what")
    for name in ("bytes", "size"):
        table.add_column(name, justify="right")
    rows = {
        f"weights, {quant} ({found['bits_per_weight']:.2f} bits each)": found["weights"],
        f"keys and values, {kv}, {found['batch']} x {found['context']:,} tokens": found["cache"],
        "compute buffers, about": found["compute"],
        "[bold]together[/bold]": found["total"],
    }
    for what, count in rows.items():
        table.add_row(what, f"{count:,}", _shown(count))
    return table


def _shown(count: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:,.2f} {unit}"
    return f"{count / 1e3:,.1f} kB"
