"""Continuous batching: one thread computes; requests from any number of others join and leave between its steps.

In: `Work`, a request and whom to tell. Out: to that one, called in the thread that computes:

| told | when |
|---|---|
| PromptScores | first, where the prompt's log-probabilities were asked for |
| Token | each token as it is chosen or put in; the last one brings the completion |
| Exception | something broke, and nothing more is told |

Before a step waiting requests are let in, as far as their prompts together are short or there is but one: so those at work never wait for
more than AT_ONCE tokens or one prompt. Each prompt is read by itself, for all requests right behind it that share it: so what its reading
gives depends on it alone. A step's rows are computed each by itself up to what
models/transformer/generate.py says; so a request has the same tokens in any company.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import torch

from models.serve.scores import PromptScores, prompt_scores
from models.transformer.engine import Engine
from models.transformer.request import Request, Token
from models.transformer.transformer import Transformer

AT_ONCE = 512
"""Tokens of prompts that are read between two steps; more only of a single prompt."""

Event = Token | PromptScores | Exception


class Full(Exception):
    """More would have to wait than may."""


@dataclass(frozen=True, eq=False)
class Work:
    request: Request
    tell: Callable[[Event], None]
    score: int | None = None
    """The prompt's log-probabilities, with so many best tokens for each position, are told first; null: not asked for."""
    generate: bool = True
    """Without it the prompt's log-probabilities are all."""


class Batch:
    """`places` requests are computed at a time, `most_waiting` may wait for a place; `threads`: of the CPU, 0 as many as PyTorch has."""

    def __init__(
        self, model: Transformer, places: int = 16, most_waiting: int = 256, threads: int = 0, length: int | None = None
    ) -> None:
        self.model, self.places, self.most_waiting, self.threads, self.length = model, places, most_waiting, threads, length
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._working: dict[int, Work] = {}
        """By ticket of the engine."""
        self._cancelled: set[Work] = set()
        self._broken: Exception | None = None
        self._closed = False
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True, name="batch")
        self._thread.start()
        ready.result()

    @property
    def load(self) -> tuple[int, int]:
        """Requests at work, requests that wait."""
        with self._changed:
            return len(self._working), len(self._waiting)

    def submit(self, works: Sequence[Work]) -> None:
        """All of them or, with Full, none."""
        with self._changed:
            if self._broken is not None:
                raise self._broken
            if len(self._waiting) + len(works) > self.most_waiting + self.places - len(self._working):
                raise Full(f"{len(self._working)} requests are at work and {len(self._waiting)} wait")
            self._waiting += works
            self._changed.notify()

    def cancel(self, works: Sequence[Work]) -> None:
        """Their places are free before the next step; those that are done are passed over."""
        with self._changed:
            self._cancelled.update(works)
            self._changed.notify()

    def stop(self) -> None:
        """Whatever is at work or waits is given up, and told so."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def close(self) -> None:
        """Stops, and waits until it has."""
        self.stop()
        self._thread.join()

    def _run(self, ready: Future[None]) -> None:
        if self.threads:
            torch.set_num_threads(self.threads)  # of this thread alone
        try:
            engine = Engine(self.model, self.places, self.length)
        except Exception as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        while (taken := self._next(engine)) is not None:
            try:
                while taken:
                    self._begin(engine, taken.popleft())
                events = engine.step()
            except Exception as error:  # whatever broke, who waits must hear of it, and the next request finds an engine
                logging.getLogger(__name__).exception("a step failed")
                with self._changed:
                    self._waiting.extendleft(work for works in reversed(taken) for work in reversed(works))
                try:
                    engine = Engine(self.model, self.places, self.length)
                except Exception as fatal:
                    self._fail(fatal, fatal)
                    return
                self._fail(error, None)
                continue
            self._told(events)
        stopped = RuntimeError("the server is stopping")
        self._fail(stopped, stopped)

    def _next(self, engine: Engine) -> deque[list[Work]] | None:
        """What begins at this step, by prompt, perhaps nothing; None at the end. Waits while there is nothing to do."""
        with self._changed:
            while True:
                self._drop(engine)
                if self._closed:
                    return None
                if self._waiting or self._working:
                    break
                self._changed.wait()
            taken: deque[list[Work]] = deque()
            free, room = self.places - len(self._working), AT_ONCE
            while self._waiting and free:
                prompt = self._waiting[0].request.prompt
                if taken and prompt == taken[-1][0].request.prompt:
                    taken[-1].append(self._waiting.popleft())
                elif not taken or len(prompt) <= room:
                    taken.append([self._waiting.popleft()])
                    room -= len(prompt)
                else:
                    break
                free -= 1
            return taken

    def _drop(self, engine: Engine) -> None:
        if self._cancelled:
            self._waiting = deque(work for work in self._waiting if work not in self._cancelled)
            for ticket in [ticket for ticket, work in self._working.items() if work in self._cancelled]:
                engine.cancel(ticket)
                del self._working[ticket]
            self._cancelled.clear()

    def _begin(self, engine: Engine, works: list[Work]) -> None:
        """They share a prompt."""
        read: dict[int, PromptScores] = {}
        for work in works:
            try:
                if work.score is not None:
                    if work.score not in read:
                        read[work.score] = prompt_scores(engine.model, work.request.prompt, work.score)
                    work.tell(read[work.score])
                if work.generate:
                    ticket = engine.add(work.request)
                    with self._changed:
                        self._working[ticket] = work
            except Exception as error:
                work.tell(error)
        engine.admit()

    def _told(self, events: list[Token]) -> None:
        for event in events:
            work = self._working[event.ticket]
            if event.completion is not None:
                with self._changed:
                    del self._working[event.ticket]
            work.tell(event)

    def _fail(self, error: Exception, fatal: Exception | None) -> None:
        with self._changed:
            self._broken = fatal
            lost = [*self._working.values(), *(self._waiting if fatal else ())]
            self._working.clear()
            if fatal:
                self._waiting.clear()
        for work in lost:
            work.tell(error)
