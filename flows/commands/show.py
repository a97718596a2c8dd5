"""`winnow show`: the catalogue, or one artifact: schema, rows, reasons with counts, sample rows, recipe."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console, visible
from storage.artifact import recipe, resolve
from storage.problem import Problem
from storage.runs import records
from storage.shards import File, read_shard
from storage.snapshot import Snapshot
from storage.store import Store

LONGEST = 400  # characters of a value that a person wants to see in a list of rows


def show(
    artifact: Annotated[
        str | None,
        typer.Argument(help="A stage or step (c4, c4@latest, sft_first), a key, stage/key@snapshot, a path; none: list all."),
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
    opened = open_store(store)
    if artifact is None:
        _catalogue(opened, json_)
        return
    snapshot = resolve(opened, artifact)
    tables = _tables(opened, snapshot, reason, where, sample, seed)
    if json_:
        _print_json(opened, snapshot, tables)
    else:
        _print(opened, snapshot, tables, full, bool(reason or where))


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
        raise Problem(f"no run of the store {store.url!r} has finished a stage yet; run `winnow demo` or `winnow run corpus`")
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


@dataclass(frozen=True)
class Shown:
    """Rows of one table: of all shards of a dataset, or of one of the tables of a whole stage, whose columns may differ."""

    name: str
    rows: pl.DataFrame
    matching: int


def _tables(store: Store, snapshot: Snapshot, reason: str | None, where: str | None, sample: int, seed: int) -> list[Shown]:
    """A sample of the matching rows, and how many match (all shards are read only if a condition asks for it)."""
    shown: list[Shown] = []
    wrong: list[Problem] = []
    for name, files in snapshot.tables.items():
        try:
            shown.append(Shown(name or snapshot.stage, *_rows(store, snapshot, files, reason, where, sample, seed)))
        except Problem as problem:
            wrong.append(problem)  # a condition on columns that only another of the tables has
    if wrong and not shown:
        raise wrong[0]
    return shown


def _rows(
    store: Store, snapshot: Snapshot, files: list[File], reason: str | None, where: str | None, sample: int, seed: int
) -> tuple[pl.DataFrame, int]:
    condition = bool(reason or where)
    samples: list[pl.DataFrame] = []
    matching = 0
    for frame in _frames(store, snapshot, files, every=condition, wanted=sample):
        found = _filter(frame, reason, where)
        matching += found.height
        samples.append(found.sample(min(sample, found.height), seed=seed + matching))
    chosen = pl.concat(samples)
    return chosen.sample(min(sample, chosen.height), seed=seed), matching if condition else sum(file.rows or 0 for file in files)


def _frames(store: Store, snapshot: Snapshot, files: list[File], every: bool, wanted: int) -> Iterator[pl.DataFrame]:
    seen = 0
    for file in files:
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
            what = str(error).partition(";")[0]
            raise Problem(f"--where {where!r}: {what}. Columns: {', '.join(frame.columns)}") from None
    return frame


def _print_json(store: Store, snapshot: Snapshot, tables: list[Shown]) -> None:
    document = {
        "artifact": snapshot.reference,
        "path": store.full(snapshot.folder),
        "rows": snapshot.rows,
        "kept": snapshot.kept,
        "bytes": snapshot.bytes,
        "reasons": snapshot.reasons,
        "stats": dict(snapshot.stats),
        "recipe": recipe(store, snapshot.stage, snapshot.key),
        "files": [file.name for file in snapshot.files],
        "schema": {name: str(dtype) for table in tables for name, dtype in table.rows.schema.items()},
        "matching": sum(table.matching for table in tables),
        "sample": [{name: _plain(value) for name, value in row.items()} for table in tables for row in table.rows.to_dicts()],
    }
    print(json.dumps(document, default=str, allow_nan=False))


def _plain(value: Any) -> Any:
    """What JSON has no word for: bytes as hexadecimal digits, NaN and infinities as text."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _print(store: Store, snapshot: Snapshot, tables: list[Shown], full: bool, conditional: bool) -> None:
    out = console()
    out.print(f"[bold]{snapshot.reference}[/bold]  {store.full(snapshot.folder)}", soft_wrap=True)
    dropped = snapshot.rows - snapshot.kept
    files = f"{len(snapshot.files)} file" + ("s" if len(snapshot.files) != 1 else "")
    out.print(
        (f"{snapshot.rows:,} rows in " if snapshot.shards else "")
        + f"{files}, {snapshot.bytes / 1e6:,.1f} MB"
        + (f"; {dropped:,} dropped" if dropped else "")
    )
    document = recipe(store, snapshot.stage, snapshot.key)
    out.print(f"recipe: version {document['version']}, {json.dumps(document['config'])}", soft_wrap=True, markup=False)
    for name, text in document["inputs"].items():
        out.print(f"  {name}: {text}")
    if snapshot.stats:
        stats = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in snapshot.stats.items()
        )
        out.print(f"stats: {stats}", soft_wrap=True, markup=False)
    if snapshot.reasons:
        table = Table("reason", box=None, header_style="bold", pad_edge=False)
        table.add_column("rows", justify="right")
        for reason, count in snapshot.reasons.items():
            table.add_row(escape(reason), f"{count:,}")
        out.print(table)
    if len(snapshot.files) > len(snapshot.shards) or len(tables) > 1:
        for file in snapshot.files:
            out.print(f"  {file.name}  {file.bytes:,} bytes", markup=False)
    for shown in tables:
        _print_table(out, shown, full, conditional, titled=len(tables) > 1)


def _print_table(out: Console, shown: Shown, full: bool, conditional: bool, titled: bool) -> None:
    if titled:
        out.print(f"[bold]{escape(shown.name)}[/bold]")
    columns = ", ".join(f"{name} {dtype}" for name, dtype in shown.rows.schema.items())
    out.print(f"columns: {columns}", soft_wrap=True, markup=False)
    if conditional:
        out.print("1 row matches" if shown.matching == 1 else f"{shown.matching:,} rows match")
    for row in shown.rows.to_dicts():
        out.rule(style="dim")
        for name, value in row.items():
            text = f"{len(value):,} bytes: {value.hex()}" if isinstance(value, bytes) else str(value)
            if len(text) > LONGEST and not full:
                text = f"{text[:LONGEST]} ... ({len(text):,} characters; --full shows all)"
            out.print(f"[bold]{name}[/bold] {escape(visible(text))}", soft_wrap=True)
