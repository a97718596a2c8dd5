"""Options that several commands share, so that they are spelled and explained once."""

from typing import Annotated

import typer

StoreOption = Annotated[
    str, typer.Option("--store", help="Where artifacts are kept: a folder or an fsspec URL.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one machine-readable object as the last line.")]
EngineOption = Annotated[str | None, typer.Option("--engine", help="local (a pool of processes) or ray (a cluster).")]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Workers at a time; default: one for each core.")]
ArtifactArgument = Annotated[str, typer.Argument(help="A stage (c4 or c4@latest), a key, stage/key@snapshot, or a path.")]
