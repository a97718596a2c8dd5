import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from stages.retrieval.index import CHUNKS, INDEX, IndexConfig
from stages.retrieval.search import open_index, search
from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet
from tests.stages.retrieval import world


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_corpus_gives_the_same_bytes_whatever_the_shards_and_threads(tmp_path: Path) -> None:
    made = []
    for number, (shards, threads) in enumerate([(1, 1), (3, 2)]):
        out = tmp_path / f"index-{number}"
        out.mkdir()
        with threadpool_limits(threads):
            INDEX.run({"docs": world.write(tmp_path / f"docs-{number}", shards=shards)}, out, IndexConfig(words=12, overlap=3))
        made.append(digests(out))
    assert made[0] == made[1]
    assert {"chunks.parquet", "index.json", "vectors.npy", "svd_terms.npy", "keywords/vocab.index.json"} <= set(made[0])


def test_nothing_in_an_index_is_a_pickle(tmp_path: Path) -> None:
    for path in world.index(tmp_path).rglob("*"):
        assert path.is_dir() or path.suffix in (".parquet", ".json", ".npy")
        if path.suffix == ".npy":
            assert b"'|O'" not in path.read_bytes()[:128]


def test_chunks_name_their_document_and_their_place_in_it(tmp_path: Path) -> None:
    out = tmp_path / "index"
    out.mkdir()
    stats = INDEX.run({"docs": world.write(tmp_path / "docs")}, out, IndexConfig(words=12, overlap=0))
    chunks = read_parquet(str(out / "chunks.parquet"))
    assert dict(chunks.schema) == CHUNKS
    texts = {identity: text for identity, _, _, text in world.DOCUMENTS}
    for row in chunks.iter_rows(named=True):
        assert row["text"] == texts[row["id"]][row["start"] : row["end"]]
    assert chunks["chunk"].n_unique() == chunks.height == stats["chunks"]
    assert chunks["chunk"].to_list()[:2] == ["a#0", "a#1"]
    assert set(chunks["id"]) == set("abcde")
    assert stats["documents"] == 6


def test_rows_with_a_reason_are_left_out_and_a_title_is_not_needed(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"id": ["kept", "dropped"], "url": ["u", "v"], "text": ["An owl.", "An otter."], "reason": [None, "short"]}
    )
    frame.write_parquet(tmp_path / "c4.parquet")
    (tmp_path / "out").mkdir()
    INDEX.run({"docs": Input(tmp_path, ("c4.parquet",))}, tmp_path / "out", IndexConfig())
    index = open_index(tmp_path / "out")
    assert index.chunks.select("id", "title").rows() == [("kept", None)]
    assert [hit.document for hit in search(index, "owl otter")] == ["kept"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"id": ["a"], "url": ["u"], "text": [" \n"]}, "found no text in 1 documents"),
        ({"id": ["a"], "url": ["u"], "text": ["?! ..."]}, "found no letter and no digit in 1 chunks"),
        ({"id": ["a"], "content": ["text"]}, "docs.parquet has no url, text; expected the shards of a corpus"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: Path, frame: dict[str, list[str]], message: str) -> None:
    pl.DataFrame(frame).write_parquet(tmp_path / "docs.parquet")
    with pytest.raises(Problem, match=message.replace("?", r"\?")):
        INDEX.run({"docs": Input(tmp_path, ("docs.parquet",))}, tmp_path, IndexConfig())


def test_a_corpus_of_one_word_can_be_searched(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a"], "url": ["u"], "text": ["owl"]}).write_parquet(tmp_path / "docs.parquet")
    (tmp_path / "out").mkdir()
    INDEX.run({"docs": Input(tmp_path, ("docs.parquet",))}, tmp_path / "out", IndexConfig())
    for method in ("keyword", "vector", "hybrid"):
        assert [hit.document for hit in search(open_index(tmp_path / "out"), "owls", 3, method)] == ["a"]


def test_an_overlap_as_long_as_a_chunk_is_refused() -> None:
    with pytest.raises(ValidationError, match="overlap is 50 and words 50"):
        IndexConfig(words=50, overlap=50)


def test_a_folder_that_is_no_index_or_whose_files_do_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"is no index: it has no index.json, chunks.parquet, vectors.npy"):
        open_index(tmp_path)
    out = world.index(tmp_path)
    facts = json.loads((out / "index.json").read_text())
    (out / "index.json").write_text(json.dumps(facts | {"chunks": 99}))
    with pytest.raises(Problem, match="found 5 chunks and 5 vectors, expected 99 of each"):
        open_index(out)
