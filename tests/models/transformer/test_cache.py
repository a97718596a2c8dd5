import pytest
import torch

from models.transformer.cache import Cache
from tests.models.transformer.small_models import QWEN, SHAPES, small_model

CPU = torch.device("cpu")
TOKENS = torch.randint(0, 97, (3, 20), generator=torch.Generator().manual_seed(0))


def test_a_cache_takes_the_memory_of_its_rows_and_columns_and_no_more() -> None:
    cache = Cache(QWEN, 3, 11, torch.bfloat16, CPU)
    memory = cache.k_LBKSC.untyped_storage().nbytes() + cache.v_LBKSC.untyped_storage().nbytes()
    assert memory == 2 * QWEN.layers * 3 * QWEN.kv_heads * 11 * QWEN.head_width * 2
    assert cache.length == 11


@pytest.mark.parametrize("kind", SHAPES)
@torch.inference_mode()
def test_rows_of_unequal_length_go_on_as_if_each_were_alone(kind: str) -> None:
    model = small_model(kind)
    cache = Cache(model.shape, 3, 20, torch.float32, CPU)
    lengths = [12, 3, 7]
    model.hidden(TOKENS[:, :12], cache=cache.fresh(0, 3))
    cache.lengths[:3] = lengths
    step = cache.next(3)
    for turn in range(4):
        fed = torch.stack([TOKENS[row, length + turn] for row, length in enumerate(lengths)])[:, None]
        hidden = model.hidden(fed, positions=step.position, mask=step.mask, cache=step.layers)
        step.advance()
        for row, length in enumerate(lengths):
            alone = model.hidden(TOKENS[row : row + 1, : length + turn + 1])
            assert hidden[row, 0] == pytest.approx(alone[0, -1], abs=1e-4)
    assert cache.lengths == [16, 7, 11]


@torch.inference_mode()
def test_rows_of_equal_length_need_no_mask() -> None:
    model = small_model()
    cache = Cache(model.shape, 2, 20, torch.float32, CPU)
    model.hidden(TOKENS[:2, :5], cache=cache.fresh(0, 2))
    cache.lengths[:2] = [5, 5]
    assert cache.next(2).mask is None
    cache.lengths[:2] = [5, 4]
    assert cache.next(2).mask is not None


@torch.inference_mode()
def test_a_row_goes_on_with_several_tokens_at_once() -> None:
    model = small_model()
    cache = Cache(model.shape, 2, 20, torch.float32, CPU)
    model.hidden(TOKENS[1:2, :6], cache=cache.fresh(1, 1))
    cache.lengths[1] = 6
    layers, positions, mask = cache.later(1, 9)
    hidden = model.hidden(TOKENS[1:2, 6:15], positions=positions, mask=mask, cache=layers)
    assert hidden == pytest.approx(model.hidden(TOKENS[1:2, :15])[:, 6:], abs=1e-4)


@torch.inference_mode()
def test_a_copied_row_goes_on_like_its_source() -> None:
    model = small_model()
    cache = Cache(model.shape, 3, 20, torch.float32, CPU)
    model.hidden(TOKENS[2:3, :9], cache=cache.fresh(2, 1))
    cache.lengths[2] = 9
    cache.copy(2, 0)
    step = cache.next(1)
    hidden = model.hidden(TOKENS[2:3, 9:10], positions=step.position, mask=step.mask, cache=step.layers)
    assert hidden[0, 0] == pytest.approx(model.hidden(TOKENS[2:3, :10])[0, -1], abs=1e-4)
