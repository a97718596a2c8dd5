"""`winnow why DOC`: a page's way through the stages, with the value and the threshold that decided."""

import json
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console, visible
from storage.artifact import resolve
from storage.problem import Problem
from storage.runs import RunRecord, records
from storage.shards import File, read_shard
from storage.snapshot import Snapshot
from storage.store import Store

REASON = ("reason", "reason_value", "reason_threshold", "reason_detail")


def why(
    doc: Annotated[str, typer.Argument(help="A page's id or URL, or a part of one that only one page has.")],
    run: Annotated[
        str | None, typer.Option("--run", help="A run id (`winnow show` lists them); default: the newest corpus run.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="The page's text after each stage that changed it.")] = False,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Why was this page kept or dropped? Follow it from the crawl to the corpus."""
    if not doc:
        raise Problem("the page is the empty text; give its id, its URL, or a part of one that only one page has")
    opened = open_store(store)
    record = _record(opened, run)
    page, origin = _find(opened, record, doc)
    steps = _steps(opened, record, page["id"], origin)
    if json_:
        print(json.dumps({"id": page["id"], "url": page["url"], "run": record.id, "steps": steps}, default=str))
    else:
        _print(page, steps, text)


def _record(store: Store, run: str | None) -> RunRecord:
    for record in records(store):
        if "records" in record.artifacts and (run is None or record.id == run):
            return record
    raise Problem(
        f"no run {run!r} with records in {store.url!r}; `winnow show` names the runs"
        if run
        else f"the store {store.url!r} has no corpus run; run `winnow demo` or `winnow run corpus` first, or name another store with --store"
    )


def _find(store: Store, record: RunRecord, doc: str) -> tuple[dict[str, Any], str]:
    """The page's row of `records`, and the shard that its history began with."""
    snapshot = resolve(store, record.artifacts["records"].reference)
    close: list[tuple[dict[str, Any], str]] = []
    for file in snapshot.shards:
        frame = read_shard(store, snapshot.folder, file, ["id", "url", "source", "offset"])
        exact = frame.filter((pl.col("id") == doc) | (pl.col("url") == doc))
        if exact.height:
            return exact.to_dicts()[0], file.origin or file.name
        part = frame.filter(pl.col("id").str.contains(doc, literal=True) | pl.col("url").str.contains(doc, literal=True))
        close += [(row, file.origin or file.name) for row in part.head(20 - len(close)).to_dicts()]
    if len(close) == 1:
        return close[0]
    if close:
        listed = "\n".join(f"  {row['id']}  {visible(row['url'] or '')[:120]}" for row, _ in close)
        raise Problem(f"{doc!r} is part of the id or URL of several pages; give one of them whole:\n{listed}")
    raise Problem(
        f"no page of run {record.id} has the id or URL {doc!r}; ids look like <urn:uuid:...> (quote them), see `winnow show records`"
    )


def _steps(store: Store, record: RunRecord, identity: str, origin: str) -> list[dict[str, Any]]:
    steps = []
    before: set[str] = set()
    for stage, made in record.artifacts.items():
        snapshot = resolve(store, made.reference)
        row = _row(store, snapshot, identity, origin)
        if row is None:
            continue
        signals = {
            name: value
            for name, value in row.items()
            if name not in before and name not in REASON and name not in ("text", "id", "url")
        }
        step: dict[str, Any] = {
            "stage": stage,
            "artifact": made.reference,
            "kept": row["reason"] is None if "reason" in row else None,
        }
        step |= {name: row[name] for name in REASON if row.get(name) is not None}
        step |= {"signals": signals, "text": row.get("text")}
        steps.append(step)
        before |= set(row)
    return steps


def _row(store: Store, snapshot: Snapshot, identity: str, origin: str) -> dict[str, Any] | None:
    for file in snapshot.shards:
        if file.origin == origin:
            return _in_shard(store, snapshot, file, identity)
    return None


def _in_shard(store: Store, snapshot: Snapshot, file: File, identity: str) -> dict[str, Any] | None:
    frame = read_shard(store, snapshot.folder, file)
    found = frame.filter(pl.col("id") == identity) if "id" in frame.columns else frame.clear()
    return found.to_dicts()[0] if found.height else None


def _print(page: dict[str, Any], steps: list[dict[str, Any]], text: bool) -> None:
    out = console()
    out.print(f"[bold]{escape(visible(page['url'] or 'no URL'))}[/bold]\n{escape(page['id'])}", soft_wrap=True)
    shown: str | None = None
    for step in steps:
        verdict = {None: "", True: "kept", False: f"[bold red]dropped: {escape(visible(step.get('reason', '')))}[/bold red]"}[
            step["kept"]
        ]
        out.print(f"  {step['stage']:<18} {verdict}{_measured(step)}", soft_wrap=True)
        for name, value in step["signals"].items():
            if value is not None and step["stage"] != "signatures":
                out.print(f"      [dim]{name} {escape(visible(_short(value)))}[/dim]", soft_wrap=True)
        if text and step["text"] is not None and step["text"] != shown:
            shown = step["text"]
            out.print(f"      [dim]text after {step['stage']}:[/dim]\n{escape(visible(shown or ''))}", soft_wrap=True)
    last = steps[-1]
    end = "in the corpus" if last["stage"] == "corpus" else f"its way ends at {last['stage']}"
    out.print(f"[bold]{end}[/bold]")


def _measured(step: dict[str, Any]) -> str:
    parts = []
    if "reason_value" in step:
        parts.append(f"measured {step['reason_value']:.6g}, threshold {step.get('reason_threshold', float('nan')):.6g}")
    if "reason_detail" in step:
        parts.append(escape(visible(_short(step["reason_detail"]))))
    return f"  ({'; '.join(parts)})" if parts else ""


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 160 else f"{text[:160]}..."
