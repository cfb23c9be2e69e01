"""CycleGAN, CUT and FastCUT against the authors' code: networks, the pool, and whole training steps in float64."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from scenegen.base.records import Batch
from scenegen.losses.objective import Objective
from scenegen.networks.discriminators.picture_patch import PicturePatchDiscriminator
from scenegen.networks.generators.cut import Cut, Heads
from scenegen.networks.generators.resnet import ResnetGenerator
from scenegen.networks.interop import load_official
from scenegen.runs.journal import Journal, read_rows
from scenegen.training.rounds import Rounds
from scenegen.training.tricks.history import Draws, ImagePool
from tests.options import built, loss_term, replaced

from .filled_cases import assert_first_round, check, load_filled
from .fixture_io import Case
from .losses_cases import close, load
from .places import described
from .test_sasame import ROUND

pytestmark = pytest.mark.shared
DTYPE = torch.float64
OFFERS = {"source", "image", "judgement"}


def weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("param."): t for name, t in tensors.items() if name.startswith("param.")}


@pytest.mark.parametrize("case", ["cyclegan_generator", "cut_antialiased_generator", "cyclegan_patchgan",
                                  "cut_antialiased_patchgan"])  # fmt: skip
def test_networks(case: str) -> None:
    tensors, about = load(case)
    options = about["options"]
    if "ngf" in options:
        net: nn.Module = ResnetGenerator(
            ngf=options["ngf"], blocks=options["n_blocks"], antialias=not options["no_aa"], dropout=False
        )
    else:
        layers, antialias = options["n_layers"], not options["no_aa"]
        net = PicturePatchDiscriminator(semantic_channels=0, ndf=options["ndf"], layers=layers, antialias=antialias)
    load_official(net, weights(tensors))
    made = net(tensors["in.x"]) if "ngf" in options else net(None, tensors["in.x"]).logits[0]
    close(made, "out.y", tensors, about)
    (made * tensors["in.cotangent"]).sum().backward()
    assert tensors["in.x"].grad is not None
    close(tensors["in.x"].grad, "grad.x", tensors, about)


PUBLISHED = {
    "cyclegan_generator_9blocks": lambda: ResnetGenerator(ngf=64, blocks=9, antialias=False, dropout=False),
    "cyclegan_generator_6blocks": lambda: ResnetGenerator(ngf=64, blocks=6, antialias=False, dropout=False),
    "cyclegan_generator_9blocks_dropout": lambda: ResnetGenerator(ngf=64, blocks=9, antialias=False, dropout=True),
    "cut_generator_9blocks": lambda: ResnetGenerator(ngf=64, blocks=9, antialias=True, dropout=False),
    "cyclegan_discriminator": lambda: built("discriminator/picture_patch", semantic_channels=0, antialias=False),
    "cut_discriminator": lambda: built("discriminator/picture_patch", semantic_channels=0),
    "cut_F": lambda: Heads([3, 128, 256, 256, 256], width=256),
}


def test_released_sizes_have_the_authors_keys_in_order() -> None:
    nets = described("translation", "manifest_translation")["nets"]
    for name, make in PUBLISHED.items():
        with torch.device("meta"):
            net = make()
        own = {key: list(t.shape) for key, t in net.state_dict().items()}
        assert list(own.items()) == [(key, shape) for key, shape in nets[name]["keys"].items()], name
        assert sum(p.numel() for p in net.parameters()) == nets[name]["parameters"], name


class Recorded(Draws):
    """The draws that the original made, in their order."""

    def __init__(self, numbers: Iterator[float]) -> None:
        self.numbers = numbers

    def share(self) -> float:
        return next(self.numbers)

    def below(self, count: int) -> int:
        return int(next(self.numbers))


def test_the_pool_returns_the_pictures_that_the_original_returned() -> None:
    tensors, about = load("image_pool")
    pool = ImagePool(size=about["options"]["size"], height=1, width=1, domains=1)
    for i, want in enumerate(tensors["out.y"]):
        numbers = iter([float(tensors["draw.u"][i]), float(tensors["draw.slot"][i])])
        shown = pool(torch.full((1, 3, 1, 1), float(i)), seed=0, draws=lambda _, numbers=numbers: Recorded(numbers))
        assert float(shown[0, 0]) == float(want), f"query {i}"


def test_heads_give_the_rows_of_the_patch_sampler() -> None:
    case = load_filled("translation", "cut_patch_sampler")
    features = [case.given[f"feat{n}"].to(DTYPE).requires_grad_() for n in range(2)]
    heads = Heads([f.shape[1] for f in features], width=case.options["nc"])
    load_official(heads, case.state["F"])
    rows = heads.to(DTYPE)(features, [case.given[f"ids{n}"] for n in range(2)])
    total = features[0].new_zeros(())
    for n, row in enumerate(rows):
        check(case, "out", f"layer{n}", row.flatten(0, 1))
        flat = row.flatten()
        total = total + (flat.square() * torch.linspace(-1, 1, len(flat), dtype=DTYPE)).sum()
    total.backward()
    for name, parameter in heads.named_parameters():
        check(case, "grad", name, parameter.grad)
    for n, feature in enumerate(features):
        check(case, "grad", f"in.feat{n}", feature.grad)


class First(pl.Callback):
    """Keeps the module's weights after its first round."""

    state: dict[str, Tensor]

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if batch_idx == 0:
            self.state = {key: value.clone() for key, value in pl_module.state_dict().items()}


