"""Statistics of a batch in the patch discriminator: what they tell, and that generated and real are told apart."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Refusal, Shown
from scenegen.networks.layers.minibatch import minibatch_deviation, minibatch_likeness
from scenegen.training.rounds import judgements
from tests.options import built

JUDGES = ("patch_minibatch", "patch_likeness")


def test_equal_samples_do_not_deviate() -> None:
    x = torch.rand(1, 4, 3, 5).repeat(4, 1, 1, 1)
    told = minibatch_deviation(x, group=4, channels=2)[:, 4:]
    assert told.shape == (4, 2, 3, 5)
    torch.testing.assert_close(told, torch.full_like(told, 1e-4))
    two = torch.stack([torch.zeros(2, 3, 3), torch.ones(2, 3, 3)])
    torch.testing.assert_close(minibatch_deviation(two, group=4, channels=1)[0, 2, 0, 0], torch.tensor(0.5))


def test_a_sample_is_as_like_itself_as_can_be() -> None:
    x, projection = torch.rand(3, 6), torch.rand(6, 4, 2)
    others = minibatch_likeness(x, projection, include_self=False)
    torch.testing.assert_close(minibatch_likeness(x, projection, include_self=True), others + 1)
    same = minibatch_likeness(x[:1].repeat(3, 1), projection, include_self=False)
    torch.testing.assert_close(same, torch.full((3, 4), 2.0))


def test_gradients_are_difference_quotients() -> None:
    x = torch.rand(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: minibatch_deviation(x, group=2, channels=1), x)
    projection = torch.rand(8, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: minibatch_likeness(x.flatten(1), projection, include_self=True), x)


@pytest.mark.parametrize("option", JUDGES)
def test_a_batch_of_copies_is_judged_otherwise_than_its_samples_alone(option: str) -> None:
    torch.manual_seed(0)
    judge = built(f"discriminator/{option}", semantic_channels=2, ndf=4, layers=2).eval()
    planes, picture, other = torch.rand(4, 2, 32, 32), torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32)
    copies = picture[:1].repeat(4, 1, 1, 1)
    first = judge(planes[:1].repeat(4, 1, 1, 1), copies).logits[0][0]
    among = judge(planes, picture).logits[0][0]
    assert not torch.allclose(first, among)
    fake, real = judgements(judge, Shown(planes, picture, other))
    assert torch.equal(fake.logits[0], judge(planes, picture).logits[0]), "real pictures are in no group of theirs"
    assert torch.equal(real.logits[0], judge(planes, other).logits[0])
    assert not judge.per_sample


def test_a_batch_that_does_not_divide() -> None:
    with pytest.raises(Refusal, match=r"a batch of 6 samples has no groups of 4 .* a divisor of them"):
        minibatch_deviation(torch.rand(6, 2, 2, 2), group=4, channels=1)
    with pytest.raises(Refusal, match="must be at least 2 samples and 1 plane"):
        built("discriminator/patch_minibatch", semantic_channels=2, statistics={"group": 1})
