"""`attention=` and learnt enlarging: places in every generator, published keys and numbers untouched, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import digest, plan
from scenegen.networks.attention_places import last_blocks
from scenegen.networks.generators.layer_changes import set_pixelshuffle, set_resize_conv
from scenegen.networks.layers.enlarging import PixelShuffled, ResizeConv
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.self_attention import DualGate, PositionAndChannel, SelfAttention
from scenegen.networks.layers.spade import Doubled
from tests.options import arguments, built

PAINTERS = ("gaugan", "oasis", "cocosnetv1", "cocosnetv2", "unite")
SMALL = {"height": 64, "width": 96, "ngf": 8, "hidden": 8}


def painter(name: str, **changes):
    return built(f"model/{name}", num_classes=5, **SMALL, **({"edges": False} if name == "gaugan" else {}), **changes)


def attention(name: str, **changes):
    return build.make({**arguments(f"attention/{name}"), **changes})


@pytest.mark.parametrize("name", PAINTERS)
def test_doublings_say_the_widths_that_they_meet(name: str) -> None:
    """Layers of another width than the map would refuse it; every generator numbers its doublings from 0."""
    model = painter(name)
    seen: list[tuple[int, int]] = []
    doubled = model.get_submodule("generator.doubled")
    assert isinstance(doubled, Doubled)
    doubled.register_forward_pre_hook(lambda _, given: seen.append((given[1], given[0].shape[1])))
    run(model)
    assert seen == list(enumerate(doubled.widths))


def run(model) -> Tensor:
    """The generator alone on noise of the right shapes."""
    generator = model.get_submodule("generator")
    torch.manual_seed(0)
    planes = F.one_hot(torch.randint(0, 5, (1, 64, 96)), 5).movedim(-1, 1).float()
    kind = type(generator).__name__
    if kind == "SpadeGenerator":
        inputs = torch.randn(1, generator.semantic_channels, 64, 96)
        return generator(inputs, None if generator.latent is None else torch.randn(1, generator.latent))
    if kind == "OasisGenerator":
        return generator(planes, torch.randn(1, generator.latent))
    if kind == "TranslationNet":
        return generator(tuple(torch.randn(1, 3, 64 // n, 96 // n) for n in (8, 4, 2, 1)), planes)
    ngf = SMALL["ngf"]
    sides = ((1, 5), (2, 2 * ngf), (2, 4 * ngf), (4, 8 * ngf), (4, 8 * ngf))
    layout = tuple(torch.randn(1, c, 64 // n, 96 // n) for n, c in sides)
    warped = tuple(torch.randn(1, c, 16, 24) for c in (3, 2 * ngf, 4 * ngf, 8 * ngf, 8 * ngf))
    return generator(layout, warped, torch.rand(1, 1, 16, 24))


@pytest.mark.parametrize("name", PAINTERS)
def test_attention_stands_in_every_painter_and_starts_as_the_identity(name: str) -> None:
    model = painter(name).eval()
    plain, keys = run(model), list(model.state_dict())
    attention("danet", at=[8, 2]).into_generator(model)
    torch.testing.assert_close(run(model.eval()), plain, rtol=1e-4, atol=1e-5)
    added = [key for key in model.state_dict() if key not in keys]
    assert {key.split(".")[3] for key in added} == {"1", "3"}
    assert all(key.startswith("generator.doubled.after.") for key in added)
    for layer in (part for part in model.modules() if isinstance(part, PositionAndChannel)):
        nn.init.constant_(layer.channel.gamma, 0.5)
    assert not torch.allclose(run(model), plain, atol=1e-4)


@pytest.mark.parametrize("name", ["gaugan", "oasis"])
def test_the_dual_gates_see_the_last_block(name: str) -> None:
    model = painter(name)
    attention("dual").into_generator(model)
    gate = model.get_submodule("generator.dual")
    assert isinstance(gate, DualGate)
    seen = []
    gate.register_forward_pre_hook(lambda _, given: seen.append([tuple(x.shape) for x in given]))
    run(model)
    assert seen == [[(1, 2 * SMALL["ngf"], 64, 96), (1, SMALL["ngf"], 64, 96)]]


def test_a_discriminator_gets_one_per_network_before_its_last_group() -> None:
    judge = built("discriminator/patch", semantic_channels=5, ndf=8)
    attention("self", at=[], discriminator=True).into_discriminator(judge)
    for net in judge.networks():
        assert isinstance(net.attn, SelfAttention)
        assert not net.attn.fused, "penalties differentiate twice"
        assert net.attn.value_conv.in_channels == 4 * 8
    picture = torch.randn(1, 3, 64, 64, requires_grad=True)
    score = judge(torch.randn(1, 5, 64, 64), picture).logits[0].sum()
    (slope,) = torch.autograd.grad(score, picture, create_graph=True)
    slope.square().sum().backward()


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("self", {"at": [3]}, "must name divisors"),
        ("self", {"at": [8, 8]}, "each once"),
        ("self", {"at": []}, "attention=none puts it nowhere"),
        ("self", {"at": [64]}, "names 64, but this generator's maps are 1/1 to 1/16 of the picture; choose among 1, 2"),
        ("simam", {"lambda_": 0.0}, "must be above 0"),
        ("dual", {"kernel": 4}, "must be odd"),
    ],
)
def test_refusals(name: str, changes: dict, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        attention(name, **changes).into_generator(painter("oasis"))


@pytest.mark.parametrize("name", ["cyclegan", "cut"])
def test_a_residual_generator_has_it_behind_its_last_block(name: str) -> None:
    """Published keys stay, a gain of 0 changes nothing, and the layer meets a quarter of the sides."""
    torch.manual_seed(0)
    more: dict[str, Any] = {"heads": 4, "patches": 4} if name == "cut" else {}
    model = built(f"model/{name}", num_classes=0, edges=False, height=32, width=48, ngf=4, blocks=2, **more)
    picture = torch.rand(1, 3, 32, 48) * 2 - 1
    batch, keys = Batch(source=picture), set(model.state_dict())
    before = model.sample(batch).image
    attention("self", at=[4]).into_generator(model)
    assert torch.equal(model.sample(batch).image, before)
    assert set(model.state_dict()) > keys
    seen: list[tuple[int, ...]] = []
    for block in last_blocks(model):
        assert isinstance(block.after, SelfAttention)
        block.after.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[1:])))
        torch.nn.init.ones_(block.after.gamma)
    assert not torch.equal(model.sample(batch).image, before)
    assert seen == [(16, 8, 12)]
    with pytest.raises(Refusal, match=r"at a quarter of the picture's sides; use attention.at=\[4\]"):
        attention("self", at=[8]).into_generator(model)


FILLERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "picnet": ({"height": 64, "width": 96, "sizes": {"ngf": 8, "widest": 32, "z": 8}}, [16, 8]),
    "cncl": ({"height": 32, "width": 48, "ngf": 8}, [16, 2]),
    "cncl_unet": ({"height": 32, "width": 48, "ngf": 8}, [8, 1]),
}
"""Model -> its size, and where the layers stand."""


@pytest.mark.parametrize("name", FILLERS)
def test_picnet_and_cncl_have_them_behind_their_doublings(name: str) -> None:
    """Published keys stay, a gain of 0 changes nothing, and each layer meets its part of the sides."""
    torch.manual_seed(0)
    size, at = FILLERS[name]
    model = built(f"model/{name}", num_classes=0, edges=False, **size)
    h, w, branches = size["height"], size["width"], 1 if name == "picnet" else 2
    picture, hole = torch.rand(1, 3 if branches == 1 else 1, h, w) * 2 - 1, torch.zeros(1, 1, h, w, dtype=torch.bool)
    hole[..., :16, :16] = True
    batch = Batch(source=picture, hole=hole) if branches == 1 else Batch(source=picture)
    noise = model.prior(1, seed=0)
    model.sample(batch, noise=noise)  # a power step: before any, the spectral norms divide by chance
    before, keys = model.eval().sample(batch, noise=noise).image, list(model.state_dict())
    attention("self", at=at).into_generator(model)
    assert torch.equal(model.eval().sample(batch, noise=noise).image, before)
    assert [key for key in model.state_dict() if ".after." not in key] == keys
    seen: list[tuple[int, ...]] = []
    for layer in (part for part in model.modules() if isinstance(part, SelfAttention)):
        layer.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
        nn.init.ones_(layer.gamma)
    assert not torch.allclose(model.sample(batch, noise=noise).image, before, atol=1e-6)
    assert seen == [(h // n, w // n) for n in at] * branches
    with pytest.raises(Refusal, match="names 64, but this generator's maps"):
        attention("self", at=[64]).into_generator(model)


def test_simam_behind_an_eighth_is_picnets_own() -> None:
    """`attention=simam attention.at=[8]` is the log's seed 000, which the model has as an option of its own."""
    models = [built("model/picnet", num_classes=0, edges=False, height=64, width=64, simam=simam,
                    sizes={"ngf": 8, "widest": 32, "z": 8}) for simam in (None, 1e-4)]  # fmt: skip
    batch = Batch(source=torch.rand(1, 3, 64, 64), hole=torch.rand(1, 1, 64, 64) > 0.5)
    models[0].sample(batch, noise=models[0].prior(1, seed=0))  # a power step
    models[1].load_state_dict(models[0].state_dict())
    attention("simam", at=[8]).into_generator(models[0])
    there, here = (m.eval().sample(batch, noise=m.prior(1, seed=0)).image for m in models)
    assert torch.equal(there, here)
    assert there.std() > 0.01


