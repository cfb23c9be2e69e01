"""Legacy FID features: pytorch-fid's own network as the authority, and what happens without its weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_fid import inception as published

from scenegen.base.records import Refusal
from scenegen.networks.frozen.inception import assembled, randomise
from scenegen.scoring.judges.inception import CleanInceptionFeatures, InceptionFeatures
from scenegen.scoring.judges.protocols import marks
from tests.options import built


@pytest.fixture(scope="module")
def random_features() -> InceptionFeatures:
    return built("fid/legacy", weights="random")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """The same weights under the published file's keys: the features' own and the classifier's."""
    net = assembled()
    randomise(net)
    return dict(net.state_dict()) | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}


def test_equals_pytorch_fid(random_features, state, monkeypatch):
    """The same weights through pytorch-fid's InceptionV3 give the same pool3 features."""
    monkeypatch.setattr(published, "load_state_dict_from_url", lambda *_, **__: state)
    theirs = published.InceptionV3([3]).eval()
    x = torch.randint(0, 256, (2, 3, 40, 56), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        expected = theirs(x.float() / 255)[0].flatten(1)
    found = random_features(x)
    assert found.shape == (2, 2048)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-5)


def test_as_near_to_float64_as_pytorch_fid(random_features, state, monkeypatch):
    """Fewer products cost no digits: root mean square of the features' error beside that of pytorch-fid in float32."""
    monkeypatch.setattr(published, "load_state_dict_from_url", lambda *_, **__: state)
    theirs = published.InceptionV3([3]).eval()
    x = torch.randint(0, 256, (1, 3, 299, 299), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        found, plain = random_features(x), theirs(x.float() / 255)[0].flatten(1)
        exact = theirs.double()(x.double() / 255)[0].flatten(1)
    ours, their = ((features - exact).square().mean().sqrt() for features in (found, plain))
    assert ours < 1.5 * their


def test_reads_the_published_form(random_features, state, tmp_path, monkeypatch):
    """The file holds the classifier too; features need it not."""
    torch.save(state, tmp_path / "file.pth")
    monkeypatch.setattr("scenegen.scoring.judges.inception._located", lambda folder: tmp_path / "file.pth")
    loaded = built("fid/legacy")
    assert loaded.stamp == "inception-2015-12-05-6726825d"
    first = "Conv2d_1a_3x3.conv.weight"
    assert torch.equal(loaded.net.state_dict()[first], random_features.net.state_dict()[first])


def test_offline_is_one_sentence_with_the_cure(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(Refusal) as error:
        built("fid/legacy", folder=str(tmp_path))
    for part in ("pt_inception-2015-12-05-6726825d.pth", str(tmp_path), "fid=scenenet", "weights=random"):
        assert part in str(error.value)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"half a download")
    with pytest.raises(Refusal, match="sha256"):
        built("fid/legacy", folder=str(tmp_path))


def test_random_weights_say_so(random_features):
    assert "RANDOM WEIGHTS" in random_features.stamp
    with pytest.raises(Refusal, match="uint8"):
        random_features(torch.zeros(1, 3, 8, 8))


def test_clean_equals_clean_fids_resize():
    """Parmar et al. 2022: PIL's bicubic on float channels, clipped, then (x - 128) / 128; to 0.005 grey levels."""
    stream = torch.Generator().manual_seed(1)
    clean = CleanInceptionFeatures.__new__(CleanInceptionFeatures)
    for size in ((40, 56), (512, 384)):
        image = torch.randint(0, 256, (1, 3, *size), generator=stream, dtype=torch.uint8)
        planes = [Image.fromarray(plane.numpy().astype(np.float32)) for plane in image[0]]
        resized = [np.asarray(p.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255) for p in planes]
        found = CleanInceptionFeatures.prepare(clean, image.float())[0] * 128 + 128
        assert np.abs(found.numpy() - np.stack(resized)).max() < 0.005


def test_the_two_protocols_bear_two_names():
    legacy, clean = InceptionFeatures, CleanInceptionFeatures
    assert (legacy.title, clean.title) == ("FID", "FID(clean)")
    assert legacy.resize != clean.resize


def test_a_loss_reads_what_the_judge_reads_and_the_score_is_marked(random_features):
    """The trunk's mean of the last maps is the judge's features; APF-GAN's loss on FID's own network is a leak."""
    trunk = built("extractor/inception", at="nets.inception", weights="random", folder=None)
    x = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = trunk(x, ["pool_1", "mixed_6e", "pool_3", "relu1_2"])
    assert [tuple(found[layer].shape[1:]) for layer in ("pool_1", "mixed_6e")] == [(64, 73, 73), (768, 17, 17)]
    assert torch.allclose(found["pool_3"], random_features.net(x), rtol=1e-3, atol=1e-5)
    assert torch.equal(found["relu1_2"], found["pool_1"])
    small = F.interpolate(x, size=(8, 12), mode="area")  # as growing pictures begin
    want = random_features.net(random_features.prepare(255 * (small + 1) / 2))
    assert torch.allclose(trunk(small, ["pool_3"])["pool_3"], want, rtol=1e-3, atol=1e-5)
    judges = {"FID": random_features}
    assert not any("seen" in mark for mark in marks(judges, kind=None, read=["vgg19-dcbb9e9d, normalise=none"]))
    (_, mark) = marks(judges, kind=None, read=[trunk.stamp])
    assert mark == (
        "judge seen in training: FID (inception-2015-12-05 RANDOM WEIGHTS); its number flatters what it trained"
    )
