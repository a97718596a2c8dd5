import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.unusable import Unusable
from stages.tokens.split import TRAIN, VALIDATION
from stages.tokens.tokenize import BATCH, TOKENIZE, TokenizeConfig
from storage.problem import Problem
from tests.stages.tokens.tiny import foreign, tokenized, tokenizer

SECRET = "what is the name of the river on which the old mill of Marlow stands today"
TEXTS = ["Plain text.", "Größe 漢字 🙂", "<|document_end|> is text", ""]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer(tmp_path_factory.mktemp("pieces") / "tokenizer")


def documents(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [str(n) for n in range(len(texts))], "text": texts}, schema={"id": pl.String(), "text": pl.String()}
    )


def evaluations(folder: Path) -> Path:
    (folder / "exam").mkdir()
    (folder / "exam" / "rivers.jsonl").write_text(json.dumps({"question": SECRET}))
    return folder / "exam"


def opened(pieces: Path) -> Tokenizer:
    return load(pieces)


def test_a_document_is_its_text_between_start_and_end(pieces: Path) -> None:
    made = tokenized(documents(TEXTS), tokenizer=pieces)
    known = opened(pieces)
    for text, row in zip(TEXTS, made.iter_rows(named=True), strict=True):
        assert row["tokens"][0] == known.start
        assert row["tokens"][-1] == known.stops[0]
        assert row["tokens"][1:-1] == known.encode(text)
        assert known.decode(row["tokens"]) == text
        assert (row["bytes"], row["token_count"]) == (len(text.encode()), len(known.encode(text)))
    assert made["reason"].to_list() == [None, None, None, "empty"]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_text_comes_back_from_its_tokens(pieces: Path, texts: list[str]) -> None:
    plain = [text.encode("utf-8", "replace").decode() for text in texts]
    made = tokenized(documents(plain), tokenizer=pieces)
    assert [opened(pieces).decode(tokens) for tokens in made["tokens"]] == plain


def test_a_tokenizer_without_a_start_token_puts_none(tmp_path: Path) -> None:
    pieces = foreign(tmp_path / "foreign")
    made = tokenized(documents(["abc"]), tokenizer=pieces)
    known = opened(pieces)
    assert known.start is None
    assert made["tokens"].to_list() == [[*known.encode("abc"), known.stops[0]]]
    assert made["token_count"].to_list() == [3]


def test_rows_and_columns_are_as_declared_and_only_useful_columns_are_kept(pieces: Path) -> None:
    docs = documents(TEXTS * BATCH).with_columns(url=pl.lit("https://a.example"), language=pl.lit("en"), score=pl.lit(0.5))
    made = tokenized(docs, tokenizer=pieces)
    assert dict(made.schema) == TOKENIZE.schema(docs.schema)
    assert made.columns[:3] == ["id", "url", "language"]
    assert "text" not in made.columns
    assert made["id"].equals(docs["id"])
    empty = tokenized(docs.clear(), tokenizer=pieces)
    assert (empty.height, dict(empty.schema)) == (0, TOKENIZE.schema(docs.schema))


def test_a_document_has_the_same_tokens_and_side_in_any_company(pieces: Path) -> None:
    docs = documents([f"document {n} with a few words" for n in range(2 * BATCH + 5)])
    config = TokenizeConfig(validation=0.3)
    whole = tokenized(docs, config, tokenizer=pieces)
    parts = [tokenized(docs[n : n + 7], config, tokenizer=pieces) for n in range(0, docs.height, 7)]
    assert whole.equals(pl.concat(parts))
    assert set(whole["split"]) == {TRAIN, VALIDATION}


def test_near_duplicates_go_where_their_cluster_goes(pieces: Path) -> None:
    docs = documents([f"document {n}" for n in range(40)])
    clustered = docs.with_columns(cluster=pl.Series([f"cluster {n % 4}" for n in range(40)]))
    made = tokenized(clustered, TokenizeConfig(validation=0.5), tokenizer=pieces)
    assert made.group_by(pl.Series(range(40)) % 4).agg(pl.col("split").n_unique())["split"].to_list() == [1] * 4
    assert tokenized(docs, TokenizeConfig(validation=0.5), tokenizer=pieces)["split"].to_list() != made["split"].to_list()


def test_training_text_that_an_evaluation_asks_about_is_tagged_with_the_n_gram_and_its_place(
    pieces: Path, tmp_path: Path
) -> None:
    docs = documents(["Nothing of that kind.", f"Quiz: {SECRET.title()}? The Thames."])
    made = tokenized(docs, TokenizeConfig(validation=0), tokenizer=pieces, evaluations=evaluations(tmp_path))
    assert made.select("reason", "reason_value", "reason_threshold").rows() == [(None, None, None), ("contaminated", 4.0, 0.0)]
    assert made["reason_detail"][1] == f"rivers.jsonl:1: {' '.join(SECRET.title().split()[:13])}"
    assert made["contaminated_ngrams"].to_list() == [0, 4]
    assert made["contaminated_frac"].to_list() == [0.0, 4 / 7]


def test_some_quotations_may_be_allowed(pieces: Path, tmp_path: Path) -> None:
    made = tokenized(
        documents([SECRET]), TokenizeConfig(validation=0, max_ngrams=4), tokenizer=pieces, evaluations=evaluations(tmp_path)
    )
    assert made["reason"].to_list() == [None]
    assert made["contaminated_ngrams"].to_list() == [4]


def test_validation_text_is_not_held_against_evaluations(pieces: Path, tmp_path: Path) -> None:
    docs = documents([f"{SECRET} {n}" for n in range(60)])
    made = tokenized(docs, TokenizeConfig(validation=0.5), tokenizer=pieces, evaluations=evaluations(tmp_path))
    assert made.filter(split=TRAIN)["reason"].to_list() == ["contaminated"] * made.filter(split=TRAIN).height
    assert made.filter(split=VALIDATION)["reason"].null_count() == made.filter(split=VALIDATION).height > 0
    assert made.filter(split=VALIDATION)["contaminated_ngrams"].null_count() == made.filter(split=VALIDATION).height


def test_without_evaluations_nothing_is_measured(pieces: Path) -> None:
    made = tokenized(documents([SECRET]), tokenizer=pieces)
    assert made.select("contaminated_ngrams", "contaminated_frac", "contaminated_by", "reason").rows() == [(None,) * 4]


def test_a_folder_without_a_tokenizer_and_one_that_ends_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="there is no folder"):
        tokenized(documents(["a"]), tokenizer=tmp_path / "nowhere")
    endless = foreign(tmp_path / "endless")
    (endless / "tokenizer_config.json").write_text("{}")
    with pytest.raises(Problem, match=r"has no token that ends a document; name one as eos_token in tokenizer_config\.json"):
        tokenized(documents(["a"]), tokenizer=endless)
