"""Options that several commands share, so that they are spelled and explained once, and the store that `--store` names."""

from typing import Annotated

import typer

from storage.problem import Problem
from storage.store import Store

StoreOption = Annotated[
    str,
    typer.Option(
        "--store", envvar="WINNOW_STORE", help="Where artifacts are kept: a folder or an fsspec URL.", show_default=True
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one machine-readable object as the last line.")]
EngineOption = Annotated[
    str | None, typer.Option("--engine", help="local (a pool of processes; the default) or ray (a cluster).")
]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Workers at a time; default: one for each core.")]
ArtifactArgument = Annotated[str, typer.Argument(help="A stage (c4 or c4@latest), a key, stage/key@snapshot, or a path.")]


def open_store(url: str) -> Store:
    """A store to look into. Raises Problem where it holds nothing (a wrong path, most often) or cannot be read."""
    store = Store(url)
    try:
        known = store.folders("")
    except Problem:
        raise
    except Exception as error:  # whatever a file system or a cloud client raises, the person needs one line
        raise Problem(
            f"the store {url!r} cannot be read: {type(error).__name__}: {error}. Expected a folder or bucket that this user can read; "
            "check the address, the credentials and the network, or give another with --store"
        ) from error
    if not known:
        raise Problem(
            f"the store {url!r} holds nothing; run `winnow demo` or `winnow run corpus` first, or name another with --store"
        )
    return store
