"""Properties of SESAME's networks that the specification states: counts, the gate, sizes, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.networks.discriminators.sesame import TwoStreamNet
from scenegen.networks.generators.sesame_editing import (
    SesameEditor,
    editing_semantics,
)
from scenegen.networks.layers.holes import composite, masked
from scenegen.networks.layers.init import initialise
from scenegen.train import Settings
from tests.options import INIT_GAIN, built


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("channels", "count"), [(29, 11_092_226), (151, 11_342_082), (36, 11_106_562), (50, 11_135_234)]
)
def test_parameters_of_the_discriminator(channels: int, count: int) -> None:
    """29 labels, ADE20K, Cityscapes with edges (or a hole mask), editing ADE20K (specification, section 2)."""
    with torch.device("meta"):
        net = built("discriminator/sesame", semantic_channels=channels)
        patch = built("discriminator/patch", semantic_channels=channels)
    assert parameters(net) == count
    assert len(net.state_dict()) == 48
    assert 1.9 < count / parameters(patch) < 2.0


@pytest.mark.parametrize(("channels", "count"), [(50, 20_791_043), (36, 20_489_091)])
def test_parameters_of_the_editor(channels: int, count: int) -> None:
    """49 and 35 labels and the hole mask (specification, section 3)."""
    with torch.device("meta"):
        net = SesameEditor(semantic_channels=channels)
    assert parameters(net) == count
    assert len(net.state_dict()) == 219


def test_a_wide_editor_has_the_published_shapes() -> None:
    """The first block widens in its second convolution and its shortcut, the last SPADE block narrows (section 3)."""
    with torch.device("meta"):
        net = SesameEditor(semantic_channels=50, wide=True)
    shapes = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
    assert shapes["resnet_core.0.conv_block.1.0.weight"] == (256, 256, 3, 3)
    assert shapes["resnet_core.0.conv_block.4.0.weight"] == (512, 256, 3, 3)
    assert shapes["resnet_core.0.shortcut.weight"] == (512, 256, 1, 1)
    for part in ("1", "4"):
        assert shapes[f"resnet_core.3.conv_block.{part}.0.weight"] == (512, 512, 3, 3)
    assert shapes["spade_core.4.conv_0.weight_orig"] == (256, 512, 3, 3)
    assert shapes["spade_core.4.conv_s.weight_orig"] == (256, 512, 1, 1)
    assert "resnet_core.1.shortcut.weight" not in shapes


def test_sizes_at_192_by_256() -> None:
    """Padding 2 as the patch discriminator's; padding 1 gives the 22x30 and 10x14 scores of the log's port."""
    semantics, image = torch.zeros(1, 29, 192, 256), torch.zeros(1, 3, 192, 256)
    with torch.device("meta"):
        two = built("discriminator/sesame", semantic_channels=29)(semantics.to("meta"), image.to("meta"))
        one = built("discriminator/sesame", semantic_channels=29, padding=1)(semantics.to("meta"), image.to("meta"))
        patch = built("discriminator/patch", semantic_channels=29)(semantics.to("meta"), image.to("meta"))
    assert [s.shape for s in two.logits] == [s.shape for s in patch.logits]
    assert [[f.shape for f in maps] for maps in two.features] == [[f.shape for f in maps] for maps in patch.features]
    assert [tuple(s.shape[-2:]) for s in one.logits] == [(22, 30), (10, 14)]


def test_the_gate_is_a_residual_of_the_sum_over_channels() -> None:
    """score = conv(x + x * sum_c y_c), and the last feature is x itself (specification, S2 and S3)."""
    net = TwoStreamNet(5, ndf=4, layers=3, norm="instance", padding=2).eval()
    semantics, image = random(2, 5, 32, 32), random(2, 3, 32, 32)
    *maps, score = net(semantics, image)
    x, y = net.img_sequence[:-1](image), net.sem_sequence(semantics)
    assert torch.equal(maps[-1], x)
    torch.testing.assert_close(score, net.img_sequence[-1](x + x * y.sum(1, keepdim=True)))


def test_only_the_score_teaches_the_semantics_stream() -> None:
    net = built("discriminator/sesame", semantic_channels=5, ndf=4)
    judgement = net(random(2, 5, 48, 64), random(2, 3, 48, 64))
    features = torch.stack([f.square().mean() for maps in judgement.features for f in maps]).sum()
    features.backward(retain_graph=True)
    streams = {name: p.grad for name, p in net.named_parameters()}
    assert all(grad is None for name, grad in streams.items() if "sem_sequence" in name)
    torch.stack([s.square().mean() for s in judgement.logits]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_judgements_split_and_mix_precisions() -> None:
    net = built("discriminator/sesame", semantic_channels=5, ndf=4, layers=3, scales=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fake, real = net(random(4, 5, 64, 96), random(4, 3, 64, 96)).split([2, 2])
    assert [len(maps) for maps in real.features] == [3, 3, 3]
    assert [len(s) for s in fake.logits] == [2, 2, 2]
    assert all(s.isfinite().all() for s in fake.logits)


@pytest.mark.parametrize(
    "changes",
    [{"ndf": 0}, {"layers": 0}, {"scales": 0}, {"semantic_channels": -1}, {"norm": "batchy"}, {"padding": 0}],
)
def test_discriminators_that_do_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        built("discriminator/sesame", **{"semantic_channels": 5, "ndf": 4, **changes})


def test_discriminator_refuses_other_semantics() -> None:
    net = built("discriminator/sesame", semantic_channels=5, ndf=4)
    with pytest.raises(Refusal, match="5, h, w"):
        net(random(2, 6, 48, 48), random(2, 3, 48, 48))
    with pytest.raises(Refusal, match="as large as"):
        net(random(2, 5, 96, 96), random(2, 3, 48, 48))


def test_the_two_spellings_are_one_choice() -> None:
    one, other = (plan(compose("train", [f"model={name}"]), settings=Settings) for name in ("sasame", "sesame"))
    assert one.digest == other.digest
    assert one.config["discriminator"]["_target_"].endswith("SesameDiscriminator")
    assert {name: term["weight"] for name, term in one.config["loss"].items()} == {
        "gan": 1.0, "feature_matching": 10.0, "vgg": 10.0, "kld": 0,
    }  # fmt: skip
    with_vae = plan(compose("train", ["model=sesame", "model.vae=true"]), settings=Settings)
    assert with_vae.config["loss"]["kld"]["weight"] == 0.05


TINY: dict[str, Any] = {"semantic_channels": 6, "ngf": 4, "hidden": 8}


@pytest.mark.parametrize(
    "changes",
    [{}, {"skips": True}, {"wide": True}, {"downsamplings": 3, "residuals": 2, "modulated": 2}, {"norm": "instance"},
     {"spectral": False, "kernel": 1}, {"downsamplings": 3, "modulated": 1, "skips": True}],
)  # fmt: skip
def test_editor(changes: dict[str, Any]) -> None:
    net = SesameEditor(**{**TINY, **changes})
    initialise(net, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    image, hole = random(2, 3, 24, 40).tanh(), (random(2, 1, 24, 40, seed=2) > 0).float()
    label = torch.randint(0, 5, (2, 24, 40), generator=torch.Generator().manual_seed(1))
    painted = net(masked(Batch(source=image, hole=hole.bool())), editing_semantics(label, hole, num_classes=5))
    assert painted.shape == image.shape
    (painted * random(2, 3, 24, 40, seed=3)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert name.endswith(".bias") or parameter.grad.any(), name  # biases before a norm have none


def test_the_photograph_stays_outside_the_hole() -> None:
    image, generated = random(2, 3, 8, 8), random(2, 3, 8, 8, seed=1)
    hole = (random(2, 1, 8, 8, seed=2) > 0).float()
    batch = Batch(source=image, hole=hole.bool())
    assert torch.equal(composite(generated, batch), image * (1 - hole) + hole * generated)
    assert torch.equal(masked(batch), image * (1 - hole))


def test_semantics_of_an_edit() -> None:
    label, hole = torch.tensor([[[0, 4], [2, 2]]]), torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    planes = editing_semantics(label, hole, num_classes=5)
    assert torch.equal(planes[:, -1:], hole)
    assert torch.equal(planes[:, :5].sum(1), torch.ones(1, 2, 2))
    inside = editing_semantics(label, hole, num_classes=5, inside=True)
    assert torch.equal(inside[:, :5].sum(1, keepdim=True), hole)


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"skips": True, "wide": True}, "wide"), ({"ngf": 0}, "positive"), ({"modulated": 0}, "positive"),
     ({"norm": "group"}, "norm"), ({"kernel": 2}, "odd")],
)  # fmt: skip
def test_editors_that_do_not_fit(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        SesameEditor(**{**TINY, **changes})


@pytest.mark.parametrize(
    ("masked", "semantics", "why"),
    [((1, 3, 22, 40), (1, 6, 22, 40), "divisible by 4, got 22x40; crop to 20x40"),
     ((1, 3, 24, 40), (1, 5, 24, 40), r"\(b, 6, h, w\)"),
     ((1, 3, 24, 40), (1, 6, 24, 24), r"\(b, 6, h, w\)"),
     ((1, 1, 24, 40), (1, 6, 24, 40), r"\(b, 3, h, w\)")],
)  # fmt: skip
def test_editor_refuses_other_inputs(masked: tuple[int, ...], semantics: tuple[int, ...], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        SesameEditor(**TINY)(torch.zeros(masked), torch.zeros(semantics))
