"""`winnow serve MODEL ...`: models behind OpenAI's interface, and a chat page, on loopback."""

import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console
from flows.commands.tools import (
    CharactersOption,
    CorpusOption,
    EmbedderOption,
    HitsOption,
    ToolsOption,
    named_tools,
    opened_tools,
)
from flows.models import local, model_folder, placed, threads_for
from storage.artifact import resolve
from storage.problem import Problem
from storage.store import Store

KEY = "WINNOW_API_KEY"
GGUF = ".gguf"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models: artifacts (a stage, a key, a path), Hugging Face folders, .gguf files (also ARTIFACT/FILE.gguf); NAME=MODEL names one."
        ),
    ],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0: any free port.")] = 8000,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; any but loopback needs a key.")] = "127.0.0.1",
    key: Annotated[str, typer.Option("--api-key", envvar=KEY, help="Asked of every client.", show_default=False)] = "",
    tools: ToolsOption = "",
    corpus: CorpusOption = "",
    hits: HitsOption = 2,
    characters: CharactersOption = 240,
    places: Annotated[int, typer.Option("--places", min=1, max=4096, help="Completions computed at a time, of each model.")] = 16,
    queue: Annotated[
        int, typer.Option("--queue", min=0, help="Completions that may wait for a place; beyond, clients are told 429.")
    ] = 256,
    context: Annotated[
        int, typer.Option("--context", min=0, help="Most tokens of a prompt and its completion; 0: the model's context.")
    ] = 0,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=0, help="Most new tokens of a completion; 0: as the context has room.")
    ] = 0,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1024, help="Most bytes of a request.")] = 4 << 20,
    device: Annotated[str, typer.Option("--device", help="auto (the GPU if there is one), cpu or cuda.")] = "auto",
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="Of the CPU, for each model; 0: one for small models, else one for each core.")
    ] = 0,
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32, bfloat16, or auto: bfloat16 on a GPU, float32 elsewhere.")
    ] = "auto",
    embedder: EmbedderOption = None,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Serve models to programs (OpenAI's interface) and people (a chat page); Ctrl-C stops it.

    Example: winnow serve sft@latest --tools python,search --corpus corpus@latest
    """
    if host not in LOOPBACK and not key:
        raise Problem(f"--host {host} lets others in; give a long random --api-key (or {KEY}), or leave --host out")
    wanted = named_tools(tools, corpus)
    opened = open_store(store) if "search" in wanted else None
    place, compute = placed(device, dtype)
    paths = named_models(models, store)

    import uvicorn

    from models.serve.app import create_app
    from models.serve.batch import Batch
    from models.serve.limits import Limits
    from models.serve.loader import open_model
    from models.serve.served import Served
    from models.serve.vocabulary import Vocabulary

    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen(host, port))
        given = opened_tools(wanted, opened, corpus, hits, characters, embedder, stack)
        served = []
        for name, path in paths.items():
            model, tokenizer = open_model(path, compute, place)
            if context and context > model.shape.context:
                raise Problem(f"--context {context:,} is more than the {model.shape.context:,} of {name}; lower it")
            batch = Batch(model, places, queue, threads_for(model, threads), context or None)
            served.append(Served(name, tokenizer, batch, Vocabulary(tokenizer), given))
        app = create_app(served, Limits(body=max_bytes, tokens=max_tokens or None), key or None)
        bound = listening.getsockname()[1]
        address = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        if json_:
            print(json.dumps({"address": address, "models": [one.document() for one in served]}), flush=True)
        else:
            out = console()
            out.print(f"Chat page  {address}/", soft_wrap=True)
            out.print(f"API        {address}/v1   models: {', '.join(one.name for one in served)}", soft_wrap=True)
            out.print("Ctrl-C stops it.")
            sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False)
        server = uvicorn.Server(config)
        leave = server.handle_exit

        def stop(sig: int, frame: FrameType | None) -> None:
            for one in served:  # so that no stream holds the server up
                one.batch.stop()
            leave(sig, frame)

        server.handle_exit = stop  # type: ignore[method-assign]
        server.run(sockets=[listening])


def named_models(texts: list[str], store: str) -> dict[str, Path]:
    """Where each model lies, by the name that requests call it: NAME of NAME=MODEL, else the stage, or the folder's or file's name."""
    found: dict[str, Path] = {}
    for text in texts:
        given, equals, model = text.partition("=")
        if not equals or os.sep in given:
            given, model = "", text
        path = Path(model).expanduser()
        path = _gguf(path, model, store) if path.suffix == GGUF else model_folder(Store(store), model)
        name = given or _name(model, path)
        if name in found:
            raise Problem(f"two models are called {name}; give names, as in: winnow serve old={texts[0]} new={text}")
        found[name] = path
    return found


def _gguf(path: Path, model: str, store: str) -> Path:
    """A file of this machine, or ARTIFACT/FILE of the store. Raises Problem where there is neither."""
    if path.is_file():
        return path
    artifact, slash, file = model.rpartition("/")
    if not slash or Path(artifact).is_dir():
        raise Problem(f"there is no file {path}; expected one that `winnow run release` wrote, or ARTIFACT/FILE.gguf")
    opened = open_store(store)
    found = local(opened, resolve(opened, artifact)) / file
    if not found.is_file():
        there = ", ".join(sorted(one.name for one in found.parent.glob(f"*{GGUF}"))) or "none"
        raise Problem(f"{artifact} has no file {file}; its .gguf files: {there}")
    return found


def _name(model: str, path: Path) -> str:
    if path.suffix == GGUF:
        return path.stem
    if Path(model).is_dir():
        return Path(model).resolve().name
    return model.partition("@")[0].partition("/")[0]


def listen(host: str, port: int) -> socket.socket:
    """Taken before the models are loaded, which takes long. Raises Problem where it cannot be had."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(2048)  # whoever comes before the models are loaded waits
    except OSError as error:
        made.close()
        raise Problem(
            f"{host}:{port} cannot be had: {error.strerror}. Another program listens there; stop it, or give another --port"
        ) from None
    return made
