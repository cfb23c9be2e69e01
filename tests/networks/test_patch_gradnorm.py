"""The gradient-normalised discriminator: its scores' bound, its slope, and the weights that it shares."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Judgement
from scenegen.networks.discriminators.patch_gradnorm import normalised
from tests.options import built


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_closed_form_of_a_linear_critic():
    w, x = noise(3, 4, 4), noise(2, 3, 4, 4, seed=1)
    f = (w * x).sum((1, 2, 3))
    found = normalised(lambda image: Judgement(logits=((w * image).sum((1, 2, 3)).view(-1, 1, 1, 1),)), x).logits[0]
    torch.testing.assert_close(found.flatten(), f / (w.norm() + f.abs()))


def test_scores_do_not_depend_on_the_critics_scale():
    x = noise(2, 3, 4, 4)
    small, large = (normalised(lambda i, s=s: Judgement(logits=(s * i.square(),)), x).logits[0] for s in (1.0, 100.0))
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("autocast", [False, True])
def test_a_generators_and_a_discriminators_step(autocast):
    semantics, real = noise(2, 5, 32, 32), noise(2, 3, 32, 32, seed=1)
    weights = torch.ones(1, requires_grad=True)
    net = built("discriminator/patch_gradnorm", semantic_channels=5, ndf=4, layers=3)
    net.load_state_dict(built("discriminator/patch", semantic_channels=5, ndf=4, layers=3).state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        judged = net(semantics, weights * real)
    assert all(score.dtype == torch.float32 and score.abs().max() < 1 for score in judged.logits)
    assert [len(maps) for maps in judged.features] == [3, 3]
    torch.stack([score.mean() for score in judged.logits]).sum().backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()
    assert weights.grad.abs() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_without_gradients_nothing_is_kept():
    net = built("discriminator/patch_gradnorm", semantic_channels=5, ndf=4, layers=3)
    with torch.no_grad():
        judged = net(noise(1, 5, 32, 32), noise(1, 3, 32, 32))
    assert not any(t.requires_grad for t in (*judged.logits, *judged.features[0]))
