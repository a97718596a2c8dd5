"""The divergence from a teacher is the textbook's, value and gradients, whatever the chunks, the temperature and the widths."""

import pytest
import torch

from models.transformer.distillation import divergence


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_value_and_gradients_are_those_of_the_definition(temperature: float) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(2, 300, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(50, 8, dtype=torch.float64, requires_grad=True)
    teacher, teacher_weight = torch.randn(2, 300, 12, dtype=torch.float64), torch.randn(50, 12, dtype=torch.float64)
    targets = torch.where(torch.rand(2, 300) < 0.3, -1, 7)
    total, count = divergence(hidden, weight, teacher, teacher_weight, targets, temperature)
    (3 * total).backward()
    found = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    student_log = torch.log_softmax(hidden @ weight.T / temperature, -1)
    teacher_log = torch.log_softmax(teacher @ teacher_weight.T / temperature, -1)
    each = torch.nn.functional.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(-1)
    expected = temperature**2 * each[targets != -1].sum()
    (3 * expected).backward()
    torch.testing.assert_close(total, expected)
    assert int(count) == int((targets != -1).sum())
    torch.testing.assert_close(found[0], hidden.grad)
    torch.testing.assert_close(found[1], weight.grad)


def test_there_is_none_between_a_model_and_itself_nor_where_nothing_is_compared() -> None:
    hidden, weight = torch.randn(1, 5, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    total, count = divergence(hidden, weight, hidden, weight, torch.zeros(1, 5, dtype=torch.int64), 2.0)
    total.backward()
    assert float(total.detach()) == pytest.approx(0, abs=1e-5)
    assert int(count) == 5
    torch.testing.assert_close(hidden.grad, torch.zeros_like(hidden), atol=1e-5, rtol=0)
    total, count = divergence(hidden, weight, hidden, weight, torch.full((1, 5), -1))
    total.backward()
    assert (float(total.detach()), int(count)) == (0, 0)
