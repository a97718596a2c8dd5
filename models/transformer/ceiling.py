"""What the device reaches at best: floating-point operations per second of large matrix products, all threads, in the type of training.

Model FLOPs utilisation is measured against this, not against a data sheet: so it says what is lost between the products.
"""

import time

import torch

SECONDS = 0.2
SIDE, SIDE_CUDA = 1024, 8192


def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of many products of square matrices. The global random generators stay as they are."""
    side = SIDE_CUDA if device.type == "cuda" else SIDE
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, device=device, generator=generator).to(dtype) for _ in range(2))
    torch.mm(a, b)
    best = 0.0
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        _wait(device)
        began = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
