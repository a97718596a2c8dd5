"""The engine of generation: rows in a cache that come and go, one token for each a step.

A row is what the cache holds plus one pending token, which the next step feeds: the last of the prompt, then each chosen one. Prompts are
read in one forward, several at a time, equal ones once. A finished row gives its place to the last one, and that to whoever waits.

B rows, S cached positions, V vocabulary.
"""

import math
import random
from collections import deque
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from models.transformer.cache import Cache, Next
from models.transformer.inference import inference
from models.transformer.request import Completion, Request, Token, room
from models.transformer.sampling import Chooser
from models.transformer.transformer import Transformer
from models.unusable import Unusable

_PROMPT_TOKENS = 8192  # of one forward over prompts, padding included; more than this only for a single prompt


class Row:
    """A request at work."""

    def __init__(self, ticket: int, request: Request, limit: int) -> None:
        self.ticket, self.request, self.limit = ticket, request, limit
        self.random = random.Random(request.seed)
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.chosen: list[bool] = []
        self.top: list[list[tuple[int, float]]] = []

    def take(self, token: int, logprob: float, chosen: bool, top: list[tuple[int, float]]) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.chosen.append(chosen)
        if self.request.top_logprobs:
            self.top.append(top)

    def completion(self, reason: Literal["stop", "length"]) -> Completion:
        return Completion(self.tokens, self.logprobs, self.chosen, reason, self.top)


