"""LAION's head on CLIP: the published names, transformers' own preprocessing, and what happens without the files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.scoring.judges import laion
from scenegen.scoring.judges.laion import FILE, middle_square
from tests.options import built

transformers = pytest.importorskip("transformers")


def small(_=None):
    """A vision tower of CLIP's kind with the published width of its embedding."""
    return transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, projection_dim=768,
        patch_size=14,
    )  # fmt: skip


def picture() -> torch.Tensor:
    """Smooth: PIL rounds and clips between its two passes, which only noise shows."""
    coarse = torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    return (F.interpolate(coarse, size=(300, 400), mode="bilinear") * 255).to(torch.uint8)


@pytest.fixture
def files(tmp_path):
    """weights.dir with a head under the published names and a vision tower as the hub keeps it."""
    torch.manual_seed(0)
    torch.save({"weight": torch.randn(1, 768) * 3, "bias": torch.full((1,), 5.0)}, tmp_path / FILE)
    transformers.CLIPVisionModelWithProjection(small()).save_pretrained(tmp_path / "clip-vit-large-patch14")
    return tmp_path


def test_equals_the_publishers_recipe(files):
    """CLIP's own preprocessing (PIL), its projected embedding, normalised, through the linear layer."""
    model = transformers.CLIPVisionModelWithProjection.from_pretrained(files / "clip-vit-large-patch14").eval()
    state = torch.load(files / FILE, weights_only=True)
    image = picture()
    expected = []
    for one in image:
        photo = Image.fromarray(one.permute(1, 2, 0).numpy()).resize((299, 224), Image.Resampling.BICUBIC)
        x = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[:, :, 37:261].float() / 255
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (laion.CLIP_MEAN, laion.CLIP_STD))
        with torch.no_grad():
            embedding = model(pixel_values=((x - mean) / std)[None]).image_embeds[0]
        expected.append((state["weight"] @ (embedding / embedding.norm()) + state["bias"]).clamp(0, 10).item())
    judge = built("aesthetic/laion", folder=str(files))
    assert judge(image).numpy() == pytest.approx(expected, abs=2e-2)  # PIL rounds to grey levels
    assert judge.stamp.startswith("laion-aesthetics-v1-")
    assert "clip-vit-l-14:" in judge.stamp
    assert not any(p.requires_grad for p in judge.parameters())


def test_middle_square_equals_pil():
    image = picture()[:1]
    photo = Image.fromarray(image[0].permute(1, 2, 0).numpy()).resize((299, 224), Image.Resampling.BICUBIC)
    expected = np.asarray(photo).transpose(2, 0, 1)[:, :, 37:261]
    assert np.abs((middle_square(image)[0] * 255).numpy() - expected).max() < 1.5
    assert middle_square(image.transpose(2, 3)).shape == (1, 3, 224, 224)


def test_random_weights_say_so(monkeypatch):
    monkeypatch.setattr(laion, "_config", small)
    judge = built("aesthetic/laion", weights="random")
    assert pinned.RANDOM_STAMP in judge.stamp
    assert torch.equal(judge(picture()), built("aesthetic/laion", weights="random")(picture()))
    with pytest.raises(Refusal, match="uint8"):
        judge(picture().float())
    with pytest.raises(Refusal, match="policy"):
        built("aesthetic/laion", weights="none")


def test_without_the_head_or_the_tower_one_sentence(files, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setattr(pinned, "require_hub", unreachable)
    with pytest.raises(Refusal) as error:
        built("aesthetic/laion", folder=str(files / "empty"))
    for part in (FILE, "empty", "aesthetic=nima", "no network"):
        assert part in str(error.value)
    (files / "clip-vit-large-patch14").rename(files / "elsewhere")
    with pytest.raises(Refusal) as error:
        built("aesthetic/laion", folder=str(files))
    for part in ("openai/clip-vit-large-patch14", str(files / "clip-vit-large-patch14"), "aesthetic=standin"):
        assert part in str(error.value)
    torch.save({"layers.0.weight": torch.zeros(1024, 768)}, files / FILE)  # the improved predictor's
    with pytest.raises(Refusal, match="no head of LAION-Aesthetics V1"):
        built("aesthetic/laion", folder=str(files))


def test_without_the_library_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Refusal, match=r"aesthetic=laion needs transformers .*pip install -e '\.\[segmentation\]'"):
        built("aesthetic/laion")
