"""What is read, what is to be predicted, where a position may look."""

import numpy as np
import pytest
import torch

from models.transformer.loss import token_losses
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.transformer.world import World
from stages.pretraining.batches import batches, document_mask, share

START, END, PAD = 1, 2, 0
ROWS = np.array([[START, 5, 6, END, START, 7, END, PAD], [START, 8, 9, 5, 6, 7, 8, END]], np.int32)
USED = np.array([7, 8], np.int32)
CPU = torch.device("cpu")


def test_each_position_predicts_the_next_and_padding_is_predicted_by_none() -> None:
    [batch] = batches(ROWS, USED, 2, None, CPU)
    assert batch.tokens.tolist() == ROWS[:, :-1].tolist()
    assert batch.targets.tolist() == [[5, 6, END, START, 7, END, -1], ROWS[1, 1:].tolist()]
    assert batch.mask is None


def test_what_is_padding_is_told_by_the_row_not_by_the_token() -> None:
    [batch] = batches(
        ROWS, np.array([8, 8], np.int32), 2, None, CPU
    )  # a foreign tokenizer may pad with a token that means something
    assert batch.targets[0, -1] == PAD


def test_micro_batches_are_the_rows_in_order() -> None:
    rows = np.arange(5 * 4, dtype=np.int32).reshape(5, 4)
    found = list(batches(rows, np.full(5, 4, np.int32), 2, None, CPU))
    assert [len(batch.tokens) for batch in found] == [2, 2, 1]
    assert torch.cat([batch.tokens for batch in found]).tolist() == rows[:, :-1].tolist()


def test_a_mask_ends_at_the_borders_of_documents() -> None:
    mask = document_mask(torch.tensor([[START, 5, START, 7, END]]), START)
    assert mask.shape == (1, 1, 5, 5)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


def test_behind_a_mask_a_document_is_read_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    model = Transformer(Shape(vocab=10, width=16, layers=2, heads=2, kv_heads=1, head_width=8, hidden=24, context=16))
    for block in model.blocks:  # projections that begin at zero would hide what is attended to
        torch.nn.init.normal_(block.attention.o.weight)
        torch.nn.init.normal_(block.feed_forward.down.weight)

    def losses(row: list[int], start: int | None) -> torch.Tensor:
        [batch] = batches(np.array([row], np.int32), np.array([len(row)], np.int32), 1, start, CPU)
        return token_losses(model.hidden(batch.tokens, mask=batch.mask), model.output_weight, batch.targets)[0]

    first, second = [START, 5, 6, END], [START, 7, 8, 9, END]
    together, alone = losses(first + second, START), losses(second, None)
    torch.testing.assert_close(together[4:], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(losses(first + second, None)[4:], alone, rtol=1e-2)


@pytest.mark.parametrize("count", [3, 7, 8])
def test_every_row_belongs_to_one_process(count: int) -> None:
    shares = [share(count, World(rank, 3, CPU)) for rank in range(3)]
    rows = list(range(count))
    assert [row for one in shares for row in rows[one]] == rows
    assert {len(rows[one]) for one in shares} <= {count // 3, count // 3 + 1}
