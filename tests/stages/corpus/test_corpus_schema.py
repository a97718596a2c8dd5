from pathlib import Path

import polars as pl
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from stages.corpus.corpus import ABOUT, BATCH, COLUMNS, CORPUS, CorpusConfig
from storage.problem import Problem

FINEWEB = ["text", "id", "dump", "url", "date", "file_path", "language", "language_score"]


def pages(texts: list[str | None]) -> pl.DataFrame:
    rows = [
        {
            "url": f"https://a.org/{at}",
            "id": f"<{at}>",
            "extra": 1,
            "language_score": 0.9,
            "minhash_cluster_size": 2,
            "text": text,
        }
        for at, text in enumerate(texts)
    ]
    return pl.DataFrame(
        rows, schema={"extra": pl.Int8, "minhash_cluster_size": pl.Int64, **dict(reversed(COLUMNS.items())), **ABOUT}
    )


def saved_tokenizer(folder: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[BOS]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[BOS] $0", special_tokens=[("[BOS]", 1)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.mark.parametrize("sides", [{}, {"tokenizer": None}])
def test_columns_are_finewebs_and_tokens_are_not_counted_unasked(sides: dict[str, None]) -> None:
    docs = pages(["One page.", None])
    out = CORPUS.run(docs, CorpusConfig(), sides)
    assert out.columns == [*FINEWEB, "token_count", "minhash_cluster_size", *ABOUT]
    assert dict(out.schema) == CORPUS.schema(docs.schema)
    assert out["token_count"].to_list() == [None, None]
    assert out["text"].to_list() == ["One page.", None]


def test_tokens_are_counted_without_special_tokens_truncation_or_padding(tmp_path: Path) -> None:
    texts = ["one two three four five", None, "", *("word " * count for count in range(BATCH))]
    out = CORPUS.run(pages(texts), CorpusConfig(), {"tokenizer": saved_tokenizer(tmp_path)})
    assert out["token_count"].to_list() == [5, 0, 0, *range(BATCH)]


def test_a_shard_without_rows_keeps_its_schema(tmp_path: Path) -> None:
    out = CORPUS.run(pages([]), CorpusConfig(), {"tokenizer": saved_tokenizer(tmp_path)})
    assert (out.height, out.schema["token_count"]) == (0, pl.Int64)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(Problem, match=r"vocab\.json is no Hugging Face tokenizer .* give the tokenizer\.json"):
        CORPUS.run(pages(["One page."]), CorpusConfig(), {"tokenizer": tmp_path / "vocab.json"})
