import random
from pathlib import Path

import datasketch
import numpy as np
import polars as pl
import pytest
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig

from stages.corpus.minhash import SIGNATURES, SignatureConfig, least, permutations

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind at all: it cannot be bothered.",
    "ONE two three four five",
    "Crème brûlée costs 3,50 € at No. 12; it was 2.80 in 1999.\n\nNobody's complaining!",
    "Ночь, улица, фонарь, аптека, бессмысленный и тусклый свет.",
    "same same same same same same same same",
    " ".join(random.Random(0).choices(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"], k=3000)),
]


def signatures(texts: list[str], config: SignatureConfig) -> pl.DataFrame:
    docs = pl.DataFrame(
        {"id": [f"d{i}" for i in range(len(texts))], "text": texts}, schema={"id": pl.String(), "text": pl.String()}
    )
    return SIGNATURES.run(docs, config, {})


@pytest.mark.parametrize(
    "config",
    [
        SignatureConfig(),
        SignatureConfig(hash_fc="sha1"),
        SignatureConfig(seed=7),
        SignatureConfig(ngram=1),
        SignatureConfig(ngram=3, hashes=20),
    ],
    ids=str,
)
def test_signatures_are_those_of_datatrove_bit_for_bit(config: SignatureConfig, tmp_path: Path) -> None:
    theirs = MinhashDedupSignature(
        str(tmp_path),
        MinhashConfig(config.ngram, 1, config.hashes, config.seed, hash_config=HashConfig(hash_fc=config.hash_fc)),
    )
    expected = [np.array(theirs.get_signature(theirs.get_shingles(text))[0], "<u8").tobytes() for text in TEXTS]
    assert signatures(TEXTS, config)["signature"].to_list() == expected


@pytest.mark.parametrize(
    ("text", "shingles"), [("", 0), ("!!!", 0), ("one two three four", 0), ("a b c d e", 1), ("a b a b a b", 2)]
)
def test_a_text_of_fewer_than_five_words_has_no_signature(text: str, shingles: int) -> None:
    out = signatures([text], SignatureConfig())
    assert out["shingles"].to_list() == [shingles]
    assert (out["signature"].null_count() == 1) is (shingles == 0)


def test_output_has_the_declared_columns() -> None:
    declared = SIGNATURES.schema({"id": pl.String(), "url": pl.String(), "text": pl.String()})
    assert dict(signatures(TEXTS, SignatureConfig()).schema) == declared
    assert dict(signatures([], SignatureConfig()).schema) == declared


def test_permuted_values_are_exact_at_the_ends_of_the_range() -> None:
    top, prime = 2**64 - 1, 2**61 - 1
    shingles = [0, 1, prime - 1, prime, prime + 1, 2**63, top]
    a, b = [1, 2, prime - 1, 12345678901234567], [0, prime - 1, prime - 1, 7]
    for shingle in shingles:
        expected = [(shingle * x + y) % 2**64 % prime for x, y in zip(a, b, strict=True)]
        assert least(np.array([shingle], np.uint64), np.array(a, np.uint64), np.array(b, np.uint64)).tolist() == expected


def test_equal_hashes_estimate_the_jaccard_similarity() -> None:
    config = SignatureConfig(hashes=4000)
    shingles = np.random.default_rng(0).integers(0, 2**64, 100, dtype=np.uint64)
    one, other = (least(part, *permutations(config)) for part in (shingles[:80], shingles[20:]))  # 60 of 100 are shared
    assert np.mean(one == other) == pytest.approx(0.6, abs=4 * (0.6 * 0.4 / 4000) ** 0.5)


def test_a_signature_does_not_depend_on_the_texts_around_it() -> None:
    together = signatures(TEXTS, SignatureConfig())["signature"].to_list()
    assert [signatures([text], SignatureConfig())["signature"][0] for text in reversed(TEXTS)] == together[::-1]


def test_datasketch_finds_a_near_duplicate_by_our_signatures() -> None:
    config = SignatureConfig()
    long = TEXTS[-1].split()
    near = " ".join([*long[:1500], "inserted", *long[1500:]])
    found = signatures([*TEXTS, near], config)
    index = datasketch.MinHashLSH(num_perm=config.hashes, params=(14, 8))
    sketches = [
        datasketch.MinHash(hashvalues=np.frombuffer(signature, "<u8"), permutations=permutations(config), scheme="legacy")
        for signature in found["signature"]
    ]
    for name, sketch in zip(found["id"][:-1], sketches[:-1], strict=True):
        index.insert(name, sketch)
    assert index.query(sketches[-1]) == ["d5"]
    assert sketches[-1].jaccard(sketches[5]) > 0.9
    assert sketches[-1].jaccard(sketches[0]) < 0.1
