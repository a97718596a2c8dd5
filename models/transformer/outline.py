"""A model without weights: its modules on the device `meta`, for whoever brings or only counts them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from models.transformer.shape import Shape
from models.transformer.transformer import Transformer


def outline(shape: Shape, compute: torch.dtype = torch.float32) -> Transformer:
    with torch.device("meta"), _Unfilled():
        return Transformer(shape, compute)


class _Unfilled(TorchFunctionMode):
    """Nothing is initialised: on `meta` PyTorch would import its compiler for it, which takes a second."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return function(*args, **given)