def train(module: Rounds, batches: Sequence[Batch], folder: Path) -> tuple[list[dict[str, str]], dict[str, Tensor]]:
    """Rounds of the one module through Lightning; the logged rows, and the weights after the first round."""
    first = First()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="32-true",  # converts nothing; the module is in float64 already
        max_steps=len(batches),
        max_epochs=-1,
        log_every_n_steps=1,
        logger=Journal(folder / "metrics.csv"),
        callbacks=[first],
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(batches, batch_size=None))  # pyright: ignore[reportArgumentType]
    return read_rows(folder / "metrics.csv"), first.state


def given(case: Case, count: int) -> list[Batch]:
    return [Batch(source=case.given[f"A{n}"].to(DTYPE), image=case.given[f"B{n}"].to(DTYPE)) for n in range(count)]


def watched(module: Rounds) -> dict[str, Tensor]:
    """The first gradient of every parameter, kept when it is made."""
    grads: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(parameter: Tensor) -> None:
            assert parameter.grad is not None
            grads.setdefault(name, parameter.grad.clone())

        return hook

    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(keep(name))
    return grads


@pytest.mark.parametrize("name", ["cyclegan_train_steps"])
def test_cyclegan_repeats_the_published_training(name: str, tmp_path: Path) -> None:
    case = load_filled("translation", name)
    options = case.options
    sides: dict[str, Any] = {"height": 32, "width": 40}
    model = built("model/cyclegan", num_classes=1, edges=False, ngf=options["ngf"], blocks=6,
                  identity=options["lambda_identity"] > 0, **sides)  # fmt: skip
    judge = built("discriminator/two_way", semantic_channels=0, ndf=options["ndf"])
    load_official(model, {letter: case.state[letter] for letter in ("G_A", "G_B")})
    load_official(judge, {letter: case.state[letter] for letter in ("D_A", "D_B")})
    shares = {"there": options["lambda_A"] / 10, "back": options["lambda_B"] / 10}
    crossed = {"there": shares["back"], "back": shares["there"]}  # G_A's identity has the weight of the other cycle
    gan = {"lsgan": "lsgan", "vanilla": "nonsaturating"}[options["gan_mode"]]
    terms: dict[str, Any] = {"gan": loss_term(gan), "cycle": loss_term("cycle", **shares)}
    scale = {"gan": 2.0, "cycle": 10.0, "identity": 10 * options["lambda_identity"]}
    terms |= {"identity": loss_term("identity", **crossed)} if options["lambda_identity"] else {}
    objective = Objective(terms=terms, weights=scale, extractors={}, offers=model.offers | OFFERS)
    numbers = iter([value for _, value in case.meta["pool_draws"]])
    returned: list[Tensor] = []

    class Drawn(ImagePool):
        """The pool with the original's draws."""

        def forward(self, fresh: Tensor, *, seed: int, draws: Any = None) -> Tensor:
            returned.append(super().forward(fresh, seed=seed, draws=lambda _: Recorded(numbers)))
            return returned[-1]

    pool = Drawn(size=options["pool_size"], domains=2, **sides)
    optim = replaced("optim/cyclegan", lr_generator=options["lr"], betas=[options["beta1"], 0.999])
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, history=pool, **ROUND).double()
    grads = watched(module)
    count = len([key for key in case.given if key.startswith("A")])
    batches = given(case, count)
    with torch.no_grad():
        made = module.model(batches[0])
    cycle = made.cycle
    assert cycle is not None
    pictures = {"fake_B": made.image, "rec_A": cycle.there_and_back, "fake_A": cycle.back,
                "rec_B": cycle.back_and_there, "idt_A": cycle.same, "idt_B": cycle.same_back}  # fmt: skip
    for key in [key for key in case.out if key.startswith("iter0/picture_")]:
        check(case, "out", key, pictures[key.removeprefix("iter0/picture_")])
    rows, after = train(module, batches, tmp_path)
    assert next(numbers, None) is None, "every draw of the original was asked for"
    for n, row in enumerate(rows):
        want = {key: case.out[f"iter{n}/{key}"].item() for key in ("G_A", "G_B", "cycle_A", "cycle_B", "D_A", "D_B")}
        assert float(row["gan"]) * 2 == pytest.approx(want["G_A"] + want["G_B"], rel=1e-5)
        assert float(row["cycle"]) * 10 == pytest.approx(want["cycle_A"] + want["cycle_B"], rel=1e-5)
        assert float(row["D"]) == pytest.approx(want["D_A"] + want["D_B"], rel=1e-5)
        if options["lambda_identity"]:
            both = case.out[f"iter{n}/idt_A"].item() + case.out[f"iter{n}/idt_B"].item()
            assert float(row["identity"]) * scale["identity"] == pytest.approx(both, rel=1e-5)
        for part, key in enumerate(("fake_B", "fake_A")):
            mean = returned[n][:, 3 * part : 3 * part + 3].mean((1, 2, 3))
            check(case, "out", f"iter{n}/{key}_pool_mean", mean)
    places = {"G_A": "model.there", "G_B": "model.back", "D_A": "discriminator.of_target",
              "D_B": "discriminator.of_source"}  # fmt: skip
    assert_first_round(case, grads, after, places)


