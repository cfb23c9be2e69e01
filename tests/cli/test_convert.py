"""The authors' files become a run that samples exactly what their networks make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary, open_run
from scenegen.config.plan import plan
from scenegen.convert import Settings, convert
from scenegen.data.bridges import ADE20K
from scenegen.data.classes import NO_LABELS
from scenegen.networks.interop import find_files, load_official
from scenegen.networks.layers.norm import SpectralConv2d
from scenegen.runs.checkpoints import load, newest
from tests.cli.command_line import run, sentence

TINY = ("size=tiny", "width=tiny", "weights=random")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as the release writes them: a prefix of DataParallel in one, no version metadata in any."""
    torch.manual_seed(0)
    config = plan(compose("train", [*TINY, "model.vae=true"])).config
    model = build.model(config, Vocabulary(ADE20K, has_instances=False)).eval()
    judge = build.discriminator(config, model)
    folder = tmp_path_factory.mktemp("official")
    torch.save({f"module.{key}": value for key, value in model.generator.state_dict().items()}, folder / "7_net_G.pth")
    torch.save(dict(model.encoder.state_dict()), folder / "7_net_E.pth")
    torch.save(dict(judge.state_dict()), folder / "7_net_D.pth")
    label = torch.arange(64 * 64).reshape(1, 64, 64) % 151
    Image.fromarray(label[0].numpy().astype(np.uint8)).save(folder / "map.png")
    noise = torch.zeros(1, 256)
    with torch.no_grad():
        image = model.sample(Batch(label=label), noise=noise).image
    torch.save(image, folder / "expected.pt")
    return folder


def test_a_converted_run_samples_and_is_the_same_network(official: Path, tmp_path: Path) -> None:
    converted = run("convert", "source=spade", "model.vae=true", *TINY, f"files={official}", "epoch=7", "name=c",
                    cwd=tmp_path)  # fmt: skip
    assert converted.returncode == 0, converted.stderr
    assert "every key fits" in converted.stdout
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "map.png").write_bytes((official / "map.png").read_bytes())
    sampled = run("sample", "run=c", f"labels={maps}", "out=samples", "sheet=0", cwd=tmp_path)
    assert sampled.returncode == 0, sampled.stderr
    assert Image.open(tmp_path / "samples" / "map.png").size == (64, 64)
    model = open_run(str(tmp_path / "runs" / "c")).model
    label = torch.arange(64 * 64).reshape(1, 64, 64) % 151
    with torch.no_grad():
        image = model.sample(Batch(label=label), noise=torch.zeros(1, 256)).image
    assert torch.equal(image, torch.load(official / "expected.pt", weights_only=True))


SOURCES = {
    "spade": ({"G": "generator"}, ()),
    "sesame": ({"G": "generator"}, ()),
    "oasis": ({"EMA": "generator"}, ()),
    "cocosnet": ({"G": "generator", "Corr": "correspondence"}, ("cocosnetv1",)),
    "cocosnetv2": ({"G": "generator", "Corr": "correspondence"}, ("cocosnetv2",)),
    "unite": ({"G": "generator", "Corr": "correspondence"}, ("unite",)),
}
"""Source -> the letters of the release's files and what they hold, and the model where it paints with exemplars."""


def made(source: str, folder: Path, *more: str) -> tuple[Any, Path]:
    """A freshly built family, and its files as the release names them."""
    files = folder / source
    files.mkdir()
    options = [f"source={source}", "epoch=3", "name=c", *TINY, f"files={files}", *more]
    config = plan(compose("convert", options), settings=Settings).config
    torch.manual_seed(1)
    model = build.model(config, Vocabulary(ADE20K, has_instances=False)).eval()
    judge = build.discriminator(config, model)
    stem = "3" if source == "oasis" else "3_net"
    for letter, name in SOURCES[source][0].items():
        torch.save(dict(model.get_submodule(name).state_dict()), files / f"{stem}_{letter}.pth")
    torch.save(dict(judge.state_dict()), files / f"{stem}_D.pth")
    return model, files


