"""The authors' files become a run that samples exactly what their networks make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scenegen import build
from scenegen.data.bridges import ADE20K
from scenegen.networks.interop import find_files, load_official
from scenegen.networks.norm import SpectralConv2d
from scenegen.plan import compose, plan
from scenegen.trained import Vocabulary
from scenegen.types import Batch, Refusal
from tests.cli.command_line import run, sentence

TINY = ("size=tiny", "weights=random")


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
        image = model.sample(Batch(label=label, image=torch.empty(1, 3, 0, 0)), style=None, noise=noise).image
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
    sampled = run("sample", "run=c", f"labels={maps}", "sheet=0", cwd=tmp_path)
    assert sampled.returncode == 0, sampled.stderr
    assert Image.open(tmp_path / "samples" / "map.png").size == (64, 64)
    from scenegen.trained import open_run

    model = open_run(str(tmp_path / "runs" / "c")).model
    label = torch.arange(64 * 64).reshape(1, 64, 64) % 151
    with torch.no_grad():
        image = model.sample(Batch(label=label, image=torch.empty(1, 3, 0, 0)), noise=torch.zeros(1, 256)).image
    assert torch.equal(image, torch.load(official / "expected.pt", weights_only=True))


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
