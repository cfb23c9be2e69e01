"""loss= is a free choice: every pair composes, pairs and options make steps (tests/test_families.py builds each)."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest
import torch
from hydra.errors import ConfigCompositionException

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.networks.layers.init import initialise
from scenegen.train import Settings

LOSSES = sorted(path.stem for path in (conf_folder() / "loss").glob("*.yaml") if path.stem != "none")
PAIRS = [f"{a}+{b}" for a, b in combinations(LOSSES, 2)]
SHUFFLED = random.Random(3).sample(LOSSES, len(LOSSES))
COVER = ["+".join((SHUFFLED[i], SHUFFLED[i + 1 - len(SHUFFLED)])) for i in range(0, len(SHUFFLED), 2)]
"""Each option in a pair: what the default run composes; the slow one takes all pairs."""
OWN = {
    **{kind: {"gan": kind} for kind in ("hinge", "lsgan", "nonsaturating", "saturating", "wgan", "lsgan_half")},
    **{kind: {"gan": kind} for kind in ("rahinge", "ralsgan", "ragan")},
    **{kind: {"gan": "wgan", "gp": kind} for kind in ("wgan_gp", "wgan_lp", "wgan_div")},
    "dragan": {"gp": "dragan"},
    **{kind: {"gan": kind} for kind in ("oasis", "oasis_unbalanced", "picnet_gan", "picnet_hinge", "pdgan_gan")},
}
"""Options that fill places of another name -> place: what stands there. There is one adversarial term and one `gp`."""


def rivals(loss: str) -> bool:
    """True where a pair's options want one place for different things."""
    one, other = (OWN.get(part, {part: part}) for part in loss.split("+"))
    return any(one[key] != other[key] for key in one.keys() & other.keys())


HOME = {
    **dict.fromkeys(
        ("aligned", "mcl", "cx_exemplar", "pseudo", "warp_label", "warp_label_l1", "warp_self"), "cocosnetv1"
    ),
    "warp_cycle": "cocosnetv2",
    **dict.fromkeys(("oasis", "oasis_unbalanced", "labelmix"), "oasis"),
    **dict.fromkeys(("cycle", "identity"), "cyclegan"),
    "nce": "cut",
    **dict.fromkeys(("picnet_kl", "appearance", "picnet_gan", "picnet_hinge", "picnet_scores"), "picnet"),
    **dict.fromkeys(("pdgan_gan", "pdgan_vgg", "hole_tv", "hole_diversity", "hole_l1"), "pdgan"),
    **dict.fromkeys(("whole_of_both", "map_diversity"), "picnet_spdnorm"),
    "cross_entropy": "scenenet",
    "branches": "cncl",
    "coarse": "a prior map",
    "teacher": "an average",
    "inception": "FID's network",
    "content": "layers before their ReLU",
}
"""Options that ask for exemplars, their warps, a segmenting discriminator or another task -> a model that has them."""
OTHER_TASKS = (
    "cyclegan",
    "cut",
    "scenenet",
    "picnet",
    "pdgan",
    "picnet_spdnorm",
    "cncl",
    "a prior map",
    "an average",
    "FID's network",
    "layers before their ReLU",
)
"""Models that paint no label maps, and what else terms ask for; these make steps in tests of their own."""
UNSEEN = {"kld", "aligned", "mcl", "warp_cycle", "warp_label", "warp_label_l1", "warp_self"}
"""Terms that look at the latent, the features or the warp, not at the picture."""
STEPPABLE = [pair for pair in PAIRS if not rivals(pair) and HOME.keys().isdisjoint(pair.split("+"))]
STEPPED = random.Random(0).sample(STEPPABLE, 6)


@cache
def config(loss: str, *, side: int = 32, model: str = "gaugan") -> dict[str, Any]:
    small = ["size=tiny", f"size.height={side}", "width=tiny", "data.count=2"]
    overrides = [*small, "weights=random", "extractor=scenenet"]
    chosen = compose("train", [f"model={model}", f"loss={loss}", "data.test_count=1", *overrides])
    return plan(chosen, settings=Settings).config


def named(loss: str) -> set[str]:
    """The terms that an option's own file brings."""
    return {name for part in loss.split("+") for name in OWN.get(part, {part: part})}


def composes(loss: str) -> None:
    """It passes the check with its own terms and the model's; two options for one place are refused in a sentence."""
    if rivals(loss):
        with pytest.raises(ConfigCompositionException, match="there is one of it; keep one of them"):
            config(loss)
    else:
        assert set(config(loss)["loss"]) == named(loss) | {"gan", "feature_matching", "vgg", "kld"}


@pytest.mark.parametrize("loss", COVER)
def test_a_cover_of_pairs_composes(loss: str) -> None:
    composes(loss)


@pytest.mark.slow
@pytest.mark.parametrize("loss", PAIRS)
def test_every_pair_composes(loss: str) -> None:
    composes(loss)


def stepped(loss: str, *, side: int, model: str = "gaugan") -> None:
    """One forward and backward of both sides, with finite numbers and a gradient in both networks."""
    chosen = config(loss, side=side, model=model)
    data = build.dataset(chosen, split="train")
    batch = collate([data[(0, index)] for index in range(2)])
    if batch.exemplar is not None:
        batch = replace(batch, self_reference=torch.tensor([True, False]))
    torch.manual_seed(0)
    generator = build.model(chosen, data)
    judge = build.discriminator(chosen, generator)
    for network in (generator, judge):
        initialise(network, gain=chosen["init_gain"])
    objective = build.objective(chosen, generator, data)
    noise = torch.randn(2, *generator.noise_shape) if generator.noise_shape else None
    synthesis = generator(batch, noise=noise)
    semantics = generator.condition(batch)
    again = generator.sample(batch, noise=-noise) if "again" in objective.needs and noise is not None else None

    def judged(picture: torch.Tensor) -> Any:
        return judge(semantics.repeat(2, 1, 1, 1), torch.cat([picture, batch.require("image")])).split([2, 2])

    fake, real = judged(synthesis.image)
    encode = generator.encode if "encode" in generator.offers else None
    total, values = objective.generator(
        batch=batch, synthesis=synthesis, fake=fake, real=real, again=again, encode=encode, slopes=True
    )
    total.backward()
    assert named(loss) - set(objective.penalties) <= set(values)
    assert torch.isfinite(torch.stack(list(values.values()))).all(), values
    for name in (named(loss) & set(values)) - UNSEEN:
        assert values[f"grad/{name}"] > 0, name
    judge.zero_grad(set_to_none=True)
    fake, real = judged(synthesis.image.detach())
    loss_d, _ = objective.discriminator(fake, real)
    penalty, _ = objective.penalty(
        lambda x: judge(semantics, x), fake=synthesis.image.detach(), real=batch.image, judged=(fake, real)
    )
    (loss_d + penalty).backward()
    for network in (generator, judge):
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("loss", STEPPED)
def test_a_sample_of_pairs_makes_a_step(loss: str) -> None:
    stepped(loss, side=64 if "pieapp" in loss else 32)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if HOME.get(loss) not in OTHER_TASKS])
def test_every_option_makes_a_step(loss: str) -> None:
    model = HOME.get(loss, "gaugan")
    stepped(loss, side=64 if loss == "pieapp" or model != "gaugan" else 32, model=model)