class Told(Cut):
    """CUT with the places and mirrorings that the original drew."""

    drawn: Iterator[list[Tensor]]
    mirrors: Iterator[bool]

    def places(self, counts: Sequence[int]) -> list[Tensor]:
        found = next(self.drawn)
        assert all(int(p.max()) < count for p, count in zip(found, counts, strict=True))
        return found

    def mirrored(self) -> bool:
        return next(self.mirrors)


def misreads() -> bool:
    """True where torch's instance norm takes a gradient that lies channels last for one that lies channels first.

    So on a CPU, for a batch of one picture, as released trainings have it.
    """
    torch.manual_seed(0)
    x = torch.randn(1, 4, 5, 6, requires_grad=True)
    y = nn.InstanceNorm2d(4)(x)
    slope = torch.randn_like(y)
    first, last = (torch.autograd.grad(y, x, slope.contiguous(memory_format=kind), retain_graph=True)[0]
                   for kind in (torch.contiguous_format, torch.channels_last))  # fmt: skip
    return not torch.allclose(first, last, atol=1e-4)


def as_released(self: Heads, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
    """`Heads.forward` on rows that are gathered channels last: the same numbers, and a gradient that lies so."""
    rows = [f.permute(0, 2, 3, 1).flatten(1, 2)[:, p] for f, p in zip(features, places, strict=True)]
    made = [head(row) for head, row in zip(self.children(), rows, strict=True)]
    return [x / (x.norm(dim=-1, keepdim=True) + 1e-7) for x in made]


@pytest.mark.skipif(not misreads(), reason="this torch takes the gradient as it lies, and the recording torch did not")
@pytest.mark.parametrize("name", ["cut_train_steps", "fastcut_train_steps"])
def test_cut_repeats_the_published_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, all losses, gradients and moves of G, D and F, and the losses of the second iteration.

    The released code gathers its rows channels last, and the recorded gradients of G's weights are what torch's
    instance norm makes of a gradient that lies so: no derivative of the recorded loss. Ours are gathered channels
    first, where the gradient is the loss' difference quotient (test_the_slope_of_the_contrast in
    tests/networks/test_translation.py); for this comparison alone they are gathered as released.
    """
    monkeypatch.setattr(Heads, "forward", as_released)
    case = load_filled("translation", name)
    options = case.options
    count = len([key for key in case.given if key.startswith("A")])
    height, width = case.given["A0"].shape[-2:]
    model = Told(num_classes=1, edges=False, height=height, width=width, ngf=options["ngf"], blocks=6, antialias=True,
                 dropout=False, identity=options["nce_idt"], flip=options["flip_equivariance"],
                 layers=[int(n) for n in options["nce_layers"].split(",")], patches=options["num_patches"],
                 heads=options["netF_nc"])  # fmt: skip
    judge = built("discriminator/picture_patch", semantic_channels=0, ndf=options["ndf"])
    load_official(model, {letter: case.state[letter] for letter in ("G", "F")})
    load_official(judge, case.state["D"])
    calls = 1 + options["nce_idt"]
    draws = [
        [case.given[f"ids_iter{n}_call{c}_layer{layer}"] for layer in range(len(model.layers))]
        for n in range(count)
        for c in range(calls)
    ]
    told = re.search(r"flip draws: \[([^]]*)\]", case.meta["how"])
    flips = [float(draw) < 0.5 for draw in told[1].split(",")] if told else [False] * count
    terms: dict[str, Any] = {"gan": loss_term("lsgan_half"), "nce": loss_term("nce", temperature=options["nce_T"])}
    scale = {"gan": options["lambda_GAN"], "nce": options["lambda_NCE"]}
    objective = Objective(terms=terms, weights=scale, extractors={}, offers=model.offers | OFFERS)
    optim = replaced("optim/cyclegan", lr_generator=options["lr"], betas=[options["beta1"], options["beta2"]])
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, **ROUND).double()
    model.drawn, model.mirrors = iter(draws[:calls]), iter(flips[:1])
    batches = given(case, count)
    with torch.no_grad():
        made = model(batches[0])
    check(case, "out", "iter0/picture_fake_B", model.shown(batches[0], made).fake)
    contrast = made.contrast
    assert contrast is not None
    nce: Any = objective.terms["nce"]
    check(case, "out", "iter0/NCE", scale["nce"] * nce.of_rows(contrast.there))
    if contrast.same is not None:
        check(case, "out", "iter0/NCE_Y", scale["nce"] * nce.of_rows(contrast.same))
    model.drawn, model.mirrors = iter(draws), iter(flips)
    grads = watched(module)
    rows, after = train(module, batches, tmp_path)
    for n, row in enumerate(rows):
        want = {key.removeprefix(f"iter{n}/"): value.item() for key, value in case.out.items() if not value.ndim}
        both = [want["NCE"], *([want["NCE_Y"]] if "NCE_Y" in want else [])]
        assert float(row["gan"]) * scale["gan"] == pytest.approx(want["G_GAN"], rel=1e-5)
        assert float(row["nce"]) * scale["nce"] == pytest.approx(sum(both) / len(both), rel=1e-5)
        assert float(row["G"]) == pytest.approx(want["G"], rel=1e-5)
        assert 2 * float(row["D_fake"]) == pytest.approx(want["D_fake"], rel=1e-5)
        assert 2 * float(row["D_real"]) == pytest.approx(want["D_real"], rel=1e-5)
    assert_first_round(case, grads, after, {"G": "model.generator", "D": "discriminator", "F": "model.heads"})
