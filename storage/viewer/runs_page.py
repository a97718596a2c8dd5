"""`/runs`: what ran, when, how it ended. `/runs/{id}`: one run, what it made and with which parameters."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from storage.runs import RunRecord, records
from storage.viewer.page import Page, Viewer, number, only, render, run_of

SIZE = 50


def listing(viewer: Viewer, request: Request) -> Response:
    only(request, "page")
    page = number(request, "page", 1, 1, 1_000_000)
    every = list(records(viewer.store))
    runs = every[(page - 1) * SIZE : page * SIZE]
    return render(
        viewer, request, "runs.html", runs=runs, total=len(every), page=page, more=len(every) > page * SIZE, seconds_of=seconds_of
    )


def one(viewer: Viewer, request: Request) -> Response:
    only(request)
    record = run_of(viewer, request.path_params["run"])
    return render(viewer, request, "run.html", run=record, seconds_of=seconds_of)


def seconds_of(run: RunRecord) -> float | None:
    """From start to end; None while it goes on."""
    if run.finished is None:
        return None
    return (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()


PAGE = Page("/runs", listing, "Runs")
RUN = Page("/runs/{run}", one)
