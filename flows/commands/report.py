"""`winnow report MODEL`: one page about a model, from the crawl to its weights, which can be given away."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console
from storage.artifact import resolve
from storage.problem import Problem
from storage.report.contents import contents, document
from storage.report.page import page


def report(
    model: Annotated[str, typer.Argument(help="The model: a stage (sft or sft@latest), a key, stage/key@snapshot, or a path.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the page; else STAGE-KEY.html in this folder.")
    ] = None,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Write a model's report as one HTML page: lineage, data, curves, samples, scores, sizes, seeds, cost. It needs nothing else.

    Example: winnow report sft --out report.html
    """
    opened = open_store(store)
    snapshot = resolve(opened, model)
    found = contents(opened, snapshot)
    path = out or Path(f"{snapshot.stage}-{snapshot.key}.html")
    text = page(found)
    write(path, text)
    if json_:
        told = {"report": str(path), "bytes": len(text.encode()), **document(found)}
        print(json.dumps(told, allow_nan=False))
        return
    counts = {"artifact": len(found.way.stations), "training": len(found.trainings), "measurement": len(found.way.beside)}
    said = ", ".join(f"{number} {what}{'' if number == 1 else 's'}" for what, number in counts.items())
    console().print(f"[bold]{snapshot.reference}[/bold]: {said}\n{escape(str(path))}", soft_wrap=True, highlight=False)


def write(path: Path, text: str) -> None:
    """Raises Problem where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(
            f"--out {str(path)!r}: {error.strerror or error}; expected the name of a file in a folder that is there"
        ) from None
