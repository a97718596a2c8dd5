"""Boosted trees from labelled blocks, by LightGBM, and the weights that make every page count alike.

Ke et al., "LightGBM" (NeurIPS 2017); cross-entropy over shares, so a block that is half main text is half a positive. The same data give
the same trees, whatever the number of threads. Needs the extra `train`.
"""

from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from stages.extraction.trees import Trees
from stages.stage import Config
from storage.problem import Problem

_LEAST_WORDS = 30  # a page with less main text does not weigh more for it
_MOST_WEIGHT = 3.0  # of one page, where 1 is a page whose every word is main text
_FLOOR = 1e-4
_MOST = 65504.0  # the largest number in half precision


class Boosting(Config):
    """How many trees of which size."""

    trees: int = Field(default=150, ge=1, le=2_000)
    """Trees."""
    leaves: int = Field(default=31, ge=2, le=127)
    """Leaves of each tree."""
    rate: float = Field(default=0.08, gt=0, le=1)
    """Learning rate."""
    feature_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the features that each tree may use."""
    seed: int = Field(default=0, ge=0)
    """Which features and blocks each tree sees."""


def weights(words: np.ndarray, page: np.ndarray, gold_words: np.ndarray) -> np.ndarray:
    """float64[blocks] from words[blocks], page[blocks] and gold_words[pages]: a block weighs its share of its page's main text."""
    weight = words / np.maximum(_LEAST_WORDS, gold_words)[page]
    total = np.bincount(page, weight, minlength=len(gold_words))
    return np.asarray(weight * np.minimum(1, _MOST_WEIGHT / np.maximum(total, 1e-9))[page] + _FLOOR)


class Fitted(NamedTuple):
    trees: Trees
    gain: np.ndarray
    """float64[features]: the share of all gain that splits on each feature brought."""


def fit(x: np.ndarray, share: np.ndarray, weight: np.ndarray, boosting: Boosting, threads: int) -> Fitted:
    """Trees that predict share[blocks], 0 to 1, from x[blocks, features]."""
    try:
        import lightgbm
    except ImportError:
        raise Problem("training needs LightGBM: pip install -c constraints.txt 'winnow[train]'") from None
    settings = {
        "objective": "cross_entropy", "learning_rate": boosting.rate, "num_leaves": boosting.leaves, "min_data_in_leaf": 200,
        "min_sum_hessian_in_leaf": 0.5, "feature_fraction": boosting.feature_share, "bagging_fraction": 0.7, "bagging_freq": 1,
        "lambda_l2": 5.0, "max_bin": 63, "seed": boosting.seed, "deterministic": True, "force_row_wise": True,
        "num_threads": threads, "verbose": -1,
    }  # fmt: skip
    booster = lightgbm.train(settings, lightgbm.Dataset(x, share, weight=weight), boosting.trees)
    gain = booster.feature_importance("gain")
    return Fitted(_flat(booster.dump_model()["tree_info"]), gain / max(gain.sum(), 1e-9))


def _flat(trees: list[dict[str, Any]]) -> Trees:
    """LightGBM's nested trees as arrays, rounded as the model file rounds them."""
    starts: list[int] = [0]
    depths: list[int] = []
    feature: list[int] = []
    threshold: list[float] = []
    child: list[int] = []
    value: list[float] = []

    def add(node: dict[str, Any]) -> tuple[int, int]:
        """The node's number and the depth below it."""
        k = len(feature)
        leaf = "split_feature" not in node
        feature.append(0 if leaf else node["split_feature"])
        threshold.append(_MOST if leaf else min(_MOST, node["threshold"]))
        value.append(node["leaf_value"] if leaf else 0.0)
        child.extend((k, k))
        if leaf:
            return k, 0
        (child[2 * k], left), (child[2 * k + 1], right) = add(node["left_child"]), add(node["right_child"])
        return k, 1 + max(left, right)

    for tree in trees:
        depths.append(add(tree["tree_structure"])[1])
        starts.append(len(feature))
    return Trees(
        np.array(starts, np.uint32), np.array(depths, np.uint32), np.array(feature, np.uint32),
        np.array(threshold, np.float16).astype(np.float32), np.array(child, np.uint32), np.array(value, np.float16).astype(np.float32),
    )  # fmt: skip
