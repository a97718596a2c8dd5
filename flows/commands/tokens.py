"""`winnow tokens TEXT`: how a text splits, in colour, with ids."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console, visible
from models.tokenizer.load import OWN, load, made
from models.tokenizer.roles import BESIDE
from models.tokenizer.tokenizer import Tokenizer
from storage.artifact import resolve
from storage.problem import Problem
from storage.shards import checked

MOST = 1_000  # tokens that are shown with their ids
# Colours by value: black on a named one is unreadable in some terminals' themes.
TINTS = ("#000000 on #a6dcef", "#000000 on #f9e79f", "#000000 on #b8e6b0", "#000000 on #e3c1f0")
BYTES = "#ffffff on #b03030"
_SIGNS = str.maketrans({" ": "·", "\t": "⇥", "\n": "⏎", "\r": "⇤", "\xa0": "⍽", "\u3000": "□"})


def tokens(
    text: Annotated[str, typer.Argument(help="The text; `-` reads it from standard input.")],
    tokenizer: Annotated[
        str,
        typer.Option("--tokenizer", help="An artifact with a tokenizer (a stage, a key, a path), or a Hugging Face folder."),
    ] = "tokenizer@latest",
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """See how a text splits into tokens, with their ids; pieces that are no whole character stand on red, as bytes.

    Example: winnow tokens "A crawl of 2026 pages" --tokenizer ./my-model
    """
    found, name = _opened(tokenizer, store)
    given = sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text
    ids = found.encode(given)
    pieces = found.pieces()
    size = sum(len(pieces[n][0]) for n in ids)
    parts = sum(_is_part(pieces[n][0]) for n in ids)
    if json_:
        document = {
            "tokenizer": name,
            "kind": found.kind,
            "size": found.size,
            "bytes": size,
            "bytes_per_token": size / len(ids) if ids else None,
            "byte_pieces": parts,
            "tokens": [{"id": n, "text": pieces[n][0].decode("utf-8", "replace"), "bytes": pieces[n][0].hex()} for n in ids],
        }
        print(json.dumps(document))
        return
    out = console()
    for line in _lines(out, [(n, pieces[n][0]) for n in ids[:MOST]]):
        out.print(line, soft_wrap=True)
    if len(ids) > MOST:
        out.print(f"... and {len(ids) - MOST:,} tokens more; --json has them all")
    each = f", {size / len(ids):.2f} bytes per token" if ids else ""
    bytes_alone = f"; {parts:,} are parts of characters" if parts else ""
    out.print(f"[bold]{len(ids):,} tokens[/bold] of {size:,} bytes{each}{bytes_alone}", soft_wrap=True)
    out.print(f"{found.kind} of {found.size:,}: {name}", soft_wrap=True, markup=False)


def _opened(text: str, store: str) -> tuple[Tokenizer, str]:
    """The tokenizer, and what it is called."""
    folder = Path(text)
    if folder.is_dir():
        return load(folder), text
    opened = open_store(store)
    snapshot = resolve(opened, text)
    files = {file.name: file for file in snapshot.files if file.name in (*OWN, *BESIDE)}
    if not any(name in OWN for name in files):
        raise Problem(f"{snapshot.reference} holds no tokenizer; give an artifact that does (tokenizer, pretrain) or a folder")
    return made({name: checked(opened, snapshot.folder, file) for name, file in files.items()}), snapshot.reference


def _lines(out: Console, tokens: list[tuple[int, bytes]]) -> Iterator[Text]:
    """Lines as wide as the terminal: the pieces, below each its id, and nothing. A newline ends the line."""
    upper, lower = Text(), Text()
    for place, (number, piece) in enumerate(tokens):
        shown, tint = _shown(piece), BYTES if _is_part(piece) else TINTS[place % len(TINTS)]
        width = max(cell_len(shown), len(str(number))) + 1
        if upper.cell_len + width > out.width and upper:
            yield from (upper, lower, Text())
            upper, lower = Text(), Text()
        upper.append(shown, tint).append(" " * (width - cell_len(shown)))
        lower.append(str(number).ljust(width), "dim")
        if piece.endswith(b"\n"):
            yield from (upper, lower, Text())
            upper, lower = Text(), Text()
    if upper:
        yield from (upper, lower, Text())


def _shown(piece: bytes) -> str:
    if _is_part(piece):
        return "".join(f"<{byte:02X}>" for byte in piece)
    shown = visible(piece.decode().translate(_SIGNS))
    return shown if cell_len(shown) else f"◌{shown}"  # an accent by itself would stand on the piece before


def _is_part(piece: bytes) -> bool:
    """Whether the piece is no text: it begins or ends inside a character."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return True
    return False