class Engine:
    """`rows` places in a cache of `length` positions (default: the model's context)."""

    def __init__(self, model: Transformer, rows: int, length: int | None = None) -> None:
        self.model = inference(model, rows)
        self.shape = model.shape
        self.device = model.embedding.weight.device
        self.places = rows
        self.cache = Cache(self.shape, rows, min(length or self.shape.context, self.shape.context), model.compute, self.device)
        self.waiting: deque[Row] = deque()
        self.rows: list[Row] = []
        self.pending_B = torch.zeros(rows, dtype=torch.int64, device=self.device)
        self.seen_BV = torch.zeros(rows, self.shape.vocab, dtype=torch.bool, device=self.device)
        self.tickets = 0
        self.next: Next | None = None
        self.chooser: Chooser | None = None

    @property
    def busy(self) -> bool:
        return bool(self.rows or self.waiting)

    def add(self, request: Request) -> int:
        """The ticket by which its tokens are known. Raises Unusable where it cannot be served."""
        needed = room(self.shape.context, request)
        if needed > self.cache.length:
            raise Unusable(
                f"a prompt of {len(request.prompt)} tokens and {request.max_new_tokens} new ones need {needed} positions, this engine's cache has "
                f"{self.cache.length}; shorten one of them or make a longer cache"
            )
        wrong = next((token for token in request.prompt if not 0 <= token < self.shape.vocab), None)
        if wrong is not None:
            raise Unusable(
                f"the prompt holds the token {wrong}; the model knows 0 .. {self.shape.vocab - 1}. Is this the tokenizer it was trained with?"
            )
        self.waiting.append(Row(self.tickets, request, needed - len(request.prompt)))
        self.tickets += 1
        return self.tickets - 1

    def cancel(self, ticket: int) -> None:
        """Between steps: nothing more is computed for it, and its place is free. One that has ended already is passed over."""
        self.waiting = deque(row for row in self.waiting if row.ticket != ticket)
        place = next((place for place, row in enumerate(self.rows) if row.ticket == ticket), None)
        if place is not None:
            with torch.inference_mode():
                self._leave(place)

    def admit(self) -> None:
        """Waiting requests take the free places and their prompts are read, as at the beginning of each step. Whoever adds and admits one
        prompt after the other has each read by itself: what is computed of it depends on no other."""
        with torch.inference_mode():
            self._admit()

    def step(self) -> list[Token]:
        """One token for each row at work, after waiting requests were let in where there is a place."""
        with torch.inference_mode():
            return self._step()

    def _step(self) -> list[Token]:
        self._admit()
        if not self.rows:
            return []
        if self.next is None or self.chooser is None:
            self.next = self.cache.next(len(self.rows))
            self.chooser = Chooser([row.request.sampling for row in self.rows], self.device)
        n = len(self.rows)
        hidden_B1D = self.model.hidden(
            self.pending_B[:n, None], positions=self.next.position, mask=self.next.mask, cache=self.next.layers
        )
        self.next.advance()
        uniform_B = None
        if not self.chooser.greedy:
            uniform_B = torch.tensor([row.random.random() for row in self.rows], dtype=torch.float64, device=self.device)
        choice = self.chooser.choose(self.model.logits(hidden_B1D[:, 0]), uniform_B, self.seen_BV[:n])
        self.pending_B[:n] = choice.tokens
        if self.chooser.penalised:
            self.seen_BV[:n].scatter_(1, choice.tokens[:, None], True)
        return self._settle(choice.tokens.tolist(), choice.logprobs.tolist(), self._best(choice.every))

    def _best(self, all_BV: Tensor) -> list[list[tuple[int, float]]]:
        most = min(max(row.request.top_logprobs for row in self.rows), self.shape.vocab)
        if not most:
            return [[] for _ in self.rows]
        best = all_BV.topk(most)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [
            list(zip(tokens, values, strict=True))[: row.request.top_logprobs]
            for row, (tokens, values) in zip(self.rows, pairs, strict=True)
        ]

    def _settle(self, tokens: list[int], logprobs: list[float], best: list[list[tuple[int, float]]]) -> list[Token]:
        """What was chosen goes to its rows; those at their end leave."""
        events: list[Token] = []
        ended: list[int] = []
        for place, row in enumerate(self.rows):
            token, logprob = tokens[place], logprobs[place]
            if math.isnan(logprob):
                raise Unusable("the model gave logits that are not numbers: its weights are damaged or its training went astray")
            row.take(token, logprob, True, best[place])
            added = [Token(row.ticket, token, logprob, True, None, best[place])]
            reason = self._reason(row, token)
            if reason is None and row.request.answer is not None:
                put = list(row.request.answer(row.tokens))[: row.limit - len(row.tokens)]
                if put:
                    self._put(place, token, put)
                    for one in put:
                        row.take(one, 0.0, False, [])
                    added += [Token(row.ticket, one, 0.0, False, None) for one in put]
                    reason = "length" if len(row.tokens) >= row.limit else None
            completion = None if reason is None else row.completion(reason)
            events += [*added[:-1], replace(added[-1], completion=completion)]
            if completion is not None:
                ended.append(place)
        for place in reversed(ended):
            self._leave(place)
        return events

    def _reason(self, row: Row, token: int) -> Literal["stop", "length"] | None:
        if token in row.request.stops or (row.request.stop_when is not None and row.request.stop_when(row.tokens)):
            return "stop"
        return "length" if len(row.tokens) >= row.limit else None

    def _put(self, place: int, token: int, put: list[int]) -> None:
        """Behind the chosen `token`, which is not in the cache yet, come `put`: all but the last are read now."""
        read = [token, *put[:-1]]
        layers, positions, mask = self.cache.later(place, len(read))
        self.model.hidden(torch.tensor([read], device=self.device), positions=positions, mask=mask, cache=layers)
        self.cache.lengths[place] += len(read)
        self.pending_B[place] = put[-1]
        self.seen_BV[place, torch.tensor(put, device=self.device)] = True
        self.next = None

    def _leave(self, place: int) -> None:
        last = len(self.rows) - 1
        if place != last:
            self.cache.copy(last, place)
            self.pending_B[place] = self.pending_B[last]
            self.seen_BV[place] = self.seen_BV[last]
            self.rows[place] = self.rows[last]
        self.rows.pop()
        self.next, self.chooser = None, None

    def _admit(self) -> None:
        """Waiting requests take the free places: prompts in as few forwards as memory allows, equal prompts once."""
        while self.waiting and len(self.rows) < self.places:
            first = len(self.rows)
            prompts: dict[tuple[int, ...], int] = {}
            taken: list[Row] = []
            while self.waiting and first + len(taken) < self.places:
                prompt = tuple(self.waiting[0].request.prompt)
                widest = max(map(len, [*prompts, prompt]))
                if prompt not in prompts and prompts and widest * (len(prompts) + 1) > _PROMPT_TOKENS:
                    break
                prompts.setdefault(prompt, len(prompts))
                taken.append(self.waiting.popleft())
            self._read(first, list(prompts))
            self._place(first, taken, prompts)

    def _read(self, first: int, prompts: list[tuple[int, ...]]) -> None:
        """All but the last token of each prompt into the cache."""
        widest = max(map(len, prompts)) - 1
        if widest:
            padded = torch.tensor([(*prompt[:-1], *[0] * (widest + 1 - len(prompt))) for prompt in prompts], device=self.device)
            self.model.hidden(padded, cache=self.cache.fresh(first, len(prompts)))
        for place, prompt in enumerate(prompts, first):
            self.cache.lengths[place] = len(prompt) - 1

    def _place(self, first: int, taken: list[Row], prompts: dict[tuple[int, ...], int]) -> None:
        """Rows in such an order that each prompt's first row lies where it was read; its repetitions follow as copies."""
        firsts: dict[tuple[int, ...], Row] = {}
        repeated: list[Row] = []
        for row in taken:
            prompt = tuple(row.request.prompt)
            if prompt in firsts:
                repeated.append(row)
            else:
                firsts[prompt] = row
        for place, row in enumerate([*firsts.values(), *repeated], first):
            prompt = tuple(row.request.prompt)
            if place >= first + len(prompts):
                self.cache.copy(first + prompts[prompt], place)
            self.pending_B[place] = prompt[-1]
            self.seen_BV[place] = False
            self.seen_BV[place, torch.tensor(prompt, device=self.device)] = True
            self.rows.append(row)
        self.next, self.chooser = None, None
