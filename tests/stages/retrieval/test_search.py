import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stages.retrieval.index import IndexConfig
from stages.retrieval.search import FUSION, METHODS, OWN, Index, Method, open_index, ranked, search
from stages.retrieval.terms import terms
from storage.problem import Problem
from tests.stages.retrieval import world


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return open_index(world.index(tmp_path_factory.mktemp("search"), IndexConfig(words=12, overlap=4)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("query", "document"),
    [("Which river runs through Gelmere?", "c"), ("Odin's owls", "d"), ("大阪", "e"), ("baker parrot", "a")],
)
def test_a_query_finds_the_document_that_is_about_it(index: Index, query: str, document: str, method: Method) -> None:
    hit = search(index, query, 1, method)[0]
    assert hit.document == document
    assert hit.url == f"https://{document}.example"
    assert hit.chunk.startswith(f"{document}#")
    text = next(text for identity, _, _, text in world.DOCUMENTS if identity == document)
    assert text[hit.start : hit.end] == hit.text


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("query", ["", "?!", "zzz unknown"])
def test_a_query_of_which_nothing_is_known_finds_nothing(index: Index, query: str, method: Method) -> None:
    assert search(index, query, 5, method) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [1, 2, 100])
def test_hits_are_at_most_k_and_fall_in_score(index: Index, method: Method, k: int) -> None:
    hits = search(index, "owl of Gelmere", k, method)
    assert 0 < len(hits) <= k
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


def test_keyword_scores_are_those_of_the_formula(index: Index) -> None:
    texts = [terms(f"{title}\n{text}" if title else text) for title, text in index.chunks.select("title", "text").iter_rows()]
    mean = sum(map(len, texts)) / len(texts)
    expected = {}
    for row, found in enumerate(texts):
        score = 0.0
        for term in terms("the owl of Gelmere"):
            n, tf = sum(term in other for other in texts), Counter(found)[term]
            idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
            score += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(found) / mean))
        if score > 0:
            expected[row] = score
    assert ranked(index, "the owl of Gelmere", 100, "keyword") == pytest.approx(expected, rel=1e-5)


def test_with_all_dimensions_vectors_are_those_of_tf_idf(tmp_path: Path) -> None:
    """The SVD then only turns the space, so that cosines between chunks stay."""
    index = open_index(world.index(tmp_path, IndexConfig(words=40, overlap=0, dimensions=2048)))
    texts = [
        Counter(terms(f"{title}\n{text}" if title else text)) for title, text in index.chunks.select("title", "text").iter_rows()
    ]
    known = list(index.keywords.vocabulary)
    n = np.array([sum(term in text for text in texts) for term in known])
    idf = 1 + np.log((1 + len(texts)) / (1 + n))
    weighed = np.array([[(1 + math.log(text[term])) if text[term] else 0 for term in known] for text in texts]) * idf
    weighed /= np.linalg.norm(weighed, axis=1, keepdims=True)
    np.testing.assert_allclose(index.vectors @ index.vectors.T, weighed @ weighed.T, atol=1e-5)
    title, text = index.chunks.select("title", "text").row(0)
    np.testing.assert_allclose(index.vector(f"{title}\n{text}"), index.vectors[0], atol=1e-5)


def test_hybrid_scores_are_sums_of_reciprocal_ranks_where_the_corpus_s_own_vectors_weigh_less(index: Index) -> None:
    query = "owl of Gelmere"
    orders = [list(ranked(index, query, 100, method)) for method in ("keyword", "vector")]
    expected = {
        row: sum(weight / (FUSION + 1 + order.index(row)) for order, weight in zip(orders, (1, OWN), strict=True) if row in order)
        for row in {*orders[0], *orders[1]}
    }
    assert ranked(index, query, 100, "hybrid") == pytest.approx(expected)


def test_of_equal_scores_the_first_chunk_of_the_corpus_comes_first(tmp_path: Path) -> None:
    documents = [(str(n), "https://x.example", None, "The same words.") for n in range(20)]
    (tmp_path / "index").mkdir()
    world.INDEX.run({"docs": world.write(tmp_path / "docs", documents)}, tmp_path / "index", IndexConfig())
    index = open_index(tmp_path / "index")
    for method in METHODS:
        assert [hit.document for hit in search(index, "same words", 5, method)] == ["0", "1", "2", "3", "4"]


def test_wrong_arguments_are_refused(index: Index) -> None:
    with pytest.raises(Problem, match="found the search method 'fuzzy'; expected one of keyword, vector, hybrid"):
        search(index, "owl", 5, "fuzzy")  # type: ignore[arg-type]
    with pytest.raises(Problem, match="found k = 0"):
        search(index, "owl", 0)
