"""A client's request at work: its completions in a batch, their events where the client is answered, its places freed when it goes.

`Flight` begins at once, so that a full queue is known before anything is answered; `events` are awaited; `close` is called in any case.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from models.serve.batch import Batch, Event, Full, Work
from models.serve.refused import Refused
from models.serve.scores import PromptScores
from models.transformer.request import Request, Token

Result = TypeVar("Result")


@dataclass(frozen=True)
class Order:
    """See `Work`."""

    request: Request
    score: int | None = None
    generate: bool = True


class Gone(Exception):
    """The client went before it was answered."""


class Flight:
    """Raises Refused where the queue is full."""

    def __init__(self, batch: Batch, orders: Sequence[Order]) -> None:
        self.batch, self.orders = batch, orders
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._works = [
            Work(order.request, self._teller(index), order.score, order.generate) for index, order in enumerate(orders)
        ]
        if len(orders) > batch.places + batch.most_waiting:
            raise Refused(
                f"{len(orders)} completions are asked for, and this server's queue has room for {batch.places + batch.most_waiting}; "
                "ask for fewer at a time"
            )
        try:
            batch.submit(self._works)
        except Full as full:
            raise Refused(f"the server is busy: {full}; try again in a moment", code="queue_full", status=429) from None
        except Exception as broken:  # what ended the batch for good
            raise Refused(f"this model is served no more: {broken}", status=500) from broken

    def _teller(self, index: int) -> Callable[[Event], None]:
        def tell(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the server is stopping, and its loop is closed
                self._loop.call_soon_threadsafe(self._events.put_nowait, (index, event))

        return tell

    async def events(self) -> AsyncIterator[tuple[int, Token | PromptScores]]:
        """(which of the orders, what). Raises Refused where it broke off; the log says more."""
        left = len(self.orders)
        while left:
            index, event = await self._events.get()
            if isinstance(event, Exception):
                raise Refused(f"the completion broke off: {event}", status=500) from event
            if isinstance(event, Token):
                left -= event.completion is not None
            else:
                left -= not self.orders[index].generate
            yield index, event

    def close(self) -> None:
        self.batch.cancel(self._works)


class Stream(StreamingResponse):
    """Server-sent events. The flight is closed whether or not a single one could be sent."""

    def __init__(self, chunks: AsyncIterator[dict[str, Any]], flight: Flight) -> None:
        super().__init__(_lines(chunks), media_type="text/event-stream")
        self.flight = flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.flight.close()


async def _lines(chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    """What breaks in the middle is told as the API does it: the status has been sent already."""
    try:
        async for chunk in chunks:
            yield f"data: {json.dumps(chunk)}\n\n"
    except Refused as refused:
        yield f"data: {json.dumps(refused.document)}\n\n"
    except Exception:
        logging.getLogger(__name__).exception("an answer broke off")
        yield f"data: {json.dumps(Refused('the answer broke off', status=500).document)}\n\n"
    yield "data: [DONE]\n\n"


async def unless_gone(request: HttpRequest, flight: Flight, answer: Awaitable[Result]) -> Result:
    """The answer; raises Gone where the client goes before it is there."""

    async def goes() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, gone = asyncio.ensure_future(answer), asyncio.ensure_future(goes())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Gone
        return work.result()
    finally:
        gone.cancel()
        work.cancel()
        flight.close()
