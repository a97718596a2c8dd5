"""An artifact that an earlier run made, as the input of another flow."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flows.identity import Dataset
from stages.stage import REASON
from storage.artifact import recipe, resolve
from storage.problem import Problem
from storage.recipe import Recipe
from storage.snapshot import Snapshot
from storage.store import Store


def stored(store: Store, text: str) -> Dataset:
    """What a person calls `text` (storage/artifact.py says how). Raises Problem where there is no such artifact, or its recipe is damaged."""
    snapshot = resolve(store, text)
    try:
        document = recipe(store, snapshot.stage, snapshot.key)
        made = Recipe(document["stage"], document["version"], document["config"], document["inputs"])
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise Problem(
            f"{store.full(snapshot.folder)}/recipe.json cannot be read ({error}); run the flow that made it again"
        ) from error
    columns = _columns(store, snapshot)
    lasting = {name: dtype for name, dtype in columns.items() if name not in REASON}
    return Dataset(made, snapshot, lasting, {}, filters="reason" in columns, cached=True)


def _columns(store: Store, snapshot: Snapshot) -> dict[str, pl.DataType]:
    """Columns of the rows; empty for an artifact that has none."""
    for file in snapshot.shards[:1]:
        path = store.full(f"{snapshot.folder}/{file.name}")
        try:
            with store.fs.open(path, "rb") as opened:
                schema = pq.read_schema(opened)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise Problem(
                f"{path} cannot be read ({error}); delete it if it is there and run the flow that made it again"
            ) from error
        frame = pl.from_arrow(schema.empty_table())
        assert isinstance(frame, pl.DataFrame)
        return dict(frame.schema)
    return {}