def test_sesames_picture_stream_gets_one_before_its_last_group() -> None:
    torch.manual_seed(0)
    judge = built("discriminator/sesame", semantic_channels=5, ndf=8).eval()
    planes, picture = torch.rand(1, 5, 64, 64), torch.rand(1, 3, 64, 64)
    before = judge(planes, picture)
    attention("self", at=[], discriminator=True).into_discriminator(judge)
    assert [net.attn.gamma.item() for net in judge.networks()] == [0, 0]
    same = judge(planes, picture)
    assert all(torch.equal(a, b) for a, b in zip(before.logits, same.logits, strict=True))
    torch.nn.init.ones_(judge.networks()[0].attn.gamma)
    after = judge(planes, picture)
    assert not torch.equal(after.logits[0], before.logits[0])
    assert torch.equal(after.logits[1], before.logits[1])
    assert torch.equal(after.features[0][2], before.features[0][2]), "groups before it"
    assert not torch.equal(after.features[0][3], before.features[0][3])


def test_models_and_discriminators_without_a_place_are_refused() -> None:
    with pytest.raises(Refusal, match="this model has no place for it"):
        attention("self").into_generator(nn.Identity())  # pyright: ignore[reportArgumentType]
    with pytest.raises(Refusal, match="behind the last block of model=gaugan"):
        attention("dual").into_generator(painter("unite"))
    with pytest.raises(Refusal, match="behind the last block of model=gaugan"):
        attention("dual").into_generator(nn.Identity())  # pyright: ignore[reportArgumentType]  no SceneModel at all
    oasis = built("discriminator/oasis", semantic_channels=5, num_classes=5, height=64, width=64, ndf=4)
    with pytest.raises(Refusal, match="no place for it"):
        attention("self", discriminator=True).into_discriminator(oasis)
    attention("self").into_discriminator(oasis)
    judge = built("discriminator/patch_attention", semantic_channels=5, ndf=8)
    with pytest.raises(Refusal, match="use one of both"):
        attention("self", discriminator=True).into_discriminator(judge)


