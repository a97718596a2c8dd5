"""A training while it runs, in Prefect: its curves as images and what the model writes, brought up to date in place."""

import re
import textwrap
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from flows.curve import Point, address, picture
from flows.progress import Event

PAUSE = 10.0  # seconds between two updates of the pictures
PICTURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "loss": ("loss as the stage defines it", ("loss", "validation_loss")),
    "reward": ("reward, and shares", ("reward", "reward_judge", "accuracy", "finished", "clip_fraction")),
    "drift": ("nats", ("kl", "entropy")),
    "length": ("tokens of an answer", ("length",)),
}
"""Name of a picture -> what its axis counts, and the metrics that share it."""


def artifact_key(name: str) -> str:
    """`name` as Prefect wants the keys of its artifacts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Watch:
    """Of one stage: `hear` takes its events, `finish` brings what is shown up to date."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.series: dict[str, list[Point]] = {name: [] for _, names in PICTURES.values() for name in names}
        self.samples: list[Mapping[str, Any]] = []
        self._artifacts: dict[str, UUID] = {}
        self._shown = 0.0

    def hear(self, event: Event) -> None:
        for name, value in event.get("metrics", {}).items():
            if name in self.series and value is not None:
                self.series[name].append((float(event["metrics"]["step"]), float(value)))
        if "sample" in event:
            self.samples.append(event["sample"])
        if time.monotonic() - self._shown > PAUSE:
            self.finish()

    def finish(self) -> None:
        self._shown = time.monotonic()
        for what, (counts, names) in PICTURES.items():
            drawn = picture(f"{self.stage}: {counts}, over steps", {name: self.series[name] for name in names})
            if drawn is not None:
                self._show(what, address(drawn))
        if self.samples:
            self._show("samples", samples_markdown(self.samples))

    def _show(self, what: str, data: str) -> None:
        if what in self._artifacts:
            with get_client(sync_client=True) as client:
                client.update_artifact(self._artifacts[what], ArtifactUpdate(data=data))
            return
        key = artifact_key(f"{self.stage} {what}")
        if what in PICTURES:
            made = create_image_artifact(image_url=data, key=key, description=f"{self.stage}: {what}")
        else:
            made = create_markdown_artifact(markdown=data, key=key, description=f"{self.stage}: what it writes")
        assert isinstance(made, UUID)  # a coroutine only where a loop runs
        self._artifacts[what] = made


def samples_markdown(samples: list[Mapping[str, Any]]) -> str:
    """Prompt by prompt, how the completion changed with the steps. Text of a model is fenced: it is no markup."""
    parts = ["## What the model writes, step by step"]
    for prompt in dict.fromkeys(one["prompt"] for one in samples):
        parts.append(f"### `{' '.join(prompt.split()).replace('`', chr(39)) or '(nothing)'}`")
        for one in samples:
            if one["prompt"] == prompt:
                lines = one["completion"].replace("```", "'''").split("\n")
                text = "\n".join(textwrap.fill(line, 90) for line in lines)  # Prefect's page does not wrap what is fenced
                parts.append(f"Step {one['step']:,}\n\n```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"
