"""Distances to the photograph, against torchmetrics, piq, the package lpips, and closed forms."""

from __future__ import annotations

import math

import piq
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from scenegen.base.refusal import Refusal
from scenegen.losses.lpips import lpips as loss_lpips
from scenegen.metrics import fidelity
from scenegen.networks.frozen.lpips_trunks import NETS, LpipsTrunk, lpips_heads


def pair(seed: int = 0, h: int = 41, w: int = 56, b: int = 3) -> tuple[Tensor, Tensor]:
    """Smooth pictures and noisy copies, uint8; the noise of each is stronger than that of the one before."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.rand(b, 3, 6, 8, generator=stream) * 255
    x = torch.nn.functional.interpolate(coarse, size=(h, w), mode="bilinear")
    noise = torch.randn(x.shape, generator=stream) * torch.arange(1, b + 1).view(-1, 1, 1, 1) * 8
    return (x + noise).clamp(0, 255).to(torch.uint8), x.to(torch.uint8)


def test_l1_and_rmse_of_a_known_difference():
    """Half of the values differ by 51 = 255 / 5: L1 0.1, RMSE sqrt(0.02)."""
    x = torch.zeros(2, 3, 4, 6, dtype=torch.uint8)
    y = x.clone()
    y[..., :3] = 51
    assert fidelity.l1(x, y).tolist() == pytest.approx([0.1, 0.1])
    assert fidelity.rmse(x, y).tolist() == pytest.approx([math.sqrt(0.02)] * 2)
    assert fidelity.l1(y, x).tolist() == fidelity.l1(x, y).tolist()


def test_psnr_equals_torchmetrics_and_piq():
    x, y = pair()
    theirs = [
        peak_signal_noise_ratio(*one, data_range=255.0).item() for one in zip(x.double(), y.double(), strict=True)
    ]
    assert fidelity.psnr(x, y).tolist() == pytest.approx(theirs, rel=1e-6)
    assert fidelity.psnr(x, y).numpy() == pytest.approx(
        piq.psnr(x.double(), y.double(), data_range=255, reduction="none").numpy(), rel=1e-5
    )


def test_psnr_of_equal_pictures_is_infinite_and_its_ceiling_is_one_grey_level():
    x, _ = pair(b=1)
    assert fidelity.psnr(x, x).item() == math.inf
    off = x.clone()
    off[0, 1, 2, 3] += 1 if int(off[0, 1, 2, 3]) < 255 else -1
    assert fidelity.psnr(off, x).item() == pytest.approx(fidelity.psnr_ceiling(x.shape[1:]))


@pytest.mark.parametrize("size", [(41, 56), (11, 11), (64, 33)])
def test_ssim_equals_torchmetrics_and_piq(size):
    """Both on [0, 1] in float64; torchmetrics' mean has a padded border too, piq must not shrink the picture first."""
    x, y = pair(1, *size)
    found = fidelity.ssim(x, y)
    a, b = x.double() / 255, y.double() / 255
    theirs = piq.ssim(a, b, kernel_size=11, kernel_sigma=1.5, data_range=1.0, reduction="none", downsample=False)
    assert isinstance(theirs, Tensor)
    assert found.numpy() == pytest.approx(theirs.numpy(), abs=1e-6)
    if min(size) > 11:
        _, maps = structural_similarity_index_measure(a, b, sigma=1.5, data_range=1.0, return_full_image=True)
        assert found.numpy() == pytest.approx(maps[..., 5:-5, 5:-5].mean((1, 2, 3)).numpy(), abs=1e-6)


def test_more_noise_is_worse_by_every_measure_and_equal_pictures_are_best():
    x, y = pair(2)
    for distance in (fidelity.l1, fidelity.rmse):
        assert distance(x, y).diff().min() > 0
        assert distance(y, y).tolist() == [0, 0, 0]
    for likeness in (fidelity.psnr, fidelity.ssim):
        assert likeness(x, y).diff().max() < 0
    assert fidelity.ssim(y, y).numpy() == pytest.approx([1, 1, 1])


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("net", NETS)
def test_lpips_equals_the_package_and_the_loss(net):
    """The package's own formula on the same features: unit vectors, learned heads, mean over positions."""
    import lpips as package

    x, y = (picture.float() / 127.5 - 1 for picture in pair(3, 64, 80, 2))
    theirs = package.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False, eval_mode=True)
    trunk = LpipsTrunk(net=net, weights="random", folder=None, resize_to=None)
    of_x, of_y = [[trunk(picture, NETS[net].layers)[layer] for layer in NETS[net].layers] for picture in (x, y)]
    heads = lpips_heads(net)
    found = fidelity.lpips(of_x, of_y, heads)
    expected = torch.zeros(2)
    for k, (a, b) in enumerate(zip(of_x, of_y, strict=True)):
        difference = (package.normalize_tensor(a) - package.normalize_tensor(b)).square()
        expected += getattr(theirs, f"lin{k}").model[-1](difference).mean((2, 3)).flatten().detach()
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-4)
    assert found.numpy() == pytest.approx(loss_lpips(of_x, of_y, heads).numpy(), rel=1e-4)
    assert fidelity.lpips(of_y, of_y, heads).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: fidelity.l1(x, x[..., :4]), "of one shape"),
        (lambda x: fidelity.psnr(x.float(), x.float()), "uint8"),
        (lambda x: fidelity.rmse(x[0], x[0]), "(b, c, h, w)"),
        (lambda x: fidelity.ssim(x[..., :9], x[..., :9]), "at least 11 pixels a side, got 9x"),
        (lambda x: fidelity.lpips([x.float()], [x.float()], [torch.ones(4)]), "heads=uniform"),
    ],
)
def test_refused(call, says):
    with pytest.raises(Refusal) as error:
        call(pair()[0])
    assert says in str(error.value)
