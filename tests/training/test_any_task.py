"""The one objective and the one module on batches without label maps: pixels, super-resolution, two discriminators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Discriminator, Judgement, Refusal, SceneModel, Shown, Synthesis
from scenegen.data.samples import Sample, collate
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.objective import Objective
from scenegen.networks.discriminators.patch import PatchDiscriminator
from scenegen.networks.frozen.scenenet import SceneNetTrunk
from scenegen.training.callbacks.grids import Grids
from scenegen.training.fit import Rhythm, fit
from scenegen.training.rounds import Rounds, judgements
from tests.options import built, loss_term, replaced

OPTIM = {"lr_generator": 2e-3, "lr_discriminator": 1e-3, "betas": (0.0, 0.9), "eps": 1e-8, "eps_generator": None,
         "equal_after": 0, "constant_steps": 0, "decay_steps": 0}  # fmt: skip
ROUNDS = {"seed": 0, "reuse_fake": True, "generator_every": 1, "log_grads_every": 0}


def smooth(seed: int, side: int, count: int = 2) -> Tensor:
    """Pictures with structure: a few random low frequencies, in [-1, 1]."""
    coarse = torch.randn(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(side, side), mode="bicubic").tanh()


def test_style_transfer_is_the_objective_on_free_pixels() -> None:
    """Gatys et al. 2016: content of `source`, style of `exemplar`, no network but the frozen one is trained."""
    net = SceneNetTrunk(weights="published", folder=None, name="trunk")
    content = loss_term("vgg", extractor="trunk", layers={"relu3_2": 1.0}, criterion="l2", target="source")
    style = loss_term(
        "style", extractor="trunk", layers={"relu1_1": 1.0, "relu2_1": 1.0}, form="gatys", target="exemplar"
    )
    objective = Objective(
        terms={"content": content, "style": style, "tv": loss_term("tv", form="mean_sq")},
        weights={"content": 1.0, "style": 1e3, "tv": 1e-2},
        extractors={"trunk": net},
        offers={"source", "exemplar"},
    )
    batch = Batch(source=smooth(1, 48, 1), exemplar=smooth(2, 32, 1))
    pixels = batch.require("source").clone().requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=0.02)
    totals, parts = [], []
    for _ in range(25):
        total, values = objective.generator(batch=batch, synthesis=Synthesis(image=pixels))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        pixels.data.clamp_(-1, 1)
        totals.append(float(total.detach()))
        parts.append(values)
    assert totals[-1] < 0.5 * totals[0], "the style comes nearer"
    assert parts[-1]["style"] < parts[0]["style"]
    assert 0 < parts[-1]["content"] < 1, "and the content stays"


def test_a_term_whose_target_the_data_lack_is_refused_with_its_cure() -> None:
    term = loss_term("l1", target="exemplar")
    with pytest.raises(Refusal, match=r"loss\.l1 needs exemplar, .* use exemplar=retrieved or loss\.l1\.weight=0"):
        Objective(terms={"l1": term}, weights={"l1": 1}, extractors={}, offers={"source", "image"})


class Enlarger(SceneModel):
    """A x2 network on `source`: bicubic and a learnt residual."""

    reads = frozenset({"source", "image"})

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(16, 12, 3, padding=1))

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        small = batch.require("source")
        residual = F.pixel_shuffle(self.layers(small), 2)
        large = F.interpolate(small, scale_factor=2, mode="bicubic", antialias=False)
        return Synthesis(image=(large + residual).clamp(-1, 1))


class Enlarging(torch.utils.data.Dataset):
    """Pictures of 32x32 and what a 2x2 mean leaves of them; no label map anywhere."""

    classes = None
    names = tuple(f"picture{i}" for i in range(8))
    offers = frozenset({"image", "source"})

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        image = ((smooth(key[1], 32, 1)[0] + 1) * 127.5).round()
        small = F.avg_pool2d(image[None], 2)[0].round()
        return Sample(name=self.names[key[1]], image=image.to(torch.uint8), source=small.to(torch.uint8))


def super_resolution(discriminator: Discriminator | None) -> Rounds:
    terms: dict = {"l1": loss_term("l1", target="real")}
    if discriminator is not None:
        terms |= {"gan": loss_term("hinge", real_label=1.0), "feature_matching": FeatureMatching()}
    objective = Objective(
        terms=terms, weights=dict.fromkeys(terms, 1.0), extractors={}, offers={"image", "source", "judgement"}
    )
    torch.manual_seed(0)
    optim = replaced("optim/ttur", **OPTIM)
    return Rounds(model=Enlarger(), discriminator=discriminator, objective=objective, optim=optim, **ROUNDS)


PATCH = {"semantic_channels": 0, "ndf": 4, "layers": 2, "scales": 1, "norm": "instance", "padding": 2, "spectral": True,
         "attention": False, "cam": False, "decoder": False}  # fmt: skip
MACHINE = built("trainer/cpu")


@pytest.mark.parametrize("judged", [False, True], ids=["psnr stage", "with a discriminator"])
def test_super_resolution_trains_through_the_one_module(judged: bool, tmp_path: Path) -> None:
    module = super_resolution(PatchDiscriminator(**PATCH) if judged else None)
    data = Enlarging()
    watched = collate([data[(0, 0)], data[(0, 1)]])
    before = F.l1_loss(module.model.paint(watched, seed=0).image, watched.require("image"))
    rhythm = Rhythm(steps=40, batch_size=4, log_every=20, grid_every=40, checkpoint_every=40, keep_checkpoints=1)
    fit(module, data, classes=None, watched=watched, folder=tmp_path, rhythm=rhythm, machine=MACHINE, seed=0)
    after = F.l1_loss(module.model.paint(watched, seed=0).image, watched.require("image"))
    assert after < 0.9 * before
    assert (tmp_path / "grids" / "step_0000040.png").is_file()
    assert len(module.configure_optimizers()) == 1 + judged
    sheet = Grids(batch=watched, classes=None, folder=tmp_path, every=1, seed=0).draw(module)
    assert sheet.dtype == np.uint8
    assert sheet.ndim == 3


class Pair(Discriminator):
    """CycleGAN's two discriminators: the first half of the channels is domain A, the second B; each net is a scale."""

    condition_channels = 0

    def __init__(self, a: Discriminator, b: Discriminator) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        of_a, of_b = (net(None, half) for net, half in zip((self.a, self.b), image.chunk(2, dim=1), strict=True))
        return Judgement(logits=of_a.logits + of_b.logits, features=of_a.features + of_b.features)


