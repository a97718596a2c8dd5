"""Models behind OpenAI's interface, and a chat page: an ASGI application.

| path | |
|---|---|
| POST /v1/chat/completions, /v1/completions | see chat.py, completions.py |
| GET /v1/models, /v1/models/NAME | what is served |
| GET / | the chat page |
| GET /health | `ok` |

Whatever is refused has the API's error shape (refused.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import TypeVar

from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from models.serve.asked import AskedChat, AskedCompletion
from models.serve.chat import Chat, chat
from models.serve.completions import Completions, completions
from models.serve.flight import Gone, Stream, unless_gone
from models.serve.guard import Guard
from models.serve.limits import Limits
from models.serve.page import page
from models.serve.refused import Refused, invalid
from models.serve.served import Served

Body = TypeVar("Body", bound=BaseModel)
NOBODY = 499
"""The status of an answer that nobody waits for, as nginx writes it into its log."""
_PASSED_OVER = 64 << 20
"""Bytes that are read of a body that is too large, so that its sender gets to the answer."""


def create_app(models: Sequence[Served], limits: Limits | None = None, key: str | None = None) -> FastAPI:
    """`key`: asked of every client; without one loopback names alone are answered. The models' batches end with it."""
    limits = limits or Limits()
    named = {served.name: served for served in models}

    def called(name: str) -> Served:
        if name not in named:
            raise Refused(f"there is no model {name!r} here; expected one of {', '.join(named)}", "model", "model_not_found", 404)
        return named[name]

    async def post_chat(request: Request) -> Response:
        asked = await _body(request, AskedChat, limits)
        return await _answer(request, await chat(called(asked.model), asked, limits), bool(asked.stream))

    async def post_completions(request: Request) -> Response:
        asked = await _body(request, AskedCompletion, limits)
        return await _answer(request, await completions(called(asked.model), asked, limits), bool(asked.stream))

    async def get_models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [served.document() for served in models]})

    async def get_model(request: Request) -> Response:
        return JSONResponse(called(request.path_params["name"]).document())

    async def get_page(request: Request) -> Response:
        return page()

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for served in models:
            served.batch.close()

    app = FastAPI(
        title="Winnow",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        routes=[
            Route("/v1/chat/completions", post_chat, methods=["POST"]),
            Route("/v1/completions", post_completions, methods=["POST"]),
            Route("/v1/models", get_models, methods=["GET"]),
            Route("/v1/models/{name:path}", get_model, methods=["GET"]),
            Route("/", get_page, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={Refused: _refusal, HTTPException: _missing, Exception: _fault, Gone: _gone, ClientDisconnect: _gone},
    )
    app.add_middleware(Guard, key=key)
    return app


async def _answer(request: Request, work: Chat | Completions, stream: bool) -> Response:
    if stream:
        return Stream(work.chunks(), work.flight)
    return JSONResponse(await unless_gone(request, work.flight, work.body()))


async def _body(request: Request, kind: type[Body], limits: Limits) -> Body:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("expected a body of the type application/json", status=415)
    data = bytearray()
    size = 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limits.body:
                    data += chunk
                elif size > _PASSED_OVER:
                    break
    except TimeoutError:
        raise Refused(f"the body did not arrive within {limits.seconds:g} s", status=408) from None
    if size > limits.body:
        raise Refused(f"the body has more than {limits.body:,} bytes, which is the most; send less", status=413)
    try:
        return kind.model_validate_json(bytes(data))
    except ValidationError as error:
        raise invalid(error) from None


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"Retry-After": "1"} if error.status == 429 else None
    return JSONResponse(error.document, error.status, headers)


async def _missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"{HTTPStatus(error.status_code).phrase}: {request.method} {request.url.path}; expected one of the API's addresses"
    code = "unknown_url" if error.status_code == 404 else None
    return await _refusal(request, Refused(text, code=code, status=error.status_code))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=NOBODY)


async def _fault(request: Request, error: Exception) -> Response:
    logging.getLogger(__name__).error("%s failed", request.url.path, exc_info=error)
    return await _refusal(request, Refused(f"a fault of the server ({type(error).__name__}); its log says more", status=500))
