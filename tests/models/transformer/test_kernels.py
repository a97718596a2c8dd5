import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.transformer import kernels
from models.transformer.rotary import rotate

B, H, K, C, S = 5, 6, 2, 16, 40
FILLED = np.array([1, 7, 33, 40, 12])
EPS = np.float32(1e-6)


def random(*sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(sizes, dtype=np.float32)


@pytest.mark.parametrize("added", [False, True])
def test_norm_adds_to_the_stream_and_norms_it(added: bool) -> None:
    x, more, weight, out = random(B, 48), random(B, 48, seed=1), random(48, seed=2), np.empty((B, 48), np.float32)
    expected = torch.from_numpy(x + more if added else x.copy())
    kernels.norm(x, more if added else None, weight, EPS, out)
    assert x == pytest.approx(expected.numpy())
    assert out == pytest.approx(F.rms_norm(expected, (48,), torch.from_numpy(weight), 1e-6).numpy(), abs=1e-5)


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_place_norms_turns_and_writes_the_last_column(normed: bool, turned: bool) -> None:
    qkv, weight = random(B, (H + 2 * K) * C), random(H + K, C, seed=1)
    angles = random(64, C // 2, seed=2)
    cos, sin = (np.concatenate((f(angles), f(angles)), 1) for f in (np.cos, np.sin))
    k, v = random(B, K, S, C, seed=3), random(B, K, S, C, seed=4)
    k_before, v_before = k.copy(), v.copy()
    heads = torch.from_numpy(qkv.copy()).view(B, H + 2 * K, C)
    expected = heads[:, : H + K]
    if normed:
        expected = F.rms_norm(expected, (C,), None, 1e-6) * torch.from_numpy(weight)
    if turned:
        at = torch.from_numpy(FILLED - 1)
        expected = rotate(expected, torch.from_numpy(cos)[at][:, None], torch.from_numpy(sin)[at][:, None])
    tables = (cos, sin) if turned else (None, None)
    kernels.place(qkv, weight if normed else None, EPS, *tables, k, v, FILLED)
    assert qkv[:, : H * C].reshape(B, H, C) == pytest.approx(expected[:, :H].numpy(), abs=1e-5)
    for row, filled in enumerate(FILLED):
        k_before[row, :, filled - 1], v_before[row, :, filled - 1] = expected[row, H:].numpy(), heads[row, H + K :].numpy()
    assert k == pytest.approx(k_before, abs=1e-5)
    assert np.array_equal(v, v_before)


def attended(qkv: np.ndarray, k: np.ndarray, v: np.ndarray, filled: np.ndarray) -> np.ndarray:
    out = np.empty((len(qkv), H * C), np.float32)
    kernels.attend(qkv, k, v, filled, np.float32(C**-0.5), np.empty(S, np.float32), out)
    return out


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_attend_is_attention_over_each_rows_own_columns(scale: float) -> None:
    qkv, k, v = random(B, (H + 2 * K) * C) * np.float32(scale), random(B, K, S, C, seed=1), random(B, K, S, C, seed=2)
    hidden = torch.arange(S) >= torch.from_numpy(FILLED)[:, None]
    mask = torch.zeros(B, S).masked_fill_(hidden, -torch.inf)[:, None, None]
    queries = torch.from_numpy(qkv[:, : H * C]).view(B, H, 1, C)
    expected = F.scaled_dot_product_attention(queries, torch.from_numpy(k), torch.from_numpy(v), attn_mask=mask, enable_gqa=True)
    assert attended(qkv, k, v, FILLED) == pytest.approx(expected.reshape(B, -1).numpy(), abs=2e-5)


def test_a_row_is_the_same_bit_for_bit_in_any_company() -> None:
    qkv, k, v = random(B, (H + 2 * K) * C), random(B, K, S, C, seed=1), random(B, K, S, C, seed=2)
    together = attended(qkv, k, v, FILLED)
    for row in range(B):
        one = slice(row, row + 1)
        assert np.array_equal(attended(qkv[one], k[one], v[one], FILLED[one]), together[one])


def test_what_is_not_a_number_stays_none() -> None:
    qkv, k, v = random(B, (H + 2 * K) * C), random(B, K, S, C, seed=1), random(B, K, S, C, seed=2)
    v[1, 0, 3] = np.nan
    assert np.isnan(attended(qkv, k, v, FILLED)[1]).any()
    assert not np.isnan(attended(qkv, k, v, FILLED)[2:]).any()
    out = np.empty((1, 8), np.float32)
    kernels.norm(np.full((1, 8), np.nan, np.float32), None, np.ones(8, np.float32), EPS, out)
    assert np.isnan(out).all()


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (7, 5), (33, 100), (64, 256)])
def test_product_is_a_matrix_times_a_row(outputs: int, inputs: int) -> None:
    weight, x, out = random(outputs, inputs), random(inputs, seed=1), np.empty(outputs, np.float32)
    kernels.product(weight, x, out)
    assert out == pytest.approx(weight @ x, abs=1e-4)
