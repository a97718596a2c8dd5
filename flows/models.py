"""What a person calls a model, to the folder on this machine that holds it.

| text | means |
|---|---|
| `pretrain`, `pretrain@latest`, a key, `stage/key@snapshot`, the path of an artifact | an artifact with a model (storage/artifact.py); its files are checked against their digests, and fetched if the store is remote |
| any other folder with a config.json | a model in Hugging Face's format |
"""

from pathlib import Path

from flows.work import Artifact, open_side
from storage.artifact import resolve
from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def model_folder(store: Store, text: str) -> Path:
    """Raises Problem where `text` means no model, or a file of it is gone or altered."""
    path = Path(text).expanduser()
    if path.is_dir():
        home = _store_of(path)
        if home is None:
            _expect_model({file.name for file in path.iterdir()}, str(path))
            return path
        store, text = home, f"{path.resolve().parent.name}/{path.resolve().name}"
    snapshot = resolve(store, text)
    _expect_model({file.name for file in snapshot.files}, snapshot.reference)
    return local(store, snapshot)


def local(store: Store, snapshot: Snapshot) -> Path:
    """The artifact's files, checked, in a folder of this machine."""
    return Path(open_side(store, Artifact(snapshot.stage, snapshot.key, snapshot.id)).folder)


def _store_of(path: Path) -> Store | None:
    """The store in which a folder is an artifact: there are its snapshots."""
    whole = path.resolve()
    return Store(str(whole.parent.parent)) if (whole / "snapshots").is_dir() and (whole / "recipe.json").is_file() else None


def _expect_model(names: set[str], where: str) -> None:
    if CONFIG in names and not names.isdisjoint(WEIGHTS):
        return
    some = ", ".join(sorted(names)[:5]) or "nothing"
    raise Problem(
        f"{where} holds no model: found {some}{' ...' if len(names) > 5 else ''}, expected {CONFIG} and {WEIGHTS[0]}. Give what training "
        "made (pretrain@latest, a key, a path) or the folder of a Hugging Face model"
    )
