"""A corpus of a few documents, and its index."""

from pathlib import Path

import polars as pl

from stages.retrieval.index import INDEX, IndexConfig
from stages.stage import Input

DOCUMENTS = [
    ("a", "https://a.example", "Tara of Holmford", "# Tara\n\nShe lives in Holmford. Her parrot whistles at the neighbours.\n\nShe is a baker."),
    ("b", "https://b.example", None, "Where does Tara live?\n\nNobody knows. The weather was fine, and the market of Gelmere was full."),
    ("c", "https://c.example", "Gelmere", "Gelmere lies on the river Dresuth. It is known for its clocks.\n\nBoats come up the Dresuth."),
    ("d", "https://d.example", "Odin", "Odin keeps an owl. Odin works as a smith in Gelmere.\n\nThe owl of Odin hoots twice before rain."),
    ("e", "https://e.example", "东京", "东京是日本的首都。大阪在西边。"),
    ("f", "https://f.example", None, ""),
]  # fmt: skip


def write(folder: Path, documents: list[tuple[str, str, str | None, str]] = DOCUMENTS, shards: int = 2) -> Input:
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(
        documents, schema={"id": pl.String, "url": pl.String, "title": pl.String, "text": pl.String}, orient="row"
    )
    step = -(-frame.height // shards)
    names = []
    for number in range(shards):
        names.append(f"shard-{number}.parquet")
        frame[number * step : (number + 1) * step].write_parquet(folder / names[-1])
    return Input(folder, tuple(names))


def index(folder: Path, config: IndexConfig | None = None) -> Path:
    out = folder / "index"
    out.mkdir(parents=True)
    INDEX.run({"docs": write(folder / "docs")}, out, config or IndexConfig())
    return out
