"""SceneNet: shapes and strides, folding, frozen-ness, files good and bad, and what the shipped nets can do."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save as pack

from scenegen.base import halves
from scenegen.base.records import Refusal
from scenegen.data.classes import LANDSCAPE
from scenegen.data.world import render
from scenegen.networks.frozen import netfile
from scenegen.networks.frozen.scenenet import (
    WIDTHS,
    SceneNet,
    SceneNetTrunk,
    Segmenter,
    find,
    rebuild,
)
from scenegen.networks.frozen.shipped import SHIPPED
from tests.options import built

LAYERS = [f"relu{stage}_{i}" for stage in range(1, 6) for i in (1, 2)]
CLASSES = ("sky", "road", "tree")


@pytest.fixture(autouse=True)
def one_thread():
    """Layers this small lose far more than they gain when threads wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_net(seed: int = 0, *, classes: int = 3, norm: bool = True) -> SceneNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = SceneNet(classes=classes, widths=(4, 6, 8, 8, 8), norm=norm)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)  # pyright: ignore[reportOptionalMemberAccess]
                module.running_var.uniform_(0.5, 2)  # pyright: ignore[reportOptionalMemberAccess]
                torch.nn.init.uniform_(module.weight, 0.5, 2)
                torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


def write_net(path, *, role: str = "scorer", net: SceneNet | None = None, classes=CLASSES, **facts: str):
    folded = (net or make_net()).folded()
    return netfile.write(folded.state_dict(), path, role=role, classes=classes, widths=folded.widths, facts=facts)


