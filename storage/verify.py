"""Is every file what its snapshot says, every recipe what its key says? And what lies about that nothing lists."""

from collections.abc import Callable
from dataclasses import dataclass

from storage import snapshot as snapshots_of
from storage.artifact import artifacts, recipe
from storage.collect import needed
from storage.recipe import Recipe
from storage.shards import sha256
from storage.snapshot import Snapshot
from storage.store import Store, unfinished


@dataclass(frozen=True)
class Finding:
    path: str
    problem: str
    """missing | truncated | altered | damaged snapshot | damaged recipe | unlisted | unfinished"""
    detail: str

    @property
    def harmful(self) -> bool:
        """False for leftovers that no dataset counts on."""
        return self.problem not in ("unlisted", "unfinished", "collected")


def verify(store: Store, only: Snapshot | None = None, checked: Callable[[str], None] = lambda path: None) -> list[Finding]:
    """Findings over the whole store, or over the files of one snapshot. `checked` is told each path."""
    findings: list[Finding] = []
    kept = set() if only else needed(store)
    for stage, key in [(only.stage, only.key)] if only else artifacts(store):
        folder = f"{stage}/{key}"
        findings += _recipe(store, stage, key)
        listed: dict[str, set[tuple[int, str]]] = {}
        wanted: set[str] = set()
        for name in [f"{only.id}.json"] if only else store.sizes(f"{folder}/snapshots"):
            try:
                one = snapshots_of.load(store, stage, key, name.removesuffix(".json"))
            except (ValueError, KeyError, TypeError) as error:
                findings.append(Finding(f"{folder}/snapshots/{name}", "damaged snapshot", str(error)))
                continue
            for file in one.files:
                listed.setdefault(file.name, set()).add((file.bytes, file.digest))
                if only or one.reference in kept:
                    wanted.add(file.name)
        sizes = {path.removeprefix(f"{folder}/"): size for path, size in store.walk(folder)}
        for name, expected in sorted(listed.items()):
            if name in sizes or name in wanted:
                findings += _file(store, f"{folder}/{name}", sizes.get(name), expected)
            else:
                findings.append(
                    Finding(f"{folder}/{name}", "collected", "no kept run needs it; the flow that made it can make it anew")
                )
            checked(f"{folder}/{name}")
        if only is None:
            for name in sizes:
                if unfinished(name):
                    findings.append(Finding(f"{folder}/{name}", "unfinished", "left by a run that died; `winnow gc` removes it"))
                elif name not in listed and name != "recipe.json" and not name.startswith("snapshots/"):
                    findings.append(
                        Finding(f"{folder}/{name}", "unlisted", "no snapshot lists it yet; the next run checks and reuses it")
                    )
    return findings


def _recipe(store: Store, stage: str, key: str) -> list[Finding]:
    path = f"{stage}/{key}/recipe.json"
    try:
        found = recipe(store, stage, key)
        if Recipe(**{name: found[name] for name in ("stage", "version", "config", "inputs")}).key == key:
            return []
        return [Finding(path, "damaged recipe", f"it is not the recipe of the key {key}; run the flow again to write it anew")]
    except FileNotFoundError:
        return [Finding(path, "missing", "run the flow again to write it anew")]
    except (ValueError, KeyError, TypeError) as error:
        return [Finding(path, "damaged recipe", f"{error}; run the flow again to write it anew")]


def _file(store: Store, path: str, size: int | None, expected: set[tuple[int, str]]) -> list[Finding]:
    sizes = sorted({size for size, _ in expected})
    if size is None:
        return [Finding(path, "missing", "a snapshot lists it; run the flow again to make it anew")]
    if size not in sizes:
        return [
            Finding(
                path,
                "truncated" if size < min(sizes) else "altered",
                f"{size} bytes, expected {sizes[0]}; delete it and run again",
            )
        ]
    found = sha256(store.read(path))
    if (size, found) not in expected:
        return [Finding(path, "altered", f"sha256 {found[:12]}, expected {sorted(expected)[0][1][:12]}; delete it and run again")]
    return []
