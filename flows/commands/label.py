"""`winnow label ROLLOUTS`: a local page on which a person says which answers are better; kept at once, gone on with later."""

import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console
from storage.artifact import resolve
from storage.problem import Problem

if TYPE_CHECKING:
    from flows.labelling.app import Desk


def label(
    rollouts: Annotated[
        str, typer.Argument(help="Answers to judge: an artifact of the stages rollouts, arena or evaluate_reasoning.")
    ],
    name: Annotated[
        str, typer.Option("--name", help="Who judges; another name judges the same items anew, for agreement.")
    ] = "me",
    to: Annotated[Path, typer.Option("--to", help="File of judgements, JSON lines; appended to.")] = Path("judgements.jsonl"),
    answers: Annotated[int, typer.Option("--answers", min=2, max=9, help="Most answers side by side.")] = 4,
    count: Annotated[int, typer.Option("--count", min=0, help="Items to judge; 0: all.")] = 0,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="On this machine alone; 0: any that is free.")] = 0,
    report_: Annotated[bool, typer.Option("--report", help="Only say what was judged and how far annotators agree.")] = False,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Judge answers in the browser: an order or ties, by mouse or keyboard; every judgement is kept at once.

    Example: winnow label rollouts@latest --name Ann --to judgements.jsonl
    """
    # Here, for PyTorch, which ratings need, takes seconds to import.
    from flows.labelling.app import Desk
    from flows.labelling.items import items
    from flows.labelling.judgements import values
    from flows.labelling.report import report
    from stages.alignment.agreement import agreements
    from stages.alignment.judgements import read

    if not name.strip():
        raise Problem("the name is empty; expected who judges, such as --name Ann")
    if not to.parent.is_dir():
        raise Problem(f"there is no folder {to.parent}; expected one in which {to.name} can be written")
    if not report_:
        opened = open_store(store)
        snapshot = resolve(opened, rollouts)
        desk = Desk(items(opened, snapshot, answers, count), name.strip(), to.absolute(), snapshot.reference)
        _serve(desk, port)
    rows = read(to)
    if json_:
        told = [vars(one) for one in agreements(values(rows))]
        judged = {
            who: len({row["item"] for row in rows if row["annotator"] == who})
            for who in sorted({row["annotator"] for row in rows})
        }
        print(json.dumps({"file": str(to), "judged": judged, "agreement": told}))
        return
    console().print(report(rows) if rows else f"nothing is judged in {to} yet", markup=False)


def _serve(desk: "Desk", port: int) -> None:
    """Until Ctrl-C."""
    import uvicorn

    from flows.labelling.app import create_app

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()  # a browser that is quicker than the server waits
        except OSError as error:
            raise Problem(
                f"port {port} cannot be had: {error.strerror}; give another with --port, or 0 for any that is free"
            ) from error
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        console().print(
            f"{len(desk.judged)} of {len(desk.items)} items are judged. Judge at {address} · Ctrl-C ends it", markup=False
        )
        with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once it has ended its work
            uvicorn.Server(uvicorn.Config(create_app(desk), log_level="warning")).run(sockets=[listening])
