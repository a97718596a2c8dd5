"""`winnow chat MODEL`: talk to a chat model in the terminal; with `--json`, one message from standard input and one object out."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.commands.ask import local
from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console, visible
from flows.commands.tools import (
    CharactersOption,
    CorpusOption,
    EmbedderOption,
    HitsOption,
    ToolsOption,
    named_tools,
    opened_tools,
)
from storage.artifact import resolve
from storage.problem import Problem

HELP = """/reset         forget the conversation
/system TEXT   another system message; without TEXT: show it, and the tools
/save FILE     write the conversation as a line of JSON, as `winnow run posttrain` reads it
/help          this
Ctrl-C stops an answer, Ctrl-D leaves. A line that begins with // is sent with one / less."""


def chat(
    model: Annotated[str, typer.Argument(help="A chat model: an artifact (a stage, a key, a path) or a Hugging Face folder.")],
    system: Annotated[str, typer.Option("--system", help="System message, put before the list of tools.")] = "",
    tools: ToolsOption = "",
    corpus: CorpusOption = "",
    hits: HitsOption = 2,
    characters: CharactersOption = 240,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Most tokens of an answer.")] = 200,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0 takes the likeliest token each time.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws at a temperature above 0.")] = 0,
    embedder: EmbedderOption = None,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Talk to a chat model: answers are streamed, tools are shown as they run; /help tells what else there is.

    Example: winnow chat sft@latest --tools python,search --corpus corpus@latest
    """
    wanted = named_tools(tools, corpus)
    opened = None if Path(model).is_dir() and "search" not in wanted else open_store(store)
    folder = Path(model) if Path(model).is_dir() else None
    if folder is None:
        assert opened is not None
        folder = local(opened, resolve(opened, model))
    with contextlib.ExitStack() as stack:
        talker = _talker(folder, opened_tools(wanted, opened, corpus, hits, characters, embedder, stack))
        talker.system, talker.tokens, talker.seed = system, tokens, seed
        talker.sampling = type(talker.sampling)(temperature=temperature)
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        if json_:
            print(json.dumps(once(talker, sys.stdin.read())))
        else:
            converse(talker, console(), model)


def _talker(folder: Path, tools: list[Any]) -> Any:
    """Raises Unusable where the folder holds no model, or its tokenizer no reserved tokens."""
    import torch

    from flows.commands.talker import Talker
    from models.chat.conversation import USER, Message
    from models.chat.renderer import prompt
    from models.formats.pretrained import load_model
    from models.tokenizer.load import load

    tokenizer = load(folder)
    prompt([Message(USER, "Hello")], tokenizer)
    network = load_model(folder, device="cuda" if torch.cuda.is_available() else "cpu").eval()
    return Talker(network, tokenizer, tools)


def once(talker: Any, text: str) -> dict[str, Any]:
    """One exchange, for programs."""
    from models.chat.fields import fields

    if not text.strip():
        raise Problem("found no message on standard input; expected a text, as in: echo 'Hello.' | winnow chat MODEL --json")
    turn = talker.say(text.strip())
    return {
        "answer": turn.answer,
        "thinking": "\n".join(one.thinking for one in turn.said if one.thinking) or None,
        "finished": turn.finished,
        "calls": [{"tool": call.tool, "text": call.text, "result": result} for call, result in turn.calls],
        "messages": [fields(one) for one in turn.said],
    }


def converse(talker: Any, out: Console, name: str) -> None:
    """Until the input ends."""
    out.print(f"{name}: {'tools ' + ', '.join(tool.name for tool in talker.tools) if talker.tools else 'no tools'}. /help tells more, Ctrl-D leaves.", style="dim", markup=False, soft_wrap=True)  # fmt: skip
    saved: set[Path] = set()
    told = 0
    for line in lines():
        text = line.strip()
        try:
            if text.startswith("/") and not text.startswith("//"):
                command(talker, text, out, saved)
            elif text:
                told = exchange(talker, text[1:] if text.startswith("//") else text, out, told)
        except Problem as problem:
            out.print(f"({problem})", style="red", markup=False, soft_wrap=True)
    out.print()


def lines() -> Iterator[str]:
    """What is typed, or what comes through a pipe. Ctrl-C gives up the line."""
    terminal = sys.stdin.isatty()
    if terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  the arrows of the keyboard
    while True:
        try:
            yield input("> ") if terminal else next(sys.stdin)
        except KeyboardInterrupt:
            print()
        except (EOFError, StopIteration):
            return


def exchange(talker: Any, text: str, out: Console, told: int) -> int:
    """One exchange, shown as it comes. Back: the number of messages that were left out; a person is told when it changes."""
    screen = Screen(out)
    turn = talker.say(text, screen.show)
    screen.end()
    if not turn.finished:
        out.print("(cut off)", style="dim")
    if turn.kept is not None:
        out.print(f"(this exchange is not kept: {turn.kept})", style="dim", markup=False, soft_wrap=True)
    if turn.left_out and turn.left_out != told:
        out.print(
            f"(the model's context of {talker.model.shape.context:,} tokens is full: the {turn.left_out} oldest messages were left out)",
            style="dim",
            soft_wrap=True,
        )
    left: int = turn.left_out
    return left


class Screen:
    """Puts pieces on the screen: content as it is, thoughts, calls and results dimmed, each on a line of its own."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self.what = "content"
        self.clean = True
        """Whether the cursor is at the beginning of a line."""

    def show(self, what: str, text: str) -> None:
        if what != self.what or not text:
            self.end()
            self.what = what
            if what != "content":
                self._put(f"{what}: ")
        if text:
            self._put(visible(text))

    def end(self) -> None:
        if not self.clean:
            self._put("\n")
        self.what = "content"

    def _put(self, text: str) -> None:
        self.out.out(text, end="", style=None if self.what == "content" else "dim", highlight=False)
        self.out.file.flush()
        self.clean = text.endswith("\n")


def command(talker: Any, text: str, out: Console, saved: set[Path]) -> None:
    """Raises Problem where it is none, or cannot be done."""
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if word == "/reset":
        talker.reset()
        out.print("(forgotten)", style="dim")
    elif word == "/system":
        if rest:
            talker.system = rest
        first = talker.messages[0] if talker.messages else None
        told = first.content if first is not None and first.role == "system" else "no system message"
        out.print(f"({visible(told)})", style="dim", markup=False, soft_wrap=True)
    elif word == "/save":
        save(talker, rest, saved)
        out.print(f"(written to {rest})", style="dim", markup=False, soft_wrap=True)
    elif word == "/help":
        out.print(HELP, style="dim", markup=False, soft_wrap=True)
    else:
        raise Problem(f"there is no command {word}; expected /reset, /system, /save or /help")


def save(talker: Any, name: str, saved: set[Path]) -> None:
    """Raises Problem where there is nothing to save, or the file is there already and not of this chat."""
    from models.chat.fields import fields

    if not name:
        raise Problem("/save needs the name of a file, as in /save chat.jsonl")
    if not talker.history:
        raise Problem("nothing was said yet, so there is nothing to save")
    path = Path(name).expanduser().absolute()
    if path.exists() and path not in saved:
        raise Problem(f"{name} is there already; give another name")
    try:
        path.write_text(json.dumps({"messages": [fields(one) for one in talker.messages]}) + "\n", encoding="utf-8")
    except OSError as error:
        raise Problem(f"cannot write {name}: {error.strerror}; give a file in a folder that is there") from error
    saved.add(path)
