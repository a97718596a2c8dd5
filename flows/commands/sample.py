"""`winnow sample MODEL PROMPT`: how a model goes on, as it writes."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.commands.options import JsonOption, StoreOption
from flows.commands.terminal import console, visible
from flows.models import model_folder, placed, threads_for
from storage.problem import Problem
from storage.store import Store


@dataclass(frozen=True)
class Sample:
    text: str
    tokens: list[int]
    logprobs: list[float]
    """Natural logarithms, of the model's own distribution at the temperature."""
    finish_reason: str
    seed: int


def sample(
    model: Annotated[str, typer.Argument(help="An artifact with a model (a stage, a key, a path), or a Hugging Face folder.")],
    prompt: Annotated[str, typer.Argument(help="Text to go on from; `-` reads it from standard input.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many completions; each has the next seed.")] = 1,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Most tokens of a completion.")] = 100,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0 takes the likeliest token each time.")] = 0.8,
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="Only the k likeliest tokens; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option("--top-p", help="Only the fewest tokens with this probability together.")] = 1.0,
    min_p: Annotated[float, typer.Option("--min-p", help="Only tokens so likely in relation to the likeliest.")] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option("--repetition-penalty", help="Scores of tokens that were there already are divided by it.")
    ] = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option("--stop", help="A text that ends a completion; may be given many times.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the first completion's draws: the same, the same text.")] = 0,
    device: Annotated[str, typer.Option("--device", help="auto (the GPU if there is one), cpu or cuda.")] = "auto",
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="Of the CPU; 0: one for small models, else one for each core.")
    ] = 0,
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32, bfloat16, or auto: bfloat16 on a GPU, float32 elsewhere.")
    ] = "auto",
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Let a model write on from a text.

    Example: winnow sample pretrain@latest "The river Dresuth" --n 3 --temperature 0.7
    """
    folder = model_folder(Store(store), model)
    given = sys.stdin.buffer.read().decode("utf-8", "replace").removesuffix("\n") if prompt == "-" else prompt
    from models.transformer.sampling import Sampling  # only now: `winnow --help` need not wait for torch

    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    writer = Writer(folder, device, threads, dtype)
    requests = writer.requests(given, n, max_tokens, sampling, tuple(stop or ()), seed)
    if json_:
        samples = [one for _, one in writer.written(requests) if isinstance(one, Sample)]
        samples.sort(key=lambda one: one.seed)
        about = {"model": model, "prompt": given, "prompt_tokens": len(requests[0].prompt)}
        print(json.dumps(about | {"completions": [asdict(one) for one in samples], "tokens_per_second": writer.speed}))
        return
    _show(writer, requests, given, seed, console())


def _show(writer: "Writer", requests: list[Any], prompt: str, seed: int, out: Console) -> None:
    """One completion as it comes; several when they are whole, in the order of their seeds."""

    def say(text: str, style: str = "", end: str = "\n") -> None:
        out.out(visible(text), style=style or None, end=end, highlight=False)
        out.file.flush()

    say(prompt, "dim")
    done: dict[int, Sample] = {}
    if len(requests) == 1:
        say("")
    for _, one in writer.written(requests):
        if isinstance(one, Sample):
            done[one.seed] = one
        elif len(requests) == 1:
            say(one, end="")
    if len(requests) == 1:
        say("")
    else:
        for at, one in sorted(done.items()):
            say(f"\n{at - seed + 1} of {len(requests)}, seed {at}", "bold")
            say(one.text)
    tokens = sum(len(one.tokens) for one in done.values())
    cut = sum(one.finish_reason == "length" for one in done.values())
    speed = "" if writer.speed is None else f", {writer.speed:,.0f} tokens/s"
    print(f"{tokens:,} tokens{speed}{f'; {cut} of {len(done)} cut off by the limit' if cut else ''}", file=sys.stderr)


class Writer:
    """A model and its tokenizer, on a device."""

    def __init__(self, folder: Path, device: str, threads: int, dtype: str) -> None:
        import torch

        from models.formats.pretrained import load_model
        from models.tokenizer.load import load

        place, compute = placed(device, dtype)
        self.tokenizer = load(folder)
        self.pieces = self.tokenizer.pieces()
        self.model = load_model(folder, compute, place)
        if count := threads_for(self.model, threads):
            torch.set_num_threads(count)
        self.speed: float | None = None
        """Tokens a second behind the first of each completion."""

    def requests(self, prompt: str, n: int, tokens: int, sampling: Any, stop: tuple[str, ...], seed: int) -> list[Any]:
        from models.tokenizer.stream import ends_with
        from models.transformer.generate import Request

        if "" in stop:
            raise Problem("--stop is empty; give the text that ends a completion")
        begin = [] if self.tokenizer.start is None else [self.tokenizer.start]
        ids = [*begin, *self.tokenizer.encode(prompt)]
        return [
            Request(
                ids,
                tokens,
                sampling,
                self.tokenizer.stops,
                seed + number,
                stop_when=ends_with(self.pieces, stop) if stop else None,
            )
            for number in range(n)
        ]

    def written(self, requests: list[Any]) -> Iterator[tuple[int, str | Sample]]:
        """(number of the request, text as it comes, at last the whole)."""
        from models.tokenizer.stream import TextStream
        from models.transformer.generate import stream

        texts = [TextStream(self.pieces) for _ in requests]
        parts: list[list[str]] = [[] for _ in requests]
        began: float | None = None
        behind = 0
        for event in stream(self.model, requests):
            number, request = event.ticket, requests[event.ticket]
            behind += bool(parts[number])
            began = began or time.perf_counter()
            text = texts[number].add(event.token) + (texts[number].end() if event.completion else "")
            parts[number].append(text)
            if text:
                yield number, text
            if event.completion is not None:
                done = event.completion
                yield number, Sample("".join(parts[number]), done.tokens, done.logprobs, done.finish_reason, request.seed)
        passed = time.perf_counter() - (began or 0)
        self.speed = behind / passed if behind and passed > 0 else None
