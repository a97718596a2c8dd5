from typing import Any

import pytest

from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.unusable import Unusable

FIELDS: dict[str, Any] = {
    "vocab": 31, "width": 16, "layers": 2, "heads": 4, "kv_heads": 2, "head_width": 4, "hidden": 24, "context": 20,
}  # fmt: skip
GPT2 = FIELDS | {"family": "gpt2", "qk_norm": False, "kv_heads": 4}


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (FIELDS | {"vocab": 0}, "a model's vocab is 0; expected at least 1"),
        (FIELDS | {"context": -1}, "a model's context is -1"),
        (FIELDS | {"kv_heads": 3}, "4 query heads over 3 key-value heads; expected a multiple"),
        (FIELDS | {"head_width": 5}, "a head width of 5 cannot be rotated in pairs"),
        (FIELDS | {"experts": Experts(count=2, active=3, hidden=8)}, "3 active of 2 experts"),
        (FIELDS | {"experts": Experts(count=2, active=0, hidden=8)}, "0 active of 2 experts"),
        (FIELDS | {"family": "gpt2"}, "GPT-2 has no qk_norm"),
        (GPT2 | {"kv_heads": 2}, "GPT-2 has no qk_norm"),
        (GPT2 | {"scaling": Llama3Scaling(8, 1, 4, 8)}, "GPT-2 has no qk_norm"),
        (GPT2 | {"experts": Experts(2, 1, 8)}, "GPT-2 has no qk_norm"),
        (GPT2 | {"head_width": 8}, "GPT-2's 4 heads of 8 share its width of 16"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(fields: dict[str, Any], refused: str) -> None:
    with pytest.raises(Unusable, match=refused):
        Shape(**fields)


def test_shapes_that_can_be_are_taken() -> None:
    assert Shape(**FIELDS).heads == 4
    assert Shape(**GPT2, tied=False).family == "gpt2"
    assert Shape(**FIELDS | {"head_width": 6}).head_width == 6  # heads need not share the width
