"""`winnow bench serve`: tokens a second and the time to the first token at 1, 4 and 16 streams, beside llama.cpp.

| method | |
|---|---|
| winnow | `winnow serve` as a process of its own, asked over HTTP, streaming |
| llama-server | llama.cpp's server on the F16 GGUF of the same weights, asked by the same client; where it is on the path, or by --llama-server |
| llama.cpp | llama.cpp's library alone on that file, all streams in one batch, without HTTP, texts or clients; where the wheel of the test extra is |

Random weights, random prompts of equal length, greedy, no stop tokens; the methods in turn in every round; figures are medians over the
rounds. CPU seconds are those of the server's process alone: on a busy machine they say more than the clock. The first token's time is that
of the slowest stream where all begin at once.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import torch
import typer
from rich.console import Console
from rich.table import Table

from flows.commands.bench.generate import random_model
from flows.commands.options import JsonOption
from flows.commands.terminal import console
from models.formats.gguf_file import About, write_gguf
from models.formats.pretrained import save_model
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from storage.problem import Problem

START_SECONDS = 120
Prompts = list[list[int]]


@dataclass(frozen=True)
class Taken:
    """Of one round."""

    seconds: float
    first_seconds: float
    cpu_seconds: float
    tokens: int


@dataclass(frozen=True)
class Measured:
    method: str
    streams: int
    tokens_per_second: float
    tokens_per_cpu_second: float
    first_token_ms: float


Method = Callable[[Prompts, int], Taken]


def serve(
    shape: Annotated[str, typer.Option("--preset", help="Which shape; see models/transformer/presets.py.")] = "small",
    streams: Annotated[
        list[int] | None, typer.Option("--streams", min=1, max=256, help="Streams at a time; may be given many times.")
    ] = None,
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", min=1, help="Length of each prompt.")] = 64,
    new_tokens: Annotated[int, typer.Option("--new-tokens", min=2, help="Tokens generated for each prompt.")] = 128,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each method is run.")] = 3,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of every method.")] = 1,
    dtype: Annotated[str, typer.Option("--dtype", help="Winnow's: float32 or bfloat16.")] = "float32",
    llama_server: Annotated[
        Path | None, typer.Option("--llama-server", help="llama.cpp's server; default: the one on the path, if any.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """The server beside llama.cpp: same weights, prompts, threads. Example: winnow bench serve --streams 1 --streams 16"""
    counts = streams or [1, 4, 16]
    binary = shutil.which(str(llama_server)) if llama_server else shutil.which("llama-server")
    if llama_server and binary is None:
        raise Problem(f"--llama-server {llama_server} is no program; leave it out, or give the one that llama.cpp's build made")
    shown = Console(stderr=True, highlight=False)
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as place, contextlib.ExitStack() as stack:
        folder = Path(place) / "model"
        vocab, file = _made(folder, shape, prompt_tokens + new_tokens)
        methods: dict[str, Method] = {"winnow": stack.enter_context(_winnow(folder, max(counts), threads, dtype))}
        if binary is not None:
            methods["llama-server"] = stack.enter_context(
                _llama_server(binary, file, max(counts), prompt_tokens + new_tokens, threads)
            )
        if find_spec("cyllama") is not None:
            methods["llama.cpp"] = _library(file, threads)
        for count in counts:
            shown.print(f"{count} streams, {', '.join(methods)}")
            measured += _measured(methods, count, prompt_tokens, vocab, new_tokens, rounds)
    if json_:
        about = {
            "preset": shape,
            "dtype": dtype,
            "threads": threads,
            "prompt_tokens": prompt_tokens,
            "new_tokens": new_tokens,
            "rounds": rounds,
        }
        print(json.dumps({**about, "methods": [asdict(one) for one in measured]}))
        return
    title = f"{shape}, {dtype}, {threads} thread{'s' * (threads > 1)}, {prompt_tokens} + {new_tokens} tokens"
    console().print(_table(measured, title))


def _made(folder: Path, preset: str, length: int) -> tuple[int, Path]:
    """A model folder of random weights and a vocabulary of made-up words, and its F16 GGUF; the vocabulary's size."""
    model = random_model(preset, True, torch.float32)
    if length > model.shape.context:
        raise Problem(
            f"{length} tokens do not fit into a context of {model.shape.context}; lower --prompt-tokens or --new-tokens"
        )
    draw = torch.Generator().manual_seed(0)
    letters = (torch.randint(0, 26, (60_000, 6), generator=draw) + ord("a")).tolist()
    words = "".join(" " + "".join(map(chr, word)) for word in letters)
    tokenizer = made(bytelevel.train([words], model.shape.vocab))
    save_model(model, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)
    write_gguf(folder / "model-F16.gguf", model, tokenizer, "F16", About("bench"))
    return model.shape.vocab, folder / "model-F16.gguf"