def picture_of(model: Any) -> torch.Tensor:
    """Of made labels, exemplars and noise."""
    draw = torch.Generator().manual_seed(0)
    label, other = torch.randint(0, 151, (2, 1, 8, 8), generator=draw).repeat_interleave(8, 2).repeat_interleave(8, 3)
    exemplar = torch.rand(1, 3, 64, 64, generator=draw) * 2 - 1
    batch = Batch(label=label, exemplar=exemplar, exemplar_label=other)
    noise = torch.randn(1, *model.noise_shape, generator=draw) if model.noise_shape else None
    with torch.no_grad():
        return model.sample(batch, noise=noise).image


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_source_becomes_the_same_network(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model, files = made(source, tmp_path)
    folder = convert(compose("convert", [f"source={source}", "epoch=3", "name=c", *TINY, f"files={files}"]))
    assert "every key fits" in capsys.readouterr().out
    opened = open_run(str(folder))
    assert torch.equal(picture_of(opened.model), picture_of(model))
    there = load(newest(folder))["state_dict"]
    assert any(key.startswith("discriminator.") for key in there), "D is kept for a second stage"
    with pytest.raises(Refusal, match=r"paints 151 classes, but the data of its config has 29 others; give labels="):
        opened.inputs()


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_files_of_another_width_or_family(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, files = made(source, tmp_path)
    with pytest.raises(Refusal, match=r"the weights do not fit \w+ \(likely reason: .*in the file, .* in the model"):
        convert(compose("convert", [f"source={source}", "epoch=3", "name=c", *TINY, f"files={files}", "width.ngf=6"]))
    other = "unite" if source == "oasis" else "oasis"
    with pytest.raises(Refusal, match=r"takes the files G|of another family: \d+ names there") as caught:
        convert(compose("convert", [f"source={other}", "epoch=3", "name=c", *TINY, f"files={files}"]))
    assert len(str(caught.value)) < 1500
    assert not (tmp_path / "runs").exists()


DENOISERS = {
    "cncl": (),
    "cncl_unet": ("model.exchange.squeeze=false", "model.exchange.cross=1"),
    "restormer": ("model.dim=4", "model.blocks=[1,1,1,1]", "model.refinement=1", "model.heads=[1,2,2,2]"),
}


@pytest.mark.parametrize("source", sorted(DENOISERS))
def test_every_denoiser_becomes_the_same_network(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Restormer's files hold their tensors below "params" (specs/denoising.md 2)."""
    monkeypatch.chdir(tmp_path)
    options = [f"source={source}", "name=c", *TINY, *DENOISERS[source]]
    config = plan(compose("convert", [*options, "files=x"]), settings=Settings).config
    vocabulary = Vocabulary(NO_LABELS, has_instances=False)
    torch.manual_seed(1)
    model = build.model(config, vocabulary).eval()
    letters = {"G": dict(model.generator.state_dict())}
    if source != "restormer":
        letters["D"] = dict(build.discriminator(config, model).state_dict())
    for letter, state in letters.items():
        torch.save({"params": state} if source == "restormer" else state, tmp_path / f"latest_net_{letter}.pth")
    folder = convert(compose("convert", [*options, f"files={tmp_path}"]))
    assert "scenegen.sample run=c pictures=FOLDER" in capsys.readouterr().out
    batch = Batch(source=torch.rand(1, 1, 24, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    with torch.no_grad():
        assert torch.equal(open_run(str(folder)).model.sample(batch).image, model.sample(batch).image)
    torch.save({**letters["G"], "extra.weight": torch.zeros(1)}, tmp_path / "latest_net_G.pth")
    with pytest.raises(Refusal, match=r"unexpected (G/)?extra\.weight"):
        convert(compose("convert", [*options, f"files={tmp_path}", "name=d"]))


@pytest.mark.slow
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_source_by_its_command_line(source: str, tmp_path: Path) -> None:
    _, files = made(source, tmp_path)
    converted = run("convert", f"source={source}", "epoch=3", "name=c", *TINY, f"files={files}", cwd=tmp_path)
    assert converted.returncode == 0, converted.stderr
    rng = np.random.default_rng(0)
    for folder in ("maps", "own/labels", "own/images"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("maps", "own/labels"):
        ids = rng.integers(0, 151, (8, 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(ids).save(tmp_path / folder / "map.png")
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(tmp_path / "own" / "images" / "map.png")
    exemplars = SOURCES[source][1]
    if exemplars:
        said = sentence(run("sample", "run=c", "labels=maps", cwd=tmp_path))
        assert "give exemplars=DIR with images/ and labels/" in said
    given = ["exemplars=own"] if exemplars else []
    sampled = run("sample", "run=c", "labels=maps", "out=samples", *given, cwd=tmp_path)
    assert sampled.returncode == 0, sampled.stderr
    assert Image.open(tmp_path / "samples" / "map.png").size == (64, 64)


def test_files_that_do_not_fit_are_named(official: Path, tmp_path: Path) -> None:
    told = sentence(run("convert", "source=spade", *TINY, f"files={official}", "epoch=7", cwd=tmp_path))
    assert "takes the files G, got G, E" in told
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [("nowhere", "holds no latest_net_G.pth"), ({"Q": "x.pth"}, "letter Q"), ({"G": "x.pth"}, "no file x.pth")],
)
def test_files_that_are_not_there(files: str | dict[str, str], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        find_files(files)


def test_the_spectral_norm_of_torch_0_4_is_brought_up_to_date() -> None:
    """It stored the divided weight and u; v solves u = W v and keeps sigma (torch.nn.utils.spectral_norm)."""
    torch.manual_seed(0)
    conv = SpectralConv2d(6, 4, 3)
    with torch.no_grad():
        for _ in range(50):
            conv.train()(torch.zeros(1, 6, 8, 8))
    conv.eval()
    x = torch.randn(1, 6, 8, 8)
    wanted = conv(x)
    old = dict(conv.state_dict())
    old["weight"] = old["weight_orig"] / conv.sigma().detach()
    del old["weight_v"]
    other = nn.Sequential(SpectralConv2d(6, 4, 3)).eval()
    load_official(other, {f"module.0.{key}": value for key, value in old.items()})
    torch.testing.assert_close(other(x), wanted, rtol=1e-4, atol=1e-5)
