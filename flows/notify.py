"""Telling somebody that a run failed, through a Prefect block that they made in the UI: a webhook, Slack, e-mail, PagerDuty ..."""

import inspect
from typing import Any

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.logging import get_logger
from prefect.utilities.asyncutils import run_coro_as_sync


def on_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of every flow for runs that fail or crash; says in the log why a block could not be told, since the run itself has ended."""
    parameters = flow_run.parameters.get("parameters", {})
    block = parameters["notify"] if isinstance(parameters, dict) else parameters.notify
    if not block:
        return
    text = f"{flow_run.name} ({flow.name}): {state.name}: {state.message}"
    try:
        tell(block, text)
    except Exception as error:  # whatever a block raises: the run's own failure must stay the news
        get_logger("winnow").error("the block %r was not told that %s: %s: %s", block, text, type(error).__name__, error)


def tell(name: str, text: str) -> None:
    """Raises ValueError where there is no block `name`, or it can tell nobody anything."""
    block = Block.load(name)
    if isinstance(block, NotificationBlock):
        _done(block.notify(body=text, subject="Winnow"))
    elif isinstance(block, Webhook):
        _done(block.call(payload={"text": text})).raise_for_status()
    else:
        raise ValueError(f"{name} is a {type(block).__name__}; expected a webhook or a notification block")


def _done(result: Any) -> Any:
    """Some blocks answer, others give a coroutine."""
    return run_coro_as_sync(result) if inspect.iscoroutine(result) else result
