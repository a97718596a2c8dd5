"""The viewer: the store in a browser. Server-rendered pages, one module and one template each, listed in PAGES.

`create_app("./store")` is an ASGI application for uvicorn. Nothing that a crawl holds is ever HTML, a link or a script here.
"""

import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from storage.problem import Problem
from storage.store import Store
from storage.viewer import (
    catalogue,
    chat_page,
    columns_page,
    compare_page,
    curves_page,
    dataset,
    document_page,
    files_page,
    find,
    funnel_page,
    lineage_page,
    original_page,
    row_page,
    runs_page,
    sql_page,
    tokens_page,
)
from storage.viewer.guard import HEADERS, HEALTH, guard
from storage.viewer.page import Page, Reader, Viewer, address, render
from storage.viewer.units import ago, compact, count, duration, size
from storage.viewer.visible import name_of, short, visible

HERE = Path(__file__).parent
READERS = 8  # pages made at the same time; each may hold a batch or two in memory

PAGES: tuple[Page, ...] = (
    catalogue.PAGE,
    runs_page.PAGE,
    runs_page.RUN,
    dataset.PAGE,
    chat_page.PAGE,
    curves_page.PAGE,
    tokens_page.PAGE,
    columns_page.PAGE,
    row_page.PAGE,
    files_page.PAGE,
    files_page.FILE,
    sql_page.PAGE,
    compare_page.PAGE,
    compare_page.TAB,
    document_page.PAGE,
    original_page.PAGE,
    funnel_page.PAGE,
    lineage_page.PAGE,
    find.STAGE,
    find.KEY,
)


def create_app(store: str, token: str | None = None, prefect: str | None = None, original: Reader | None = None) -> FastAPI:
    """`store` is a folder or an fsspec URL; `token` is asked of every visitor; `prefect` is the address of its UI, for a link;
    `original` reads a page again from the crawl, which the store does not hold: without it there is no page with its source.

    Without a token only loopback names are answered. Raises Problem for a store that cannot be opened or an address that is not http(s).
    """
    if prefect is not None and not prefect.startswith(("http://", "https://")):
        raise Problem(f"prefect={prefect!r} is no address; expected http://host:port")
    if token == "":
        raise Problem("the token is empty; give a long random one, or none for loopback only")
    opened = Store(store)
    opened.fs  # noqa: B018  a store of unknown protocol is refused now, not at the first page
    viewer = Viewer(opened, _templates(), PAGES, prefect, original)

    def refuse(request: Request, status: int, text: str) -> Response:
        return render(viewer, request, "error.html", status=status, title=HTTPStatus(status).phrase, text=text, code=status)

    async def problem(request: Request, error: Exception) -> Response:
        return refuse(request, 400, str(error))

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = (
            error.detail
            if error.detail != HTTPStatus(error.status_code).phrase
            else f"there is no page {request.url.path!r} here"
        )
        return refuse(request, error.status_code, text)

    async def fault(request: Request, error: Exception) -> Response:
        logging.getLogger(__name__).error("%s failed", request.url.path, exc_info=error)
        response = refuse(request, 500, f"a fault of the viewer ({type(error).__name__}); its log says more. Please report it")
        response.headers.update(HEADERS)  # this answer is made outside the guard
        return response

    static = Mount("/static", StaticFiles(directory=HERE / "static"))
    # /{stage} and /{stage}/{key} take what no other path wants, so they come last in PAGES and after the static files.
    routes: list[BaseRoute] = [
        static,
        Route(HEALTH, _healthy, methods=["GET"]),
        *(Route(page.path, _endpoint(viewer, page), methods=["GET"]) for page in PAGES),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = READERS
        yield

    app = FastAPI(
        title="Winnow",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        routes=routes,
        exception_handlers={Problem: problem, HTTPException: missing, Exception: fault},
    )
    app.middleware("http")(guard(token))
    return app


def _healthy(request: Request) -> Response:
    """For whoever waits until the viewer answers."""
    return PlainTextResponse("ok\n")


def _endpoint(viewer: Viewer, page: Page):  # type: ignore[no-untyped-def]
    def endpoint(request: Request) -> Response:
        return page.view(viewer, request)

    return endpoint


def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "visible": visible, "short": short, "name_of": name_of, "address": address, "count": count, "size": size, "ago": ago,
        "duration": duration, "compact": compact,
    }  # fmt: skip
    made.tests |= {"figure": _is_figure}
    return made


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
