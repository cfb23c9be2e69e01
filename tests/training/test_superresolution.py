"""Super-resolution through the one module: resumed bit for bit, its second stage on the first, measured, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.networks.generators.rrdb import RrdbNet
from scenegen.sampling.generate import generate
from scenegen.scoring.inputs import Options
from scenegen.training.fit import Rhythm, fit
from scenegen.training.start_from import take_over
from tests.options import built

TINY = ("size=tiny", "size.height=32", "size.width=48", "width=tiny", "model.blocks=1", "batch_size=2",
        "data.val_fraction=0", "weights=random", "measure=psnr+ssim")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    root, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for i in range(3):
        smooth = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize((48, 32))
        smooth.save(root / f"{i}.png")
    return f"data.root={root}"


def trained(chosen: list[str], out: Path, *, steps: int = 2, start: Path | None = None, stage: Path | None = None):
    config = plan(compose("train", [*TINY, *chosen])).config
    data = build.dataset(config, split="train")
    module = build.rounds(config, data)
    if stage is not None:
        take_over(module, stage)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    rhythm = Rhythm(steps=steps, batch_size=2, log_every=1, grid_every=9, checkpoint_every=1, keep_checkpoints=9)
    fit(module, data, classes=data.classes, watched=collate([data[(0, 0)]]), folder=out, rhythm=rhythm,
        machine=build.make(config["trainer"]), seed=0, checkpoint=start)  # fmt: skip
    return config, module, before


STAGES = {
    "rrdb": ["model=rrdb", "model.growth=4"],
    "esrgan": ["model=esrgan", "model.growth=4"],
    "esrgan_log": ["model=esrgan_log", "trick.pace.start=1"],
}


@pytest.fixture(scope="module")
def first_stage(folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rrdb")
    trained([*STAGES["rrdb"], folder], out)
    return out


@pytest.mark.parametrize("model", STAGES)
def test_a_resumed_run_is_the_uninterrupted_one(model: str, folder: str, first_stage: Path, tmp_path: Path) -> None:
    chosen, stage = [*STAGES[model], folder], first_stage if model == "esrgan" else None
    whole = first_stage if model == "rrdb" else tmp_path / "whole"
    if whole != first_stage:
        _, module, before = trained(chosen, whole, stage=stage)
        assert any(not torch.equal(before[key], t) for key, t in module.state_dict().items() if "model." in key)
        if stage is not None:
            taken = torch.load(first_stage / "checkpoints" / "step_0000002.ckpt", weights_only=True)["state_dict"]
            assert all(torch.equal(before[key], taken[key]) for key in taken if key.startswith("model."))
    _, again, _ = trained(chosen, tmp_path / "again", start=whole / "checkpoints" / "step_0000001.ckpt")
    ends = torch.load(whole / "checkpoints" / "step_0000002.ckpt", weights_only=True)["state_dict"]
    assert ends.keys() == again.state_dict().keys()
    assert all(torch.equal(ends[key], t) for key, t in again.state_dict().items())


def test_a_network_that_repeats_pixels_is_sampled_and_measured(folder: str, tmp_path: Path) -> None:
    """A net whose only path is nearest-neighbour enlarging gives the PSNR of that enlarging."""
    config, module, _ = trained([*STAGES["esrgan_log"], folder], tmp_path, steps=1)
    test = build.dataset(config, split="test")
    net = module.model.generator
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        for c in range(3):  # colours pass the first, the enlarging and the last two layers; 4 lifts them above 0
            net.conv_first.weight[c, c, 1, 1] = 1
            net.conv_first.bias[c] = 4
            for k in range(4):
                net.upsampling[0].weight[4 * c + k, c, 1, 1] = 1
            net.conv_hr.weight[c, c, 1, 1] = 1
            net.conv_last.weight[c, c, 1, 1] = 1
            net.conv_last.bias[c] = -4
    files = generate(module.model, test, out=tmp_path / "out", indices=range(3), seed=0)
    score = build.scorer(config, test).score(
        tmp_path / "out", test, reference=test, styles=None,
        options=Options(count=3, seed=0, device="cpu", posts=(), config_hash="", extra="ignore", cache="auto"),
        track=lambda *a, **k: a[0], notice=lambda _: None,
    )  # fmt: skip
    expected = []
    for index, file in enumerate(files):
        sample = test[(0, index)]
        assert sample.source.shape == (3, 16, 24)
        nearest = sample.source.repeat_interleave(2, 1).repeat_interleave(2, 2).permute(1, 2, 0).numpy()
        assert np.abs(np.asarray(Image.open(file)).astype(int) - nearest).max() <= 1
        error = np.square(nearest / 255 - sample.image.permute(1, 2, 0).numpy() / 255).mean()
        expected.append(-10 * np.log10(error))
    assert score.parts["psnr"].value == pytest.approx(np.mean(expected), abs=0.05)


@pytest.mark.parametrize(("scale", "height", "width"), [(1, 5, 7), (2, 9, 6), (4, 3, 5)])
def test_sides_that_do_not_divide_are_enlarged_as_they_are(scale: int, height: int, width: int) -> None:
    net = RrdbNet(channels=4, growth=2, blocks=1, scale=scale)
    picture = torch.rand(2, 3, height + height % 4, width + width % 4)[..., :height, :width]
    assert net(picture).shape == (2, 3, scale * height, scale * width)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": 3}, r"model\.scale=3 is not one of 1, 2, 4"),
        ({"blocks": 0}, r"model\.blocks=0 must be 1 or more; 23 is ESRGAN's"),
        ({"scale": 4, "height": 30}, r"model\.scale=4 enlarges to sides that it divides, but size is 30x48"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, int], words: str) -> None:
    options = {"num_classes": 1, "edges": False, "height": 32, "width": 48, "channels": 4, **changes}
    with pytest.raises(Refusal, match=words):
        built("model/rrdb", **options)


def test_a_warm_up_without_its_trick_is_refused_with_the_way_back(folder: str) -> None:
    words = r"loss\.gan\.schedule\.step reads trick\.pace\.start, which no chosen option has; add trick=warmup"
    with pytest.raises(Refusal, match=words):
        plan(compose("train", [*TINY, "model=esrgan_log", "trick=ema", folder]))


def test_a_factor_of_its_own_is_refused_when_the_sizes_meet(folder: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"loss\.l1 compares position by position.*\(2, 3, 16, 24\).*\(2, 3, 32, 48\)"):
        trained([*STAGES["rrdb"], folder, "degrade.factor=4"], tmp_path)


def test_a_discriminator_of_pictures_refuses_a_condition() -> None:
    with pytest.raises(Refusal, match="picture_vgg judges pictures alone"):
        built("discriminator/picture_vgg", semantic_channels=3)
    judge = built("discriminator/picture_vgg", semantic_channels=0, ndf=2)
    assert judge(None, torch.zeros(1, 3, 32, 48)).logits[0].shape == (1, 1, 2, 3)


@pytest.mark.parametrize("model", STAGES)
def test_the_module_has_a_discriminator_where_a_term_needs_one_and_names_what_training_reads(model, folder) -> None:
    config = plan(compose("train", [*TINY, *STAGES[model], folder])).config
    module = build.rounds(config, build.dataset(config, split="train"))
    judged = model != "rrdb"
    assert module.frozen_stamps == ({"efficientnet-lite0 RANDOM WEIGHTS"} if judged else set())
    assert (module.discriminator is not None) == judged
