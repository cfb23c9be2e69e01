"""ESRGAN against the authors' code: forward passes under five sets of names, sizes, and a training step in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch
from scenegen.losses.objective import Objective
from scenegen.losses.schedule import Switch
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import VGG19_CONVOLUTIONS, vgg
from scenegen.networks.generators.rrdb import RrdbNet, ShuffledRrdb, ShuffledRrdbNet
from scenegen.networks.interop import load_official
from scenegen.training.rounds import Rounds
from tests.options import built, loss_term, replaced

from .filled_cases import check, load_filled
from .losses_cases import close, load
from .test_sasame import ROUND
from .test_translation import train, weights

DTYPE = torch.float64
NETS: dict[str, Any] = {
    "rrdb_esrgan": lambda nf, nb, gc, scale: RrdbNet(channels=nf, blocks=nb, growth=gc, scale=scale),
    "rrdb_basicsr": lambda nf, nb, gc, scale: RrdbNet(channels=nf, blocks=nb, growth=gc, scale=scale),
    "rrdb_pytorchgan": lambda nf, nb, up: ShuffledRrdbNet(channels=nf, blocks=nb, scale=2**up),
}


@pytest.mark.shared
@pytest.mark.parametrize("case", ["rrdb_basicsr_x1", "rrdb_basicsr_x2", "rrdb_basicsr_x4", "rrdb_esrgan_x4",
                                  "rrdb_pytorchgan_x2"])  # fmt: skip
def test_networks(case: str) -> None:
    tensors, about = load(case)
    net: nn.Module = NETS[about["fn"]](**about["options"])
    load_official(net, weights(tensors))
    made = net(tensors["in.x"])
    close(made, "out.y", tensors, about)
    (made * tensors["in.cotangent"]).sum().backward()
    assert tensors["in.x"].grad is not None
    close(tensors["in.x"].grad, "grad.x", tensors, about)


PUBLISHED: dict[str, tuple[Any, int, int]] = {
    "RRDB_ESRGAN_x4": (lambda: RrdbNet(channels=64, growth=32, blocks=23, scale=4), 16_697_987, 702),
    "RealESRGAN_x2plus": (lambda: RrdbNet(channels=64, growth=32, blocks=23, scale=2), 16_703_171, 702),
    "RealESRGAN_x4plus_anime_6B": (lambda: RrdbNet(channels=64, growth=32, blocks=6, scale=4), 4_467_779, 192),
    "the log's, 6 blocks": (lambda: ShuffledRrdbNet(channels=64, blocks=6, scale=2), 10_184_131, 190),
    "the log's discriminator": (lambda: built("discriminator/picture_vgg", semantic_channels=0), 4_693_697, 48),
}
"""Parameters, and tensors of a file (specs/blocks_and_post.md 6, specs/translation.md 3)."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    make, parameters, tensors = PUBLISHED[name]
    with torch.device("meta"):
        net = make()
    assert sum(p.numel() for p in net.parameters()) == parameters
    if name != "the log's discriminator":
        assert len(net.state_dict()) == tensors


def test_the_log_s_training_step(tmp_path: Path) -> None:
    """One round of pixels alone and one whole round, through the one module.

    The record's pictures reach from -2 to 2, standardised; here they are halved, which the model, the features and
    the pixels know by `mean` 0.5 and `std` 0.25.
    """
    case = load_filled("translation", "esrgan_x2_train_step")
    options, std = case.options, [0.25] * 3
    source, image = (case.given[name].to(DTYPE) / 2 for name in ("lr", "hr"))
    height, width = image.shape[-2:]
    model = ShuffledRrdb(num_classes=1, edges=False, height=height, width=width, channels=options["filters"],
                         blocks=options["residual_blocks"], scale=2 ** options["num_upsample"], mean=[0.5] * 3,
                         std=std)  # fmt: skip
    judge = built("discriminator/picture_vgg", semantic_channels=0, ndf=options["d_base"])
    load_official(model, case.state["G"])
    load_official(judge, case.state["D"])
    widths = [case.state["vgg"][f"{index}.weight"].shape[0] for index in (0, 5, 10, 19, 28)]
    trunk, taps = vgg(VGG19_CONVOLUTIONS, pool=lambda channels: nn.MaxPool2d(2), widths=tuple(widths))
    trunk = trunk[:35]
    trunk.load_state_dict(case.state["vgg"])
    taps = {name: index for name, index in taps.items() if index < 35}
    eyes = Extractor(trunk, taps=taps, stamp="the record's VGG19", mean=(0.5,) * 3, std=(0.25,) * 3)
    start = options["warmup"]
    terms: dict[str, Any] = {"gan": loss_term("ragan"), "content": replaced("loss/content/content", extractor="eyes"),
                             "l1": loss_term("l1_imagenet", std=std)}  # fmt: skip
    after = {"gan": 0.005, "content": 1.0, "l1": 0.01}
    before = {"gan": 0.0, "content": 0.0, "l1": 1.0}
    schedules = {name: Switch(step=start, before=before[name], after=after[name]) for name in terms}
    objective = Objective(terms=terms, weights=after, extractors={"eyes": eyes}, schedules=schedules,
                          offers={"source", "image", "judgement"})  # fmt: skip
    pace = built("trick/warmup", at="pace", start=start)
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=replaced("optim/esrgan"),
                    pace=pace, **ROUND).double()  # fmt: skip
    grads: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        parameter.register_post_accumulate_grad_hook(keep_last(grads, name))
    rows, first = train(module, [Batch(source=source, image=image)] * (start + 1), tmp_path)
    untouched = {key: value for key, value in first.items() if key.startswith("discriminator.")}
    assert all(torch.equal(value, case.state["D"][key.removeprefix("discriminator.")].to(value.dtype))
               for key, value in untouched.items()), "the warm-up leaves the discriminator alone"  # fmt: skip
    want = {key: value.item() for key, value in case.out.items() if not value.ndim}
    for step, row in enumerate(rows):
        assert float(row["l1"]) == pytest.approx(want[f"step{step}/pixel"], rel=1e-6)
    row = {name: float(value) for name, value in rows[start].items() if value}
    found = {"loss_content": row["content"], "loss_GAN": row["gan"], "loss_G": row["G"],
             "loss_real": 2 * row["D_real"], "loss_fake": 2 * row["D_fake"], "loss_D": row["D"]}  # fmt: skip
    for name, value in found.items():
        assert value == pytest.approx(want[f"step{start}/{name}"], rel=1e-6), name
    assert case.grad
    renamed = {f"G/{theirs}": ours for theirs, ours in names_of(case.state["G"], model.generator).items()}
    for key in case.grad:
        place = f"model.generator.{renamed[key]}" if key in renamed else f"discriminator.{key.removeprefix('D/')}"
        check(case, "grad", key, grads[place])


def keep_last(grads: dict[str, Tensor], name: str):
    def hook(parameter: Tensor) -> None:
        assert parameter.grad is not None
        grads[name] = parameter.grad.clone()

    return hook


def names_of(state: dict[str, Tensor], net: Any) -> dict[str, str]:
    """Official name -> own name, by the tensors themselves."""
    own = net.own_names(state)
    return {theirs: next(name for name, t in own.items() if t is tensor) for theirs, tensor in state.items()}
