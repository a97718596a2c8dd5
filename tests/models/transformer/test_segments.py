"""A packed row computes what its pieces compute alone."""

import pytest
import torch

from models.transformer.segments import segment_mask
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer

LLAMA = Shape(vocab=50, width=16, layers=2, heads=4, kv_heads=2, head_width=4, hidden=24, context=24)
GPT2 = Shape(**{**vars(LLAMA), "family": "gpt2", "qk_norm": False, "kv_heads": 4})


def test_a_position_looks_back_as_far_as_its_piece_goes() -> None:
    mask = segment_mask(torch.tensor([[0, 0, 1, 1, -1]]))
    assert mask.shape == (1, 1, 5, 5)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]


@pytest.mark.parametrize("shape", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_logits_of_packed_pieces_are_those_of_the_pieces_alone(shape: Shape) -> None:
    torch.manual_seed(1)
    model = Transformer(shape)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    pieces = [torch.randint(1, 50, (length,)) for length in (7, 1, 11, 4)]
    tokens = torch.cat([*pieces, torch.zeros(1, dtype=torch.long)])[None]
    segments = torch.cat([torch.full_like(piece, index) for index, piece in enumerate(pieces)] + [torch.tensor([-1])])[None]
    positions = torch.cat([torch.arange(len(piece)) for piece in pieces] + [torch.tensor([0])])[None]
    with torch.no_grad():
        packed = model(tokens, positions, segment_mask(segments))[0]
        plain = model(tokens)[0]
        at = 0
        for piece in pieces:
            here = slice(at, at + len(piece))
            torch.testing.assert_close(packed[here], model(piece[None])[0], atol=1e-5, rtol=0)
            assert at == 0 or (plain[here] - packed[here]).abs().max() > 0.1
            at += len(piece)
    assert packed.isfinite().all()
