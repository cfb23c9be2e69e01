"""The SSIM family against closed forms, whole windows, piq, and derivatives."""

from __future__ import annotations

import piq
import pytest
import torch
import torch.nn.functional as F
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.structure import C1, C2, SCALES, SIGMAS, ms_ssim, ms_ssim_l1, ssim


def pictures(*shape, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.rand(*shape, generator=g, dtype=dtype) for _ in range(2)]


def test_flat_pictures_differ_by_luminance_alone():
    x, y = (torch.full((1, 3, 16, 16), level, dtype=torch.float64) for level in (0.2, 0.6))
    luminance = (2 * 0.2 * 0.6 + C1) / (0.2**2 + 0.6**2 + C1)  # Wang 2004, eq. 6
    torch.testing.assert_close(ssim(x, y).item(), 1 - luminance)


def test_inverted_contrast_is_1_without_a_gradient():
    x, _ = pictures(1, 3, 24, 24, dtype=torch.float32)
    fake = (1 - x).requires_grad_()
    value = ms_ssim(fake, x, scales=2)
    (gradient,) = torch.autograd.grad(value, fake)
    assert value == 1
    assert torch.equal(gradient, torch.zeros_like(fake))


def test_as_many_scales_as_fit():
    x, y = pictures(1, 3, 48, 64)
    torch.testing.assert_close(ms_ssim(x, y), ms_ssim(x, y, scales=3))  # 40 < 48 <= 80
    torch.testing.assert_close(ms_ssim(x, y, window=3), ms_ssim(x, y, window=3, scales=5))  # 32 < 48
    near = (x + 3 * y) / 4
    assert 0 < ms_ssim(near, y, scales=1) < 1
    torch.testing.assert_close(ms_ssim(near, y, scales=1), per_channel(near, y), rtol=1e-3, atol=0)


def per_channel(x, y):
    # one scale is SSIM itself, but for the weights' sum of 1.0001
    return torch.stack([1 - (1 - ssim(x[:, [c]], y[:, [c]])) ** sum(SCALES) for c in range(3)]).mean()


@pytest.mark.parametrize("size", [(49, 63), (50, 64), (51, 64)])
def test_odd_sides_as_piq_halves_them(size):
    x, y = pictures(2, 3, *size, dtype=torch.float32)
    x = (x + 3 * y) / 4
    want = piq.multi_scale_ssim(x, y, kernel_size=3)
    torch.testing.assert_close(1 - ms_ssim(x, y, window=3, padding="replicate"), want)
    assert not torch.allclose(1 - ms_ssim(x, y, window=3), want, rtol=1e-3)


def test_zhao_mix_equals_whole_windows_of_33_taps():
    x, y = pictures(1, 2, 20, 24)
    blurred = lambda picture, sigma: F.conv2d(picture, window(sigma).expand(2, 1, 33, 33), padding=16, groups=2)  # noqa: E731
    contrasts = []
    for sigma in SIGMAS:
        mx, my = blurred(x, sigma), blurred(y, sigma)
        vx, vy, cov = blurred(x * x, sigma) - mx**2, blurred(y * y, sigma) - my**2, blurred(x * y, sigma) - mx * my
        contrasts.append((2 * cov + C2) / (vx + vy + C2))
    similarity = (2 * mx * my + C1) / (mx**2 + my**2 + C1) * torch.stack(contrasts).prod(0)
    want = 0.84 * (1 - similarity) + 0.16 * blurred((x - y).abs(), 8.0)
    torch.testing.assert_close(ms_ssim_l1(x, y), want.mean())


def window(sigma):
    taps = torch.exp(-torch.arange(-16.0, 17, dtype=torch.float64).square() / (2 * sigma**2))
    return torch.outer(taps, taps) / taps.sum() ** 2


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y: ssim(x, y, window=5),
        lambda x, y: ms_ssim(x, y, window=3, scales=2),
        lambda x, y: ms_ssim(x, y, window=3, scales=2, padding="replicate"),
        lambda x, y: ms_ssim_l1(x, y),
    ],
)
def test_gradcheck(loss):
    x, y = pictures(1, 2, 7, 6)
    x = (x + 3 * y) / 4
    assert torch.autograd.gradcheck(lambda a: loss(a, y), x.requires_grad_())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_term("ssim", window=4), "needs an odd window >= 3 and sigma > 0, but has window=4, sigma=1.5"),
        (lambda: loss_term("ssim", sigma=0.0), "sigma > 0, but has window=11, sigma=0.0"),
        (lambda: loss_term("ms_ssim", scales=6), "loss.ms_ssim.scales=6 is not one of 1 to 5"),
        (lambda: loss_term("ms_ssim", scales=0), "loss.ms_ssim.scales=0 is not one of 1 to 5"),
        (lambda: loss_term("ms_ssim", padding="same"), "padding=same of loss.ms_ssim is not one of zeros, replicate"),
        (lambda: loss_term("ms_ssim_l1", mix="half"), "mix=half of loss.ms_ssim_l1 is not one of zhao, dyadic"),
        (lambda: loss_term("ms_ssim_l1", alpha=1.5), r"alpha in \[0, 1\].*alpha=1.5"),
        (lambda: ssim(*pictures(1, 3, 10, 32)), "loss.ssim.window=11 does not fit into 10x32 pictures"),
        (lambda: ms_ssim(*pictures(1, 3, 160, 200), scales=5),
         "loss.ms_ssim with 5 scales and window=11 needs more than 160 pixels a side, but has 160x200 .* use 4 scales"),
        (lambda: ms_ssim(*pictures(1, 3, 8, 32)), "needs more than 10 pixels a side, but has 8x32 .*smaller window"),
        (lambda: ms_ssim_l1(*pictures(1, 3, 8, 32), mix="dyadic"), "loss.ms_ssim_l1 with 1 scales"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(Refusal, match=message):
        call()
