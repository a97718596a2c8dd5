import pytest
import torch
from torch import Tensor

from models.transformer.sampling import GREEDY, LOWEST, Chooser, Sampling, penalised
from models.unusable import Unusable

CPU = torch.device("cpu")
B, V = 6, 500


def logits_of(seed: int, vocab: int = V, spread: float = 3.0) -> Tensor:
    return torch.randn(B, vocab, generator=torch.Generator().manual_seed(seed)) * spread


def kept(setting: Sampling, logits_BV: Tensor) -> Tensor:
    scores = logits_BV / (setting.temperature or 1)
    return scores >= Chooser([setting] * len(logits_BV), CPU).floor(scores)


SETTINGS = [
    Sampling(top_k=1),
    Sampling(top_k=7),
    Sampling(top_k=V + 100),
    Sampling(top_p=0.9),
    Sampling(top_p=0.1),
    Sampling(top_p=1e-9),
    Sampling(top_p=0.9999),
    Sampling(min_p=0.05),
    Sampling(min_p=1.0),
    Sampling(temperature=0.5, top_k=40, top_p=0.8),
    Sampling(temperature=1.7, top_k=20, top_p=0.95, min_p=0.02),
    Sampling(temperature=3.0, top_p=0.6, min_p=0.1),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_the_tokens_that_stay_are_those_of_hugging_face(setting: Sampling, spread: float) -> None:
    processors = pytest.importorskip("transformers.generation.logits_process")
    logits_BV = logits_of(1, spread=spread)
    scores = processors.TemperatureLogitsWarper(setting.temperature)(None, logits_BV)
    if setting.top_k:
        scores = processors.TopKLogitsWarper(setting.top_k)(None, scores)
    if setting.top_p < 1:
        scores = processors.TopPLogitsWarper(setting.top_p)(None, scores)
    if setting.min_p:
        scores = processors.MinPLogitsWarper(setting.min_p)(None, scores)
    assert torch.equal(kept(setting, logits_BV), ~scores.isinf())


def test_the_repetition_penalty_is_that_of_hugging_face() -> None:
    processors = pytest.importorskip("transformers.generation.logits_process")
    logits_BV, ids = logits_of(2), torch.randint(0, V, (B, 30), generator=torch.Generator().manual_seed(3))
    seen = torch.zeros(B, V, dtype=torch.bool).scatter_(1, ids, True)
    for penalty in (0.7, 1.0, 1.3):
        expected = processors.RepetitionPenaltyLogitsProcessor(penalty)(ids, logits_BV)
        assert torch.equal(penalised(logits_BV, seen, torch.full((B, 1), penalty)), expected)


def test_rows_with_different_settings_choose_as_each_would_alone() -> None:
    settings = [GREEDY, *SETTINGS[:4], Sampling(temperature=0.7, repetition_penalty=1.4)]
    logits_BV, uniform = logits_of(4), torch.rand(B, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    seen = torch.rand(B, V, generator=torch.Generator().manual_seed(6)) < 0.3
    together = Chooser(settings, CPU).choose(logits_BV, uniform, seen)
    for row, setting in enumerate(settings):
        one = slice(row, row + 1)
        alone = Chooser([setting], CPU).choose(logits_BV[one], uniform[one], seen[one])
        assert (together.tokens[row], together.logprobs[row]) == (alone.tokens[0], alone.logprobs[0])


def test_tokens_come_as_often_as_their_probability_says() -> None:
    n, vocab = 20_000, 11
    logits = torch.randn(vocab, generator=torch.Generator().manual_seed(7))
    evenly = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    setting = Sampling(temperature=0.8, top_k=6)
    tokens = Chooser([setting] * n, CPU).choose(logits.expand(n, vocab), evenly, None).tokens
    scores = logits / 0.8
    expected = scores.masked_fill(scores < scores.topk(6).values[-1], -torch.inf).softmax(-1)
    assert tokens.bincount(minlength=vocab) / n == pytest.approx(expected, abs=2 / n)


def test_the_first_and_the_last_number_below_one_choose_a_token_that_stays() -> None:
    logits_BV = torch.full((2, V), -50.0)
    logits_BV[:, 3] = 0.0
    for setting in (Sampling(top_k=1), Sampling(top_p=0.5), Sampling(min_p=0.1)):
        edge = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
        tokens = Chooser([setting] * 2, CPU).choose(logits_BV, edge, None).tokens
        assert tokens.tolist() == [3, 3]


def test_greedy_takes_the_best_token_after_the_penalty() -> None:
    logits_BV = torch.tensor([[1.0, 3.0, 2.9]])
    seen = torch.tensor([[False, True, False]])
    assert Chooser([GREEDY], CPU).choose(logits_BV, None, None).tokens.tolist() == [1]
    setting = Sampling(temperature=0, repetition_penalty=1.2)
    assert Chooser([setting], CPU).choose(logits_BV, None, seen).tokens.tolist() == [2]


@pytest.mark.parametrize(
    "setting", [Sampling(0.6, 5, 0.7, 0.1, 1.5), Sampling(0.6), Sampling(0, repetition_penalty=2.0)], ids=str
)
def test_log_probabilities_are_those_of_the_model_at_that_temperature_and_of_nothing_else(setting: Sampling) -> None:
    logits_BV = logits_of(8)
    seen = torch.rand(B, V, generator=torch.Generator().manual_seed(9)) < 0.5
    uniform = torch.rand(B, dtype=torch.float64, generator=torch.Generator().manual_seed(10))
    choice = Chooser([setting] * B, CPU).choose(logits_BV, uniform, seen)
    expected = (logits_BV.double() / (setting.temperature or 1)).log_softmax(-1)
    assert choice.every.double() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(choice.logprobs, choice.every.gather(1, choice.tokens[:, None])[:, 0])


def test_a_wide_nucleus_is_found_behind_the_first_look() -> None:
    flat = torch.zeros(1, 5000) + torch.arange(5000) * 1e-5
    assert int(kept(Sampling(top_p=0.5), flat).sum()) == pytest.approx(2500, abs=60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_k": 1 << 70},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 2.0},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": 1e-40},
    ],
    ids=str,
)
def test_a_setting_that_means_nothing_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(Unusable, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_a_temperature_of_almost_nothing_is_none() -> None:
    assert Sampling(temperature=1e-40) == Sampling(temperature=0)
    logits = torch.tensor([[30.0, -30.0, 29.0]])
    lowest = Chooser([Sampling(temperature=LOWEST)], torch.device("cpu"))
    chosen = lowest.choose(logits, torch.tensor([0.999], dtype=torch.float64), None)
    assert (chosen.tokens.tolist(), chosen.logprobs.tolist()) == ([0], [0.0])
