"""The page on which a person judges: a prompt, its answers side by side, an order or ties by mouse or keyboard.

| address | |
|---|---|
| GET / | the next item that this annotator has not judged, or `?item=ID` to judge that one again; none left: the report |
| POST /judge | item, ranks (of the answers as shown, by commas): kept at once, then the next |
| GET /report | who judged how much, how far they agree |

Nothing that a model wrote is HTML here. Loopback names alone are answered (storage/viewer/guard.py), and a form only where it came from
this page itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, quote

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from flows.labelling.items import Item
from flows.labelling.judgements import append
from flows.labelling.report import report
from stages.alignment.judgements import read
from storage.problem import Problem
from storage.viewer import app as viewer
from storage.viewer.guard import guard
from storage.viewer.visible import visible

HERE = Path(__file__).parent


class Desk:
    """What is to be judged, by whom, and where it is kept."""

    def __init__(self, items: Sequence[Item], annotator: str, path: Path, source: str) -> None:
        self.items, self.annotator, self.path, self.source = list(items), annotator, path, source
        self.by_id = {item.id: item for item in items}
        self.done = {str(row["item"]): row for row in read(path) if str(row["annotator"]) == annotator}

    @property
    def judged(self) -> list[str]:
        """Ids of this desk's items, those judged first come first."""
        return [identity for identity in self.done if identity in self.by_id]

    def next(self, skipped: Sequence[str]) -> Item | None:
        left = [item for item in self.items if item.id not in self.done]
        return next((item for item in left if item.id not in skipped), left[0] if left else None)

    def judge(self, item: Item, shown_ranks: Sequence[int]) -> None:
        ranks = [0] * len(item.answers)
        for place, rank in zip(item.shown(self.annotator), shown_ranks, strict=True):
            ranks[place] = rank
        line = item.judgement(self.annotator, ranks, self.source)
        append(self.path, line)
        self.done.pop(item.id, None)
        self.done[item.id] = line


def create_app(desk: Desk) -> FastAPI:
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["visible"] = visible

    def page(name: str, status: int = 200, **values: object) -> Response:
        counts = {"annotator": desk.annotator, "done": len(desk.judged), "total": len(desk.items), "path": str(desk.path)}
        return HTMLResponse(templates.get_template(name).render(**counts, **values), status)

    def show(request: Request) -> Response:
        skipped = [one for one in request.query_params.getlist("skip") if one in desk.by_id]
        wanted = request.query_params.get("item")
        item = desk.next(skipped) if wanted is None else desk.by_id.get(wanted)
        if item is None:
            return page("report.html", 200 if wanted is None else 404, report=report(read(desk.path)))
        before = [one for one in desk.judged if one != item.id]
        order = item.shown(desk.annotator)
        old = desk.done.get(item.id)
        return page(
            "label.html",
            item=item,
            answers=[item.answers[place].message for place in order],
            ranks=None if old is None else [old["ranks"][place] for place in order],
            back=f"/?item={quote(before[-1], safe='')}" if before else None,
            skip="/?" + "&".join(f"skip={quote(one, safe='')}" for one in [*skipped, item.id]),
        )

    async def judge(request: Request) -> Response:
        if not _from_here(request):
            return PlainTextResponse("this form came from another page; expected one of this page itself\n", 403)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        item = desk.by_id.get(form.get("item", ""))
        ranks = _ranks(form.get("ranks", ""))
        if item is None or len(ranks) != len(item.answers):
            return PlainTextResponse("found no such item, or not a rank for each of its answers; reload the page\n", 400)
        await run_in_threadpool(desk.judge, item, ranks)
        return RedirectResponse("/", 303)

    def told(request: Request) -> Response:
        return page("report.html", report=report(read(desk.path)))

    async def problem(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{error}\n", 500)

    made = FastAPI(
        title="Winnow: label",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        routes=[
            Mount("/static", StaticFiles(directory=viewer.HERE / "static")),
            Mount("/label", StaticFiles(directory=HERE / "static")),
            Route("/", show, methods=["GET"]),
            Route("/judge", judge, methods=["POST"]),
            Route("/report", told, methods=["GET"]),
        ],
        exception_handlers={Problem: problem},
    )
    made.middleware("http")(guard(None))
    return made


def _from_here(request: Request) -> bool:
    """Browsers say so in Sec-Fetch-Site; Origin they leave null, for the page sends no referrer. Programs name their Origin."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] == request.headers.get("host")


def _ranks(text: str) -> list[int]:
    """Whole numbers from 1 on, by commas; none where it is anything else."""
    parts = text.split(",")
    return [int(one) for one in parts] if all(one.isascii() and one.isdigit() and 0 < int(one) < 100 for one in parts) else []
