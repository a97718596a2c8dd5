"""What was done, apart from when and where: the identity of an artifact.

A recipe is a stage's name, its hand-bumped version, its config and what it was made from. No paths, hosts, times, workers or
devices. `inputs` maps a name to one of

| text | means | used by |
|---|---|---|
| `stage/key` | every shard that this recipe ever makes, whatever the crawl grows to | shard stages |
| `stage/key@snapshot` | exactly these files | whole stages, artifacts as sides |
| `file:digest` | a local file by its content | file sides |

A shard stage behind a whole stage (dedup behind clusters) names it by its *family*: the same recipe without snapshots. So its folder
stays the same when the crawl grows, and only shards whose inputs changed are new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from storage.canonical import digest


@dataclass(frozen=True)
class Recipe:
    stage: str
    version: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        return digest(self.identity(), 12)

    @cached_property
    def family(self) -> str:
        """The key that this recipe would have if its inputs were not pinned to snapshots."""
        unpinned = {name: text.partition("@")[0] for name, text in self.inputs.items()}
        return digest(self.identity() | {"inputs": unpinned}, 12)

    def identity(self) -> dict[str, Any]:
        return {"stage": self.stage, "version": self.version, "config": dict(self.config), "inputs": dict(self.inputs)}

    def document(self) -> dict[str, Any]:
        """What `recipe.json` holds."""
        return self.identity() | {"key": self.key, "family": self.family}
