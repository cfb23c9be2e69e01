"""Pinned weight files: found, verified, refused with a cure, never silently random."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.weights import RANDOM_STAMP, WeightsFile, dists_coefficients, fill, locate, randomise


@pytest.fixture
def published(tmp_path):
    """A small trunk's file as a publisher would keep it, and the trunk."""
    trunk = nn.Sequential(nn.Conv2d(3, 2, 3))
    state = {f"features.{k}": v for k, v in trunk.state_dict().items()} | {"classifier.0.weight": torch.ones(1)}
    torch.save(state, tmp_path / "plain.pth")
    digest = hashlib.sha256((tmp_path / "plain.pth").read_bytes()).hexdigest()[:8]
    path = tmp_path / f"net-{digest}.pth"
    (tmp_path / "plain.pth").rename(path)
    return WeightsFile("net", path.name, path.as_uri()), trunk


def test_fetched_once_then_read_from_the_folder(published, tmp_path):
    source, trunk = published
    cache = tmp_path / "cache"
    other = nn.Sequential(nn.Conv2d(3, 2, 3))
    assert fill(other, source, policy="published", folder=cache) == f"net-{source.sha256_prefix}"
    assert torch.equal(other.get_parameter("0.weight"), trunk.get_parameter("0.weight"))
    (tmp_path / source.file).unlink()  # the publisher is gone: the cache answers
    assert locate(source, cache) == cache / source.file


def test_absent_file_names_the_cures(tmp_path):
    source = WeightsFile("vgg19", "vgg19-dcbb9e9d.pth", (tmp_path / "gone" / "vgg19-dcbb9e9d.pth").as_uri())
    with pytest.raises(Refusal) as caught:
        locate(source, tmp_path / "cache")
    for part in (source.url, "put the file vgg19-dcbb9e9d.pth into", str(tmp_path / "cache"), "extractor=scenenet",
                 "weights=random", "weights.dir"):  # fmt: skip
        assert part in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


def test_damaged_file_is_refused(published, tmp_path):
    source, _ = published
    path = tmp_path / source.file
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(Refusal, match="damaged or another file: its sha256 begins"):
        locate(source, tmp_path)


def test_wrong_download_is_refused_and_not_kept(published, tmp_path):
    source, _ = published
    wrong = WeightsFile("net", "net-00000000.pth", source.url)
    with pytest.raises(Refusal, match="cannot be had"):
        locate(wrong, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_random_is_seeded_stamped_and_leaves_the_global_generator(published):
    source, _ = published
    first, second = nn.Sequential(nn.Conv2d(3, 64, 3)), nn.Sequential(nn.Conv2d(3, 64, 3))
    before = torch.random.get_rng_state()
    assert RANDOM_STAMP in fill(first, source, policy="random")
    randomise(second)
    assert torch.equal(torch.random.get_rng_state(), before)
    weight = first.get_parameter("0.weight")
    assert torch.equal(weight, second.get_parameter("0.weight"))
    assert weight.std().item() == pytest.approx((2 / 27) ** 0.5, rel=0.1)  # He et al. 2015, eq. 10
    assert not first.get_parameter("0.bias").any()


def test_pins():
    assert weights.VGG19.sha256_prefix == "dcbb9e9d"
    assert weights.VGG16.sha256_prefix == "397923af"


def test_dists_coefficients_sum_to_one():
    alpha, beta = dists_coefficients()
    assert alpha.shape == beta.shape == (1475,)
    assert alpha.sum().item() == pytest.approx(0.8760, abs=5e-5)  # specs/losses.md, section 2
    assert (alpha.sum() + beta.sum()).item() == pytest.approx(1, abs=1e-6)
    assert min(alpha.min(), beta.min()) >= 0