@contextlib.contextmanager
def _winnow(folder: Path, places: int, threads: int, dtype: str) -> Iterator[Method]:
    command = [sys.executable, "-m", "flows", "serve", f"model={folder}", "--port", "0", "--json"]
    command += ["--places", str(places), "--threads", str(threads), "--device", "cpu", "--dtype", dtype]
    with _process(command, subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Problem("`winnow serve` ended before it answered; its words are above")
        yield _over_http(json.loads(line)["address"], process.pid)


@contextlib.contextmanager
def _llama_server(binary: str, file: Path, places: int, length: int, threads: int) -> Iterator[Method]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [binary, "-m", str(file), "--port", str(port), "-np", str(places), "-c", str(places * length), "-t", str(threads)]
    command += ["-tb", str(threads), "--alias", "model"]
    with _process(command, subprocess.DEVNULL) as process:
        end = time.monotonic() + START_SECONDS
        while not _answers(f"{address}/health"):
            if process.poll() is not None or time.monotonic() > end:
                raise Problem(f"{binary} does not answer at {address}; its words are above")
            time.sleep(0.2)
        yield _over_http(address, process.pid)


@contextlib.contextmanager
def _process(command: list[str], out: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=out, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _over_http(address: str, pid: int) -> Method:
    server = psutil.Process(pid)

    def used() -> float:
        times = server.cpu_times()
        return float(times.user + times.system)

    async def ask(client: httpx.AsyncClient, prompt: list[int], new_tokens: int, began: float) -> tuple[float, int]:
        asked = {"model": "model", "prompt": prompt, "max_tokens": new_tokens, "temperature": 0, "stream": True}
        asked |= {"ignore_eos": True, "stream_options": {"include_usage": True}}
        first, tokens = 0.0, 0
        async with client.stream("POST", f"{address}/v1/completions", json=asked) as answer:
            if answer.status_code != 200:
                raise Problem(f"{address} answered {answer.status_code}: {(await answer.aread()).decode()[:200]}")
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                first = first or time.perf_counter() - began
                if usage := json.loads(line[6:]).get("usage"):
                    tokens = usage["completion_tokens"]
        return first, tokens

    async def all_of(prompts: Prompts, new_tokens: int) -> Taken:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=600, limits=limits, trust_env=False) as client:
            before, began = used(), time.perf_counter()
            answers = await asyncio.gather(*(ask(client, prompt, new_tokens, began) for prompt in prompts))
            passed = time.perf_counter() - began
        return Taken(passed, max(first for first, _ in answers), used() - before, sum(tokens for _, tokens in answers))

    return lambda prompts, new_tokens: asyncio.run(all_of(prompts, new_tokens))


def _library(file: Path, threads: int) -> Method:
    def run(prompts: Prompts, new_tokens: int) -> Taken:
        given = json.dumps({"model": str(file), "prompts": prompts, "new_tokens": new_tokens, "threads": threads})
        command = [sys.executable, "-m", "flows.commands.bench.llama_cpp"]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Problem(f"llama.cpp ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return Taken(**json.loads(done.stdout.splitlines()[-1]))

    return run


def _measured(
    methods: Mapping[str, Method], streams: int, prompt_tokens: int, vocab: int, new_tokens: int, rounds: int
) -> list[Measured]:
    draw = torch.Generator().manual_seed(streams)
    taken: dict[str, list[Taken]] = {name: [] for name in methods}
    for turn in range(rounds + 1):
        prompts: Any = torch.randint(300, vocab, (streams, prompt_tokens), generator=draw).tolist()
        for name, method in methods.items():
            found = method(prompts, new_tokens)
            if found.tokens != streams * new_tokens:
                raise Problem(f"{name} gave {found.tokens} tokens, expected {streams * new_tokens}: they are not comparable")
            if turn:  # the first round warms up
                taken[name].append(found)
    return [
        Measured(
            name,
            streams,
            statistics.median(one.tokens / one.seconds for one in found),
            statistics.median(one.tokens / one.cpu_seconds for one in found),
            statistics.median(1000 * one.first_seconds for one in found),
        )
        for name, found in taken.items()
    ]


def _table(measured: list[Measured], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("method", "streams", "tokens / s", "tokens / CPU s", "first token"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for one in measured:
        table.add_row(
            one.method,
            str(one.streams),
            f"{one.tokens_per_second:,.0f}",
            f"{one.tokens_per_cpu_second:,.0f}",
            f"{one.first_token_ms:,.0f} ms",
        )
    return table