class Score(Discriminator):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Conv2d(3, 1, 4, stride=2)

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        return Judgement(logits=(self.net(image),))


def test_two_discriminators_are_one_judgement() -> None:
    a, b = Score(0), Score(1)
    fakes, reals = (smooth(3, 16), smooth(4, 16)), (smooth(5, 16), smooth(6, 16))
    shown = Shown(None, torch.cat(fakes, dim=1), torch.cat(reals, dim=1))
    objective = Objective(
        terms={"gan": loss_term("hinge", real_label=1.0)}, weights={"gan": 1.0}, extractors={}, offers={"judgement"}
    )
    fake, real = judgements(Pair(a, b), shown)
    total, _ = objective.discriminator(fake, real)
    sides = list(zip((a, b), fakes, reals, strict=True))
    apart = [objective.discriminator(net(None, f), net(None, r))[0] for net, f, r in sides]
    assert float(total - torch.stack(apart).mean()) == 0.0
    generator, _ = objective.generator(batch=Batch(image=reals[0]), synthesis=Synthesis(image=shown.fake), fake=fake)
    each = [objective.generator(batch=Batch(image=r), synthesis=Synthesis(image=f), fake=net(None, f))[0]
            for net, f, r in sides]  # fmt: skip
    assert float(generator - torch.stack(each).mean()) == 0.0


def test_a_checkpoint_that_kept_an_untrained_discriminator_loads(tmp_path: Path) -> None:
    """Release 0.1 built a discriminator, and an optimizer for it, where no term asked for one."""
    module, data = super_resolution(None), Enlarging()
    rhythm = Rhythm(steps=2, batch_size=4, log_every=1, grid_every=2, checkpoint_every=1, keep_checkpoints=9)
    run = {"classes": None, "watched": collate([data[(0, 0)]]), "rhythm": rhythm, "machine": MACHINE, "seed": 0}
    fit(module, data, folder=tmp_path / "whole", **run)
    content = torch.load(tmp_path / "whole" / "checkpoints" / "step_0000001.ckpt", weights_only=True)
    content["state_dict"]["discriminator.weight"] = torch.zeros(3)
    content["optimizer_states"].append(content["optimizer_states"][0])
    old = tmp_path / "old.ckpt"
    torch.save(content, old)
    resumed = super_resolution(None)
    fit(resumed, data, folder=tmp_path / "resumed", checkpoint=old, **run)
    assert resumed.step == 2
    ends = module.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
