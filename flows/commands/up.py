"""`winnow up`: Prefect, the flows and the viewer in one command."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import StoreOption
from flows.commands.terminal import console
from storage.problem import Problem


def up(
    store: StoreOption = "./store",
    crawl: Annotated[
        str, typer.Option("--crawl", help="What the nightly run reads: a folder, pattern or address that grows.")
    ] = "./crawl",
    prefect_port: Annotated[int, typer.Option("--prefect-port", help="Where the Prefect UI listens.")] = 4200,
    viewer_port: Annotated[int, typer.Option("--viewer-port", help="Where the viewer listens.")] = 4280,
) -> None:
    """Start the Prefect server, all flows as deployments, and the viewer, on loopback; Ctrl-C stops them."""
    from flows import up as everything

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever stops it so means the same as Ctrl-C
    here = str(Path(crawl).absolute()) if "://" not in crawl else crawl
    kept = str(Path(store).absolute()) if "://" not in store else store
    out = console()
    with everything.up(kept, here, prefect_port, viewer_port) as (addresses, ended):
        out.print(f"Prefect  {addresses.prefect}   start, schedule, watch and cancel runs", soft_wrap=True)
        out.print(f"API      {addresses.api}   for other commands: they find it by themselves in this folder", soft_wrap=True)
        out.print(f"Viewer   {addresses.viewer}   every artifact of {kept}", soft_wrap=True)
        out.print("Ctrl-C stops all three; runs that are under way stop too and go on when they are started again.")
        while (gone := ended()) is None:
            time.sleep(1)
    raise Problem(f"{gone}; everything is stopped. Its words are above")
