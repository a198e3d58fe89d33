"""Adam's diagonal, and when an optimizer has none."""

from __future__ import annotations

import torch

from interlace.policies import Policy
from interlace.policies.parameters import ParameterSpace
from interlace.probes.moment import preconditioner


def test_an_optimizer_that_has_seen_no_gradient_has_no_metric(little: Policy) -> None:
    """All rewards were equal so far: 1 / eps is no metric."""
    model, space = little.model, ParameterSpace.of(little.model)
    optimizer = torch.optim.Adam(model.parameters())
    assert preconditioner(model, space, optimizer) is None
    for size in (0.0, 0.5):
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, size)
        optimizer.step()
        assert (preconditioner(model, space, optimizer) is None) == (size == 0.0)
    found = preconditioner(model, space, optimizer)
    assert found is not None
    second = (1.0 - 0.999) * 0.5**2 / (1.0 - 0.999**2)
    torch.testing.assert_close(found, torch.full_like(found, 1.0 / (second**0.5 + 1e-8)))


def test_with_amsgrad_the_diagonal_is_of_the_largest_second_moment(little: Policy) -> None:
    """Large gradients, then none: the update still divides by the root of the large ones."""
    model, space = little.model, ParameterSpace.of(little.model)
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    for size in (2.0, 0.0):
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, size)
        optimizer.step()
    found = preconditioner(model, space, optimizer)
    assert found is not None
    largest = (1.0 - 0.999) * 2.0**2
    truth = 1.0 / ((largest / (1.0 - 0.999**2)) ** 0.5 + 1e-8)
    torch.testing.assert_close(found, torch.full_like(found, truth))
