"""`winnow show`: the catalogue, or one artifact: schema, rows, reasons with counts, sample rows, recipe."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from flows.commands.options import JsonOption, StoreOption
from flows.commands.terminal import console, visible
from storage.artifact import recipe, resolve
from storage.problem import Problem
from storage.runs import records
from storage.shards import read_shard
from storage.snapshot import Snapshot
from storage.store import Store

LONGEST = 400  # characters of a value that a person wants to see in a list of rows


def show(
    artifact: Annotated[
        str | None, typer.Argument(help="A stage (c4 or c4@latest), a key, stage/key@snapshot, a path; none: list all.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Only rows dropped for this reason; `kept` for those that were not.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help='Only rows for which this SQL expression holds, e.g. "language_score < 0.7".')
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=0, help="How many rows to show.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other rows.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Whole values, however long.")] = False,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Look at the artifacts of a store, or into one of them."""
    opened = Store(store)
    if artifact is None:
        _catalogue(opened, json_)
        return
    snapshot = resolve(opened, artifact)
    rows, matching = _rows(opened, snapshot, reason, where, sample, seed)
    if json_:
        _print_json(opened, snapshot, rows, matching)
    else:
        _print(opened, snapshot, rows, matching, full, bool(reason or where))


def _catalogue(store: Store, as_json: bool) -> None:
    newest: dict[str, dict[str, Any]] = {}
    for record in records(store):
        for stage, made in record.artifacts.items():
            newest.setdefault(
                stage,
                {
                    "stage": stage,
                    "artifact": made.reference,
                    "rows": made.rows,
                    "bytes": made.bytes,
                    "run": record.id,
                    "flow": record.flow,
                },
            )
    if as_json:
        print(json.dumps({"artifacts": list(newest.values())}))
        return
    if not newest:
        raise Problem(
            f"the store {store.url!r} holds no artifacts; run `winnow demo` or `winnow run corpus` first, or name another with --store"
        )
    table = Table("stage", "artifact", box=None, header_style="bold", pad_edge=False)
    table.columns[1].no_wrap = True
    for name in ("rows", "MB"):
        table.add_column(name, justify="right")
    table.add_column("newest run")
    for one in newest.values():
        table.add_row(
            one["stage"], one["artifact"], f"{one['rows']:,}", f"{one['bytes'] / 1e6:,.1f}", f"{one['flow']} {one['run']}"
        )
    console().print(table)


def _rows(
    store: Store, snapshot: Snapshot, reason: str | None, where: str | None, sample: int, seed: int
) -> tuple[pl.DataFrame | None, int]:
    """A sample of the matching rows, and how many match (all shards are read only if a condition asks for it)."""
    shards = list(snapshot.shards)
    if not shards:
        return None, 0
    condition = bool(reason or where)
    chosen: pl.DataFrame | None = None
    matching = 0
    for frame in _frames(store, snapshot, every=condition, wanted=sample):
        found = _filter(frame, reason, where)
        matching += found.height
        taken = found.sample(min(sample, found.height), seed=seed + matching)
        chosen = taken if chosen is None else pl.concat([chosen, taken], how="diagonal")
    assert chosen is not None
    return chosen.sample(min(sample, chosen.height), seed=seed), matching if condition else snapshot.rows


def _frames(store: Store, snapshot: Snapshot, every: bool, wanted: int) -> Iterator[pl.DataFrame]:
    seen = 0
    for file in snapshot.shards:
        frame = read_shard(store, snapshot.folder, file)
        seen += frame.height
        yield frame
        if not every and seen >= 50 * wanted:
            return


def _filter(frame: pl.DataFrame, reason: str | None, where: str | None) -> pl.DataFrame:
    if reason:
        if "reason" not in frame.columns:
            raise Problem("this artifact has no `reason` column: its stage drops nothing. Leave --reason out")
        frame = frame.filter(pl.col("reason").is_null() if reason == "kept" else pl.col("reason") == reason)
    if where:
        try:
            frame = frame.filter(pl.sql_expr(where))
        except (pl.exceptions.PolarsError, ValueError) as error:
            raise Problem(f"--where {where!r}: {error}. Columns: {', '.join(frame.columns)}") from None
    return frame


def _print_json(store: Store, snapshot: Snapshot, rows: pl.DataFrame | None, matching: int) -> None:
    document = {
        "artifact": snapshot.reference,
        "path": store.full(snapshot.folder),
        "rows": snapshot.rows,
        "kept": snapshot.kept,
        "bytes": snapshot.bytes,
        "reasons": snapshot.reasons,
        "stats": dict(snapshot.stats),
        "recipe": recipe(store, snapshot.stage, snapshot.key),
        "schema": {} if rows is None else {name: str(dtype) for name, dtype in rows.schema.items()},
        "matching": matching,
        "sample": [] if rows is None else rows.to_dicts(),
    }
    print(json.dumps(document, default=str))


def _print(store: Store, snapshot: Snapshot, rows: pl.DataFrame | None, matching: int, full: bool, conditional: bool) -> None:
    out = console()
    out.print(f"[bold]{snapshot.reference}[/bold]  {store.full(snapshot.folder)}", soft_wrap=True)
    dropped = snapshot.rows - snapshot.kept
    out.print(
        f"{snapshot.rows:,} rows in {len(snapshot.shards)} shards, {snapshot.bytes / 1e6:,.1f} MB"
        + (f"; {dropped:,} dropped" if dropped else "")
    )
    document = recipe(store, snapshot.stage, snapshot.key)
    out.print(f"recipe: version {document['version']}, {json.dumps(document['config'])}", soft_wrap=True, markup=False)
    for name, text in document["inputs"].items():
        out.print(f"  {name}: {text}")
    if snapshot.stats:
        out.print(
            "stats: " + ", ".join(f"{name} {value}" for name, value in snapshot.stats.items()), soft_wrap=True, markup=False
        )
    if snapshot.reasons:
        table = Table("reason", box=None, header_style="bold", pad_edge=False)
        table.add_column("rows", justify="right")
        for reason, count in snapshot.reasons.items():
            table.add_row(escape(reason), f"{count:,}")
        out.print(table)
    if rows is None:
        for file in snapshot.files:
            out.print(f"  {file.name}  {file.bytes:,} bytes", markup=False)
        return
    out.print("columns: " + ", ".join(f"{name} {dtype}" for name, dtype in rows.schema.items()), soft_wrap=True, markup=False)
    if conditional:
        out.print(f"{matching:,} rows match")
    for row in rows.to_dicts():
        out.rule(style="dim")
        for name, value in row.items():
            text = str(value)
            if len(text) > LONGEST and not full:
                text = f"{text[:LONGEST]} ... ({len(text):,} characters; --full shows all)"
            out.print(f"[bold]{name}[/bold] {escape(visible(text))}", soft_wrap=True)