def picture(h: int, w: int, *, b: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(b, 3, h, w, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def trunk_of(**changes) -> SceneNetTrunk:
    return built("extractor/scenenet", at="nets.scenenet", **changes)


@pytest.mark.parametrize(("h", "w"), [(96, 128), (97, 131), (33, 64), (16, 17), (5, 3)])
def test_logits_have_the_size_of_the_picture(h, w):
    assert make_net()(picture(h, w)).shape == (2, 3, h, w)


@pytest.mark.parametrize(("h", "w"), [(96, 128), (97, 131), (64, 33)])
def test_layers_are_vggs_with_strides_1_2_4_8_16(h, w):
    extractor = trunk_of(weights="random")
    assert list(extractor.layers) == ["image", *LAYERS]
    found = extractor(picture(h, w), LAYERS)
    for i, width in enumerate(WIDTHS):
        size = (2, width, math.ceil(h / 2**i), math.ceil(w / 2**i))
        assert found[f"relu{i + 1}_1"].shape == found[f"relu{i + 1}_2"].shape == size
    assert all((t >= 0).all() for t in found.values())


def test_folding_changes_nothing_in_eval_mode():
    net = make_net()
    folded = net.folded()
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    torch.testing.assert_close(folded(picture(40, 56)), net(picture(40, 56)), rtol=1e-4, atol=1e-5)
    net.train()
    assert (net(picture(40, 56)) - folded(picture(40, 56))).abs().max() > 0.01  # the norms do something


def test_files_hold_the_net_to_half_precision(tmp_path):
    net = make_net()
    path = write_net(tmp_path / "new" / "net.safetensors", net=net, seed="7", ignore="2")
    loaded = Segmenter.load(path)
    torch.testing.assert_close(loaded(picture(32, 48)), net(picture(32, 48)), rtol=0.02, atol=0.02)
    assert loaded.classes == CLASSES
    assert loaded.ignore == 2
    assert loaded.facts["seed"] == "7"
    assert loaded.stamp == "scenenet-scorer:" + netfile.read(path).digest[:12]
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]  # no half file is left


def test_trunk_and_net_take_minus_one_to_one_as_it_is():
    extractor = trunk_of(weights="random")
    weights = extractor.features.state_dict()
    image = picture(16, 16)
    by_hand = F.conv2d(image, weights["relu1_1.conv.weight"], weights["relu1_1.conv.bias"], padding=1).relu()
    torch.testing.assert_close(extractor(image, ["relu1_1"])["relu1_1"], by_hand)


def test_the_trunk_is_frozen_and_leaves_no_trace():
    extractor = trunk_of(weights="random").train()
    assert not list(extractor.parameters())
    assert extractor.state_dict() == {}
    assert not any(m.training for m in extractor.features.modules())
    image = picture(32, 32).requires_grad_()
    extractor(image, ["relu5_2"])["relu5_2"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in extractor.features.parameters())


def test_random_weights_are_equal_everywhere_and_say_so():
    a, b = trunk_of(weights="random"), trunk_of(weights="random")
    assert "RANDOM WEIGHTS" in a.stamp
    assert torch.equal(a(picture(16, 16), ["relu5_2"])["relu5_2"], b(picture(16, 16), ["relu5_2"])["relu5_2"])


def test_a_segmenter_stays_frozen(tmp_path):
    segmenter = Segmenter.load(write_net(tmp_path / "net.safetensors")).train()
    assert not segmenter.training
    assert not any(m.training for m in segmenter.modules())
    assert not any(p.requires_grad for p in segmenter.parameters())


def test_features_are_scaled_means_of_three_stages(tmp_path):
    path = write_net(tmp_path / "net.safetensors", feature_scale="[2.0, 3.0, 4.0]")
    segmenter = Segmenter.load(path)
    stages = rebuild(netfile.read(path)).stages(picture(32, 48))
    expected = torch.cat([stages[i].mean((2, 3)) * (i) for i in (2, 3, 4)], dim=1)
    torch.testing.assert_close(segmenter.features(picture(32, 48)), expected)
    assert segmenter.features(picture(32, 48)).shape == (2, 24)


def good_bytes(tmp_path) -> bytes:
    return write_net(tmp_path / "good.safetensors").read_bytes()


def repacked(data: bytes, **changes: str | None) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {k: v for k, v in (header["__metadata__"] | changes).items() if v is not None}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


BROKEN = {
    "empty": (lambda d: b"", "damaged"),
    "text": (lambda d: b"not a net at all, but long enough", "damaged"),
    "truncated": (lambda d: d[:-100], "damaged"),
    "hostile pickle": (lambda d: pickle.dumps(Bomb()), "damaged"),
    "absurd header length": (lambda d: b"\xff" * 8 + d[8:], "damaged"),
    "another format": (lambda d: pack({"a": torch.zeros(2)}), "not a SceneNet"),
    "no role": (lambda d: repacked(d, role=None), "role"),
    "no classes": (lambda d: repacked(d, classes="{"), "classes"),
    "other classes": (lambda d: repacked(d, classes='["a", "b"]'), "does not hold the net"),
    "gigantic widths": (lambda d: repacked(d, widths="[9e9, 1, 1, 1, 1]"), "widths"),
    "widths of another net": (lambda d: repacked(d, widths="[9, 1, 1, 1, 1]"), "does not hold the net"),
    "scale of two": (lambda d: repacked(d, feature_scale="[1, 2]"), "2 numbers where 3"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_files_are_refused_in_one_sentence(tmp_path, case):
    spoil, words = BROKEN[case]
    path = tmp_path / "net.safetensors"
    path.write_bytes(spoil(good_bytes(tmp_path)))
    with pytest.raises(Refusal, match=words) as refusal:
        Segmenter.load(path)
    assert "\n" not in str(refusal.value)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    net = make_net()
    with torch.no_grad():
        net.head.weight[0] = math.nan
    with pytest.raises(Refusal, match=r"head.weight is not finite"):
        write_net(tmp_path / "net.safetensors", net=net)
    assert not list(tmp_path.iterdir())


def test_missing_files_and_names_are_refused(tmp_path):
    with pytest.raises(Refusal, match="cannot be read"):
        Segmenter.load(tmp_path / "none.safetensors")
    with pytest.raises(Refusal, match="shipped are photographs, scorer, trunk"):
        Segmenter.load("judge")
    with pytest.raises(Refusal, match="not a policy"):
        trunk_of(weights="imagenet")


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = write_net(tmp_path / "net.safetensors")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(halves.os, "fsync", full)
    with pytest.raises(Refusal, match="No space left"):
        write_net(path, net=make_net(1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_the_net_that_scores_and_the_net_that_losses_read_are_not_exchanged(tmp_path):
    with pytest.raises(Refusal, match="biased"):
        Segmenter.load(write_net(tmp_path / "a.safetensors", role="trunk"))
    with pytest.raises(Refusal, match="train for the score"):
        trunk_of(name=str(write_net(tmp_path / "b.safetensors", role="scorer")))


def test_other_classes_are_refused_with_the_cure():
    with pytest.raises(Refusal, match=r"29 classes .* 2 classes \(sky, car\); train one .*train model=scenenet"):
        Segmenter.load().require(("sky", "car"))
    Segmenter.load().require(LANDSCAPE.names)


def test_two_different_nets_are_shipped():
    paths = [SHIPPED / f"scenenet_{role}.safetensors" for role in ("trunk", "scorer")]
    files = [netfile.read(path) for path in paths]
    assert files[0].digest != files[1].digest
    assert files[0].header["seed"] != files[1].header["seed"]
    for name, tensor in files[0].tensors.items():
        if name.endswith("conv.weight"):
            assert not torch.allclose(tensor, files[1].tensors[name], atol=1e-2), name
    assert sum(path.stat().st_size for path in paths) < 6 << 20
    for role, file in zip(("trunk", "scorer"), files, strict=True):
        assert file.role == role
        assert file.classes == LANDSCAPE.names
        assert "scenegen.train_scenenet" in file.header["command"], "they were made by the command of that release"
    assert trunk_of().stamp == f"scenenet-trunk:{files[0].digest[:12]}"
    assert Segmenter.load().features(picture(32, 32)).shape == (2, sum(WIDTHS[2:]))


def rendered(count: int, *, h: int, w: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of the procedural world from a seed that no training uses."""
    scenes = [render(990_001, i, height=h, width=w) for i in range(count)]
    image = torch.from_numpy(np.stack([s.image for s in scenes])).permute(0, 3, 1, 2)
    label = torch.from_numpy(np.stack([s.label for s in scenes])).long()
    return image.float() / 127.5 - 1, label


@pytest.fixture(scope="module")
def fresh():
    return rendered(24, h=96, w=128)


@pytest.mark.parametrize("role", ["trunk", "scorer"])
def test_the_shipped_nets_see_what_their_headers_claim(role, fresh):
    file = netfile.read(find(role))
    image, label = fresh
    accuracy = (rebuild(file)(image).argmax(1) == label).float().mean().item()
    assert accuracy >= float(file.header["held_out_accuracy"]) - 0.05


def test_large_pictures_are_read_at_the_trained_size():
    """As they are, 384x512 pictures would be read far worse: the net knows things at the size that 96x128 shows."""
    segmenter, (image, label) = Segmenter.load(), rendered(6, h=384, w=512)
    logits = segmenter(image)
    assert logits.shape == (6, 29, 384, 512)
    accuracy = (logits.argmax(1) == label).float().mean()
    assert accuracy > float(segmenter.facts["held_out_accuracy"]) - 0.08
    assert accuracy > (segmenter.net(image).argmax(1) == label).float().mean() + 0.1
    small, large = rendered(6, h=96, w=128)[0], segmenter.features(image)
    torch.testing.assert_close(segmenter.features(small), large, rtol=0.3, atol=0.3)


def test_a_wrong_range_costs_accuracy(fresh):
    """[0, 1] pictures instead of [-1, 1] ones must not go unnoticed."""
    segmenter, (image, label) = Segmenter.load(), fresh
    right = (segmenter(image).argmax(1) == label).float().mean()
    wrong = (segmenter((image + 1) / 2).argmax(1) == label).float().mean()
    assert right > wrong + 0.1
