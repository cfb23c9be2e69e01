"""Non-local attention: the published formula, no matrix held, twice differentiable on request, refusals."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scenegen.base.records import Refusal
from scenegen.networks.layers.attention import NonLocal


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("spectral", [True, False])
def test_it_is_the_published_formula(spectral: bool, fused: bool) -> None:
    torch.manual_seed(0)
    net = NonLocal(16, spectral=spectral, fused=fused).double().eval()
    torch.nn.init.constant_(net.gamma, 0.7)
    x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
    theta, phi, g = (part.flatten(2) for part in (net.theta(x), F.max_pool2d(net.phi(x), 2), F.max_pool2d(net.g(x), 2)))
    weights = (theta.mT @ phi).softmax(-1)  # no 1 / sqrt(d)
    expected = 0.7 * net.o((g @ weights.mT).unflatten(2, (6, 8))) + x
    torch.testing.assert_close(net(x), expected)


def test_it_starts_as_the_identity() -> None:
    x = torch.randn(1, 8, 4, 4)
    torch.testing.assert_close(NonLocal(8)(x), x, rtol=0, atol=0)


def test_penalties_can_differentiate_the_plain_form_twice() -> None:
    net = NonLocal(8, fused=False)
    net.gamma.data.fill_(1.0)
    x = torch.randn(1, 8, 4, 4, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    grad = next(net.theta.parameters()).grad
    assert grad is not None
    assert grad.abs().max() > 0


def test_no_matrix_of_weights_is_held() -> None:
    net = NonLocal(8, spectral=False).requires_grad_(False)
    largest = 0

    def note(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    x = torch.randn(1, 8, 64, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        net(x).sum().backward()
    assert largest < 64 * 64 * 32 * 32 / 64


def test_refusals() -> None:
    with pytest.raises(Refusal, match=r"divides its channels by 8, got 4; choose a base width"):
        NonLocal(4)
    with pytest.raises(Refusal, match=r"the map is 5x8; choose a picture size that keeps both sides even"):
        NonLocal(8)(torch.zeros(1, 8, 5, 8))