@pytest.mark.parametrize("change", ["pixelshuffle", "resize_conv"])
@pytest.mark.parametrize("name", ["gaugan", "cocosnetv2"])
def test_learnt_enlarging(name: str, change: str) -> None:
    model = painter(name)
    if change == "pixelshuffle":
        set_pixelshuffle(model=model, nearest_start=True)
    else:
        set_resize_conv(model=model)
    initialise(model, gain=0.02)
    layers = [part for part in model.modules() if isinstance(part, PixelShuffled | ResizeConv)]
    assert len(layers) == 5
    y = layers[0](torch.randn(1, layers[0].in_channels, 3, 4))
    assert y.shape == (1, layers[0].in_channels, 6, 8)
    squares = F.interpolate(y[..., ::2, ::2], scale_factor=2, mode="nearest")
    assert torch.allclose(y, squares, atol=1e-6) == (change == "pixelshuffle"), "ICNR starts as 2x2 squares"
    assert y.std() > 0.1
    assert run(model).shape[-2:] == (64, 96)


def test_a_random_start_has_no_squares() -> None:
    layer = PixelShuffled(4, nearest_start=False)
    layer.reset(torch.Generator().manual_seed(0))
    y = layer(torch.randn(1, 4, 3, 4))
    assert not torch.allclose(y, F.interpolate(y[..., ::2, ::2], scale_factor=2, mode="nearest"), atol=1e-2)


def test_no_attention_leaves_the_digests_of_before_as_they_are() -> None:
    chosen = plan(compose("train", ["size=tiny", "width=tiny"]))
    before = {key: value for key, value in chosen.config.items() if key != "attention"}
    assert digest(before) == chosen.digest
    assert plan(compose("train", ["size=tiny", "width=tiny", "attention=simam"])).digest != chosen.digest
