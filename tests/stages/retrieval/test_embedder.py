import sys
from pathlib import Path

import numpy as np
import pytest

from stages.retrieval.embedder import load_embedder
from stages.retrieval.index import INDEX, IndexConfig
from stages.retrieval.search import open_index, search
from storage.problem import Problem
from tests.stages.retrieval import world


def model(folder: Path, seed: int) -> Path:
    """A sentence-transformers model of random weights over letters."""
    transformers = pytest.importorskip("transformers")
    sentences = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.models")
    import torch

    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    bert = folder / "bert"
    bert.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), ".", "?"]
    (bert / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(bert / "vocab.txt")).save_pretrained(bert)
    shape = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    transformers.BertModel(shape).save_pretrained(bert)
    read = modules.Transformer(str(bert), max_seq_length=64)
    made = sentences.SentenceTransformer(modules=[read, modules.Pooling(16)], device="cpu")
    made.save(str(folder / "model"))
    return folder / "model"


@pytest.mark.slow
def test_vectors_of_a_models_own_are_used_for_chunks_and_queries(tmp_path: Path) -> None:
    folder, out = model(tmp_path / "one", 1), tmp_path / "index"
    out.mkdir()
    stats = INDEX.run({"docs": world.write(tmp_path / "docs"), "embedder": folder}, out, IndexConfig())
    assert stats["dimensions"] == 16
    assert not (out / "svd_terms.npy").exists()
    index = open_index(out, folder)
    title, text = index.chunks.select("title", "text").row(2)
    np.testing.assert_allclose(index.vector(f"{title}\n{text}"), index.vectors[2], atol=1e-5)
    assert search(index, f"{title}\n{text}", 1, "vector")[0].row == 2
    with pytest.raises(Problem, match="were made with an embedding model; give the folder of that model"):
        open_index(out)
    with pytest.raises(Problem, match="is another model than the one"):
        open_index(out, model(tmp_path / "two", 2))


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(Problem, match=r"the package sentence-transformers is not installed. Install it: pip install"):
        load_embedder(tmp_path)


def test_a_folder_that_is_not_there_or_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no folder"):
        load_embedder(tmp_path / "missing")
    pytest.importorskip("sentence_transformers")
    (tmp_path / "modules.json").write_text("{}")
    with pytest.raises(Problem, match="is no model that sentence-transformers can load"):
        load_embedder(tmp_path)
