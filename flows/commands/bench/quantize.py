"""`winnow bench quantize`: megabytes of fp32 weights for each CPU second, beside llama.cpp's own quantizer.

Random weights of one shape, one thread. Winnow writes the file from the model in memory, llama.cpp (the wheel `cyllama`, a
process of its own) from the F32 GGUF file that Winnow wrote. All types in turn in every round; figures are medians over the
rounds. Loading the programs and compiling are not counted. The two files of each type are compared byte by byte."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from flows.commands.options import JsonOption
from flows.commands.terminal import console
from models.formats.gguf_file import About, number, write_gguf
from models.quantization.mixture import FILE_TYPES, FileType
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.transformer.counting import parameters
from models.transformer.presets import preset
from models.transformer.transformer import Transformer
from storage.problem import Problem

ABOUT = About("bench")
PEER = """
import json, sys, time
from cyllama.llama import llama_cpp
llama_cpp.disable_logging()
source, target, *kinds = sys.argv[1:]
seconds = []
for kind in kinds:
    params = llama_cpp.LlamaModelQuantizeParams()
    params.nthread, params.ftype = 1, int(kind)
    before = time.process_time()
    llama_cpp.model_quantize(source, f"{target}-{kind}.gguf", params)
    seconds.append(time.process_time() - before)
print(json.dumps(seconds))
"""


@dataclass(frozen=True)
class Measured:
    type: str
    megabytes_per_cpu_second: float
    llama_cpp: float
    ratio: float
    """Of ours to llama.cpp's: median over the rounds."""
    same_bytes: bool


def quantize(
    shape: Annotated[str, typer.Option("--preset", help="Which shape; see models/transformer/presets.py.")] = "35m",
    file_type: Annotated[
        list[str] | None, typer.Option("--type", help="GGUF file type; may be given many times. Default: all.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each type is written.")] = 3,
    json_: JsonOption = False,
) -> None:
    """Quantization beside llama.cpp's: same weights, one thread. Example: winnow bench quantize --type Q4_K_M"""
    wanted: list[FileType] = [one for one in FILE_TYPES if one != "F32"]
    if file_type:
        if unknown := [one for one in file_type if one not in FILE_TYPES]:
            raise Problem(f"--type {unknown[0]}: expected one of {', '.join(FILE_TYPES)}")
        wanted = [one for one in FILE_TYPES if one in file_type]
    torch.set_num_threads(1)
    measured = measure(shape, wanted, rounds)
    mean = statistics.geometric_mean(one.ratio for one in measured)
    if json_:
        print(json.dumps({"preset": shape, "rounds": rounds, "geometric_mean": mean, "types": [asdict(one) for one in measured]}))
        return
    table = Table(title=f"{shape}, MB of fp32 weights per CPU second", title_justify="left", box=None, header_style="bold")
    for name in ("type", "winnow", "llama.cpp", "winnow is", "same bytes"):
        table.add_column(name, justify="left" if name == "type" else "right")
    for one in measured:
        row = (
            f"{one.megabytes_per_cpu_second:,.1f}",
            f"{one.llama_cpp:,.1f}",
            f"{one.ratio:.2f} x",
            "yes" if one.same_bytes else "NO",
        )
        table.add_row(one.type, *row)
    table.add_row("geometric mean", "", "", f"{mean:.2f} x", "")
    console().print(table)


def measure(name: str, types: list[FileType], rounds: int) -> list[Measured]:
    tokenizer = made(bytelevel.train(["a"], bytelevel.SMALLEST))
    torch.manual_seed(0)
    model = Transformer(preset(name))
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    shown = Console(stderr=True, highlight=False)
    megabytes = 4 * parameters(model.shape).total / 1e6
    ours: dict[str, list[float]] = {one: [] for one in types}
    theirs: dict[str, list[float]] = {one: [] for one in types}
    same = dict.fromkeys(types, True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_gguf(folder / "source.gguf", model, tokenizer, "F32", ABOUT)
        small = Transformer(replace(model.shape, layers=1, vocab=bytelevel.SMALLEST))
        for one in types:
            write_gguf(folder / "warm.gguf", small, tokenizer, one, ABOUT)  # compiles
        for turn in range(rounds):
            shown.print(f"round {turn + 1} of {rounds}")
            peers = _peers(folder, types)
            for one, seconds in zip(types, peers, strict=True):
                before = time.process_time()
                write_gguf(folder / "ours.gguf", model, tokenizer, one, ABOUT)
                ours[one].append(time.process_time() - before)
                theirs[one].append(seconds)
                peer = folder / f"theirs-{number(one)}.gguf"
                same[one] &= (folder / "ours.gguf").read_bytes() == peer.read_bytes()
    return [
        Measured(
            one,
            megabytes / statistics.median(ours[one]),
            megabytes / statistics.median(theirs[one]),
            statistics.median(peer / mine for peer, mine in zip(theirs[one], ours[one], strict=True)),
            same[one],
        )
        for one in types
    ]


def _peers(folder: Path, types: list[FileType]) -> list[float]:
    """CPU seconds of llama.cpp for each type."""
    arguments = [str(folder / "source.gguf"), str(folder / "theirs"), *(str(number(one)) for one in types)]
    done = subprocess.run([sys.executable, "-c", PEER, *arguments], capture_output=True, text=True)
    if "No module named 'cyllama'" in done.stderr:
        raise Problem("cyllama, which carries llama.cpp, is not installed; it comes with the extra: pip install -e '.[test]'")
    if done.returncode:
        raise Problem(f"llama.cpp could not quantize: {done.stderr[-500:]}")
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds
