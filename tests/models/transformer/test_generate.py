import random
import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from models.transformer.generate import Completion, Engine, Request, generate, stream
from models.transformer.sampling import GREEDY, Sampling
from models.transformer.transformer import Transformer
from models.unusable import Unusable
from tests.models.transformer.small_models import SHAPES, small_model

CONTEXT = 64


@torch.inference_mode()
def naive(model: Transformer, prompt: Sequence[int], new_tokens: int) -> list[int]:
    """The best token of a full forward pass, again and again."""
    row = list(prompt)
    for _ in range(new_tokens):
        row.append(int(model(torch.tensor([row]))[0, -1].argmax()))
    return row[len(prompt) :]


@torch.inference_mode()
def logprobs(model: Transformer, prompt: Sequence[int], tokens: Sequence[int], temperature: float) -> list[float]:
    """Of `tokens` after `prompt`, by one forward pass in which nothing is cached."""
    logits = model(torch.tensor([[*prompt, *tokens]]))[0, len(prompt) - 1 : -1].float() / temperature
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()


def requests(count: int, seed: int = 0, sampling: Sequence[Sampling] = (GREEDY,)) -> list[Request]:
    """Prompts of 1 to 40 tokens, 1 to 20 new ones, and three prompts that come more than once."""
    rng = random.Random(seed)
    prompts = [rng.choices(range(97), k=rng.randint(1, 40)) for _ in range(count)]
    prompts[5] = prompts[1] = prompts[0]
    return [Request(prompt, rng.randint(1, 20), rng.choice(sampling), seed=index) for index, prompt in enumerate(prompts)]


MANY = (
    GREEDY,
    Sampling(),
    Sampling(temperature=0.7, top_k=20),
    Sampling(temperature=1.3, top_p=0.8),
    Sampling(temperature=0.9, min_p=0.05, repetition_penalty=1.3),
    Sampling(temperature=0, repetition_penalty=1.2),
)


@pytest.mark.parametrize("rows", [1, 7, 100])
@pytest.mark.parametrize("kind", SHAPES)
def test_greedy_generation_is_that_of_a_full_forward_pass_for_every_token(kind: str, rows: int) -> None:
    model, asked = small_model(kind), requests(24)
    for request, found in zip(asked, generate(model, asked, rows), strict=True):
        assert found.tokens == naive(model, request.prompt, request.max_new_tokens)
        assert found.finish_reason == "length"
        assert all(found.chosen)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_request_gives_the_same_tokens_in_any_company(kind: str) -> None:
    model, asked = small_model(kind), requests(24, sampling=MANY)
    together = generate(model, asked, rows=9)
    shuffled = list(enumerate(asked))
    random.Random(3).shuffle(shuffled)
    again = generate(model, [request for _, request in shuffled], rows=4)
    for (index, request), elsewhere in zip(shuffled, again, strict=True):
        [alone] = generate(model, [request])
        assert together[index].tokens == alone.tokens == elsewhere.tokens
        assert together[index].logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_the_same_requests_give_the_same_bits() -> None:
    model, asked = small_model(), requests(24, sampling=MANY)
    assert generate(model, asked, rows=5) == generate(model, asked, rows=5)


@pytest.mark.parametrize("rows", [1, 3])
def test_two_threads_give_the_tokens_of_one(rows: int) -> None:
    model, asked = small_model(), [replace(request, max_new_tokens=4) for request in requests(8)[:5]]
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append([one.tokens for one in generate(model, asked, rows)])
        finally:
            torch.set_num_threads(before)
    assert found[0] == found[1]


def test_seeds_alone_tell_equal_requests_apart() -> None:
    model = small_model()
    asked = [Request([1, 2, 3], 12, seed=seed) for seed in (1, 2, 1)]
    first, second, third = generate(model, asked)
    assert first.tokens == third.tokens
    assert first.logprobs == pytest.approx(third.logprobs, abs=1e-4)  # rows of one batch are summed in other blocks
    assert first.tokens != second.tokens


def test_the_global_random_state_is_neither_used_nor_changed() -> None:
    model, asked = small_model(), requests(6, sampling=MANY)
    torch.manual_seed(1)
    random.seed(1)
    before = (torch.get_rng_state(), random.getstate())
    found = generate(model, asked)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    torch.manual_seed(2)
    random.seed(2)
    assert generate(model, asked) == found


@pytest.mark.parametrize("kind", SHAPES)
def test_log_probabilities_are_those_of_the_model_at_the_temperature(kind: str) -> None:
    model, asked = small_model(kind), requests(24, sampling=MANY)
    for request, found in zip(asked, generate(model, asked, rows=6), strict=True):
        expected = logprobs(model, request.prompt, found.tokens, request.sampling.temperature or 1)
        assert found.logprobs == pytest.approx(expected, abs=1e-4)


def test_the_best_log_probabilities_are_given_to_whoever_asks() -> None:
    model = small_model()
    plain, asking = Request([4, 5], 6, GREEDY), Request([4, 5], 6, GREEDY, top_logprobs=3)
    without, given = generate(model, [plain, asking])
    assert without.top_logprobs == []
    assert [best[0][0] for best in given.top_logprobs] == given.tokens
    assert [best[0][1] for best in given.top_logprobs] == given.logprobs
    assert all(len(best) == 3 and best == sorted(best, key=lambda pair: -pair[1]) for best in given.top_logprobs)
    assert [event.top for event in stream(model, [asking])] == generate(model, [asking])[0].top_logprobs


def test_a_stop_token_ends_a_completion_and_belongs_to_it() -> None:
    model = small_model()
    tokens = naive(model, [1, 2, 3], 20)
    stop = tokens[7]
    [found] = generate(model, [Request([1, 2, 3], 20, GREEDY, stops=(96, stop))])
    assert found.tokens == tokens[: tokens.index(stop) + 1]
    assert found.finish_reason == "stop"
    assert len(found.logprobs) == len(found.tokens)


def test_a_completion_ends_where_the_request_says_it_is_at_its_end() -> None:
    model = small_model()
    [found] = generate(model, [Request([1, 2, 3], 20, GREEDY, stop_when=lambda tokens: len(tokens) == 5)])
    assert (len(found.tokens), found.finish_reason) == (5, "stop")


def test_tokens_put_in_are_read_and_generation_goes_on_behind_them() -> None:
    model = small_model()
    put = {3: [10, 11, 12], 8: [13]}
    asked = [
        Request(prompt, 14, GREEDY, answer=lambda tokens: put.get(len(tokens), []))
        for prompt in ([1, 2, 3], [4], list(range(30)))
    ]
    for request, found in zip(asked, generate(model, [*asked, *requests(9)], rows=5), strict=False):
        row = list(request.prompt)
        expected: list[int] = []
        while len(expected) < 14:
            expected += naive(model, row + expected, 1)
            expected += put.get(len(expected), [])
        assert found.tokens == expected
        assert [place for place, chosen in enumerate(found.chosen) if not chosen] == [3, 4, 5, 8]
        given = logprobs(model, request.prompt, found.tokens, 1)
        assert found.logprobs == pytest.approx(
            [one if chosen else 0 for one, chosen in zip(given, found.chosen, strict=True)], abs=1e-4
        )


def test_tokens_put_in_count_and_are_cut_at_the_limit() -> None:
    model = small_model()
    [found] = generate(model, [Request([1, 2], 6, GREEDY, answer=lambda tokens: [7] * 10 if len(tokens) == 2 else [])])
    assert found.tokens[2:] == [7] * 4
    assert (found.finish_reason, found.chosen) == ("length", [True] * 2 + [False] * 4)


def test_the_penalty_knows_the_tokens_that_were_put_in() -> None:
    model = small_model()
    harsh = Sampling(temperature=0, repetition_penalty=1e6)
    [found] = generate(model, [Request([1, 2], 30, harsh, answer=lambda tokens: list(range(40, 60)) if len(tokens) == 1 else [])])
    assert len(set(found.tokens)) == len(found.tokens)


def test_a_completion_ends_where_the_context_does() -> None:
    model = small_model()
    [found] = generate(model, [Request([1] * (CONTEXT - 3), 50, GREEDY)])
    assert found.tokens == naive(model, [1] * (CONTEXT - 3), 3)
    assert found.finish_reason == "length"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request([1] * CONTEXT), f"the prompt has {CONTEXT} tokens, the model's context {CONTEXT}: no room"),
        (Request([]), "the prompt is empty"),
        (Request([1, 97]), r"the token 97; the model knows 0 \.\. 96"),
        (Request([1], max_new_tokens=0), "max_new_tokens is 0"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_with_the_reason(request_: Request, message: str) -> None:
    with pytest.raises(Unusable, match=message):
        generate(small_model(), [Request([1, 2]), request_])


def test_a_model_whose_weights_are_not_numbers_is_refused() -> None:
    model = small_model()
    model.norm.weight.data[0] = float("nan")
    with pytest.raises(Unusable, match="not numbers"):
        generate(model, [Request([1, 2], sampling=Sampling(temperature=0.5))])


def test_each_token_is_streamed_once_and_the_last_one_brings_the_completion() -> None:
    model, asked = small_model(), requests(24, sampling=MANY)
    heard: dict[int, list[int]] = {}
    completions: dict[int, Completion] = {}
    for event in stream(model, asked, rows=5):
        assert event.ticket not in completions
        heard.setdefault(event.ticket, []).append(event.token)
        if event.completion:
            completions[event.ticket] = event.completion
    assert [heard[ticket] for ticket in range(24)] == [completions[ticket].tokens for ticket in range(24)]
    assert [completions[ticket] for ticket in range(24)] == generate(model, asked, rows=5)


def test_requests_join_while_others_are_at_work_in_memory_that_stays_the_same() -> None:
    model, asked = small_model(), requests(12)
    engine = Engine(model, rows=3, length=60)
    memory = engine.cache.k_LBKSC.data_ptr()
    done: dict[int, Completion] = {}
    waiting = list(asked)
    while waiting or engine.busy:
        if waiting:
            engine.add(waiting.pop(0))
        done |= {event.ticket: event.completion for event in engine.step() if event.completion}
        assert len(engine.rows) <= 3
    assert engine.cache.k_LBKSC.data_ptr() == memory
    assert [done[ticket].tokens for ticket in range(12)] == [
        naive(model, request.prompt, request.max_new_tokens) for request in asked
    ]


def test_a_cancelled_request_frees_its_place_and_changes_no_other() -> None:
    model, asked = small_model(), requests(9)
    alone = generate(model, asked)
    engine = Engine(model, rows=3)
    tickets = [engine.add(replace(request, max_new_tokens=20)) for request in asked[:2]] + [engine.add(one) for one in asked[2:]]
    engine.step()
    engine.cancel(tickets[0])  # at work
    engine.cancel(tickets[8])  # waiting
    engine.cancel(99)
    assert (len(engine.rows), len(engine.waiting)) == (2, 5)
    done = {}
    while engine.busy:
        done |= {event.ticket: event.completion for event in engine.step() if event.completion is not None}
        engine.cancel(next(iter(done), 99))  # it has ended already
    assert sorted(done) == tickets[1:8]
    assert [done[ticket].tokens[: len(alone[ticket].tokens)] for ticket in tickets[1:8]] == [one.tokens for one in alone[1:8]]


def test_an_engine_refuses_what_is_longer_than_its_cache() -> None:
    engine = Engine(small_model(), rows=2, length=10)
    engine.add(Request([1] * 4, 6))
    with pytest.raises(Unusable, match="need 11 positions, this engine's cache has 10"):
        engine.add(Request([1] * 5, 6))


@pytest.mark.parametrize("kind", SHAPES)
def test_bf16_is_near_the_model_in_bf16(kind: str) -> None:
    model, asked = small_model(kind, torch.bfloat16), requests(12, sampling=MANY)
    exact_model = small_model(kind)
    off: list[float] = []
    usual: list[float] = []
    for request, found in zip(asked, generate(model, asked, rows=4), strict=True):
        temperature = request.sampling.temperature or 1
        exact = logprobs(exact_model, request.prompt, found.tokens, temperature)
        in_bf16 = logprobs(model, request.prompt, found.tokens, temperature)
        off += [abs(one - other) for one, other in zip(found.logprobs, exact, strict=True)]
        usual += [abs(one - other) for one, other in zip(in_bf16, exact, strict=True)]
    assert statistics.median(off) < 1.3 * statistics.median(usual)


def test_a_model_that_learns_on_is_not_changed_by_generation() -> None:
    model = small_model()
    generate(model, requests(6))
    model(torch.tensor([[1, 2, 3]])).sum().backward()
    assert all(weight.grad is not None and not weight.is_inference() for weight in model.parameters())


def test_no_requests_give_no_completions() -> None:
    assert generate(small_model(), []) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", SHAPES)
def test_on_a_gpu_greedy_generation_is_that_of_the_cpu(kind: str) -> None:
    model, asked = small_model(kind), requests(24)
    on_cpu = generate(model, asked, rows=7)
    assert [one.tokens for one in generate(model.to("cuda"), asked, rows=7)] == [one.tokens for one in on_cpu]


@pytest.mark.slow
def test_greedy_generation_is_that_of_hugging_face(tmp_path_factory: pytest.TempPathFactory) -> None:
    transformers = pytest.importorskip("transformers")
    from models.formats.pretrained import save_model

    for kind in SHAPES:
        model, folder = small_model(kind), tmp_path_factory.mktemp("model")
        save_model(model, folder, start=None, stops=(), pad=0)
        peer = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        asked = requests(12, sampling=(GREEDY, Sampling(temperature=0, repetition_penalty=1.2)))
        for request, found in zip(asked, generate(model, asked), strict=True):
            ids = torch.tensor([request.prompt])
            penalty = request.sampling.repetition_penalty
            out = peer.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.max_new_tokens, do_sample=False,
                repetition_penalty=penalty if penalty != 1 else None,
            )  # fmt: skip
            assert found.tokens == out[0, len(request.prompt) :].tolist()
