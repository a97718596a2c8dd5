"""`winnow why DOC`: a page's way through the stages, with the value and the threshold that decided."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape

from flows.commands.options import JsonOption, StoreOption, open_store
from flows.commands.terminal import console, visible
from storage.history import Found, Step, newest, search, steps
from storage.problem import Problem
from storage.runs import RunRecord
from storage.store import Store


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
    record = newest(opened, run)
    page = _find(opened, record, doc)
    way = steps(opened, record, page)
    if json_:
        document = {"id": page.id, "url": page.url, "run": record.id, "steps": [step.document() for step in way]}
        print(json.dumps(document, default=str))
    else:
        _print(page, way, text)


def _find(store: Store, record: RunRecord, doc: str) -> Found:
    found = search(store, record, doc)
    if len(found) == 1:
        return found[0]
    if found:
        listed = "\n".join(f"  {one.id}  {visible(one.url or '')[:120]}" for one in found)
        raise Problem(f"{doc!r} is part of the id or URL of several pages; give one of them whole:\n{listed}")
    raise Problem(
        f"no page of run {record.id} has the id or URL {doc!r}; ids look like <urn:uuid:...> (quote them), see `winnow show records`"
    )


def _print(page: Found, way: list[Step], text: bool) -> None:
    out = console()
    out.print(f"[bold]{escape(visible(page.url or 'no URL'))}[/bold]\n{escape(page.id)}", soft_wrap=True)
    shown: str | None = None
    for step in way:
        reason = escape(visible(step.verdict.get("reason", "")))
        verdict = {None: "", True: "kept", False: f"[bold red]dropped: {reason}[/bold red]"}[step.kept]
        out.print(f"  {step.stage:<18} {verdict}{_measured(step.verdict)}", soft_wrap=True)
        for name, value in step.signals.items():
            if value is not None and step.stage != "signatures":
                out.print(f"      [dim]{name} {escape(visible(_short(value)))}[/dim]", soft_wrap=True)
        if text and step.text is not None and step.text != shown:
            shown = step.text
            out.print(f"      [dim]text after {step.stage}:[/dim]\n{escape(visible(shown or ''))}", soft_wrap=True)
    last = way[-1]
    end = "in the corpus" if last.stage == "corpus" else f"its way ends at {last.stage}"
    out.print(f"[bold]{end}[/bold]")


def _measured(verdict: dict[str, Any]) -> str:
    parts = []
    if "reason_value" in verdict:
        parts.append(f"measured {verdict['reason_value']:.6g}")
        if "reason_threshold" in verdict:
            parts[-1] += f", threshold {verdict['reason_threshold']:.6g}"
    if "reason_detail" in verdict:
        parts.append(escape(visible(_short(verdict["reason_detail"]))))
    return f"  ({'; '.join(parts)})" if parts else ""


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 160 else f"{text[:160]}..."
