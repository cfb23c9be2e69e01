"""OASIS against recorded runs of the original: networks, losses, LabelMix, whole rounds with the average."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement
from scenegen.losses import oasis as oasis_losses
from scenegen.losses.oasis import (
    LabelMix,
    SegmentationGan,
    UnbalancedSegmentationGan,
    class_weights,
    labelmix,
    mix_mask,
    named_fake,
    named_right,
)
from scenegen.losses.objective import Objective, Part
from scenegen.networks.discriminators.oasis import MULTIPLES, OasisDiscriminator
from scenegen.networks.generators.oasis import Oasis
from scenegen.networks.interop import load_official
from scenegen.runs.journal import read_rows
from scenegen.training.optim import TwoTimescaleAdam
from scenegen.training.rounds import Rounds
from scenegen.training.tricks.average import Ema
from tests.options import built

from .fixture_io import Case, load_case
from .places import cases, described, descriptions
from .test_gaugan import PRECISIONS, SEMANTIC_NORMS, check_grad_and_buffers
from .test_sasame import ROUND, fit

UNKNOWN = 0
CORNERS = {"generator_ch8_wide"}
"""Cases where an activation lies so near to LeakyReLU's corner (6e-7) that float32 may take the other slope."""


def model_of(options: dict[str, Any]) -> Oasis:
    columns = options.get("crop_size", 256) // 32
    return built(
        "model/oasis",
        num_classes=options.get("semantic_nc", 151),
        width=columns * 32,
        height=round(columns / options.get("aspect_ratio", 1.0)) * 32,  # the start grid decides
        ngf=options.get("channels_G", 64),
        latent=0 if options.get("no_3dnoise") else options.get("z_dim", 64),
        norm=SEMANTIC_NORMS[options.get("param_free_norm", "syncbatch")],
        kernel=options.get("spade_ks", 3),
    )


def judge_of(case_meta: dict[str, Any], size: tuple[int, int] = (64, 64)) -> OasisDiscriminator:
    """With `widths` of the meta, [3, of the six halving blocks, last], in place of the published ones."""
    classes = case_meta["options"].get("semantic_nc", 151)
    widths = case_meta.get("widths")
    ndf = widths[-1] if widths else 64
    return built(
        "discriminator/oasis",
        semantic_channels=classes,
        num_classes=classes,
        height=size[0],
        width=size[1],
        ndf=ndf,
        widths=[w // ndf for w in widths[1:-1]] if widths else MULTIPLES,
    )


def batch_of(case: Case, dtype: torch.dtype, label: str = "label") -> Batch:
    ids = case.given[label][:, 0].long()
    image = case.given.get("image")
    return Batch(label=ids, image=torch.zeros(len(ids), 3, 1, 1) if image is None else image.to(dtype))


def unknown_of(options: dict[str, Any]) -> int | None:
    return UNKNOWN if options.get("contain_dontcare_label", True) else None


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if "full" in name else ())
     for name in cases("oasis", runner="oasis_generator")],
)  # fmt: skip
def test_generator(name: str, dtype: torch.dtype) -> None:
    case = load_case("oasis", name)
    step = case.meta.get("subsample", 1)
    noise = case.given["z"].to(dtype) if "z" in case.given and not case.options.get("no_3dnoise") else None
    for mode in case.meta.get("modes", ["eval", "train"]):
        model = model_of(case.options)
        load_official(model, case.state["G"])
        model.to(dtype).train(mode == "train")
        with torch.set_grad_enabled(mode == "train"):
            image = model.sample(batch_of(case, dtype), noise=noise).image
        case.check("out", f"{mode}/image", image[..., ::step, ::step], dtype)
        if mode == "train":
            image.mean().backward()
            if name in CORNERS and dtype == torch.float32:
                case.grad.clear()
                case.meta["grad_params"] = []
            check_grad_and_buffers(case, model.generator, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", cases("oasis", runner="oasis_discriminator"))
def test_discriminator(name: str, dtype: torch.dtype) -> None:
    case = load_case("oasis", name)
    image = case.given["image"].to(dtype)
    for mode in case.meta.get("modes", ["eval", "train"]):
        net = judge_of(case.meta, (image.shape[-2], image.shape[-1]))
        load_official(net, case.state["D"])
        net.to(dtype).train(mode == "train")
        planes = torch.zeros(len(image), net.condition_channels, *image.shape[-2:], dtype=dtype)
        (scores,) = net(planes, image).logits
        case.check("out", f"{mode}/scores", scores, dtype)
        if mode == "train":
            scores.mean().backward()
            check_grad_and_buffers(case, net, dtype)


@pytest.mark.parametrize("name", descriptions("oasis", "manifest_"))
def test_manifest(name: str) -> None:
    manifest = described("oasis", name)
    with torch.device("meta"):
        nets = {"G": model_of(manifest["options"]).generator, "D": judge_of(manifest)}
    for letter, want in manifest["nets"].items():
        rows = [[k, list(t.shape), str(t.dtype).removeprefix("torch.")] for k, t in nets[letter].state_dict().items()]
        assert rows == want["state_dict_in_order"]
        assert len(rows) == want["entries"]
        assert sum(p.numel() for p in nets[letter].parameters()) == want["parameters"]
        assert sum(b.numel() for b in nets[letter].buffers()) == want["buffers"]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", cases("oasis", runner="oasis_losses"))
def test_losses(name: str, dtype: torch.dtype) -> None:
    case = load_case("oasis", name)
    label = case.given["label"][:, 0].long()
    unknown = unknown_of(case.options)
    for kind in ("balanced", "unbalanced"):
        for real in (True, False):
            scores = case.given["scores"].to(dtype, copy=True).requires_grad_()
            judged = Judgement(logits=(scores,), label=label)
            value = named_right(judged, balanced=kind == "balanced", unknown=unknown) if real else named_fake(judged)
            case.check("out", f"{kind}/for_real_{real}", value.reshape(1), dtype)
            value.backward()
            assert scores.grad is not None
            case.check("grad", f"{kind}/for_real_{real}", scores.grad, dtype)
    weights = class_weights(label, num_classes=case.options["semantic_nc"], unknown=unknown)
    case.check("out", "weight_map", weights[label].unsqueeze(1), torch.float32)
    three = {side: case.given[f"scores_{side}"].to(dtype).requires_grad_() for side in ("mixed", "fake", "real")}
    value = labelmix(**three, mask=case.given["mask"].bool())
    case.check("out", "labelmix", value.reshape(1), dtype)
    value.backward()
    for side, scores in three.items():
        assert scores.grad is not None
        case.check("grad", f"labelmix/{side}", scores.grad, dtype)


def coins_of(label: Tensor, draws: Iterator[int], num_classes: int) -> Tensor:
    """One coin per class of the batch, ascending, as the release throws them."""
    coins = torch.zeros(num_classes, dtype=torch.bool)
    for c in label.unique().tolist():
        coins[c] = bool(next(draws))
    return coins


@pytest.mark.parametrize("name", cases("oasis", runner="oasis_labelmix"))
def test_mixing(name: str) -> None:
    case = load_case("oasis", name)
    label = case.given["label"][:, 0].long()
    draws = [key for key in case.given if key.startswith("draws")]
    assert draws
    for key in draws:
        k = key.removeprefix("draws")
        coins = coins_of(label, iter(case.given[key].tolist()), case.options["semantic_nc"])
        mask = mix_mask(label, coins, chained=True)
        case.check("out", f"mask{k}", mask, torch.float32)
        mixed = torch.where(mask, case.given["real"], case.given["fake"])
        case.check("out", f"mixed{k}", mixed[..., ::2, ::2], torch.float32)


class PublishedEma(Ema):
    """The release's average: of every entry of the state dict, without a warm-up, then the statistics pass."""

    def __init__(self, model: nn.Module, *, decay: float, due: set[int], batches: list[Batch], noise: Any) -> None:
        super().__init__(model, decay=decay)
        self.due, self.batches, self.noise = due, batches, noise

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        for mean, value in zip(self.average.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - self.decay)
        if step in self.due:
            self.average.train()
            for batch in self.batches:
                self.average(batch, noise=next(self.noise))


@pytest.mark.parametrize("name", cases("oasis", runner="oasis_train"))
def test_the_module_repeats_the_published_training(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, dtype = load_case("oasis", name), torch.float64
    options = case.options
    batch = batch_of(case, dtype)
    label = batch.require("label")
    model, judge = model_of(options), judge_of(case.meta, (label.shape[-2], label.shape[-1]))
    load_official(model, case.state["G"])
    load_official(judge, case.state["D"])
    rows = {kind: [key for key in sorted(case.given) if key[: len(kind)] == kind and key[len(kind) :].isdigit()]
            for kind in ("z", "mix", "statlabel")}  # fmt: skip
    noise = iter([case.given[key].to(dtype) for key in rows["z"]])
    draws = iter([int(case.given[key]) for key in rows["mix"]])
    monkeypatch.setattr(oasis_losses, "thrown", lambda n, seed: coins_of(label, draws, n))
    monkeypatch.setattr(Rounds, "_noise", lambda module, batch, side: next(noise) if module.model.noise_shape else None)
    mixes = not options.get("no_labelmix", False)
    kind = UnbalancedSegmentationGan if options.get("no_balancing_inloss") else SegmentationGan
    terms: dict[str, Part] = {"gan": kind(unknown=unknown_of(options))}
    weights: dict[str, float] = {"gan": 1.0}
    if mixes:
        terms["labelmix"] = LabelMix(chained=True)
        weights["labelmix"] = options.get("lambda_labelmix", 10.0)
    objective = Objective(terms=terms, weights=weights, extractors={}, offers={"image", "posterior.z", "segmentation"})
    first = case.meta.get("first_iter", 0)
    usual = {"freq_print": 1000, "freq_fid": 5000, "freq_save_ckpt": 20000, "freq_save_latest": 10000}
    periods = [options.get(name, period) for name, period in usual.items()]
    due = {n for n in range(case.meta["iterations"]) if any((n + first) % period == 0 for period in periods)}
    statistics = [batch_of(case, dtype, key) for key in rows["statlabel"]]
    ema = PublishedEma(model, decay=options.get("EMA_decay", 0.9999), due=due, batches=statistics, noise=noise)
    if "EMA" in case.state:
        load_official(ema.average, case.state["EMA"])  # pyright: ignore[reportArgumentType]
    optim = TwoTimescaleAdam(
        lr_generator=options.get("lr_g", 1e-4),
        lr_discriminator=options.get("lr_d", 4e-4),
        betas=(options.get("beta1", 0.0), options.get("beta2", 0.999)),
    )
    rhythm = {**ROUND, "reuse_fake": False}
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, average=ema, **rhythm).to(dtype)
    fit(module, [batch] * case.meta["iterations"], tmp_path)
    names = {"G_adv": "gan", "G_total": "G", "D_fake": "D_fake", "D_real": "D_real", "D_labelmix": "labelmix",
             "D_total": "D"}  # fmt: skip
    for n, row in enumerate(read_rows(tmp_path / "metrics.csv")):
        found = {key: float(row[ours]) for key, ours in names.items() if ours in row}
        if mixes:
            found["D_labelmix"] *= weights["labelmix"]  # recorded with its weight
        for key in (key for key in case.out if key.startswith(f"iter{n}/") and key.split("/")[1] in names):
            value = found[key.split("/")[1]]
            assert value == pytest.approx(case.out[key].item(), rel=1e-5), key
    nets = {"G": model.generator, "D": judge, "EMA": ema.average.generator}
    for key in case.after:
        letter, parameter = key.split("/", 1)
        case.check("after", key, nets[letter].state_dict()[parameter], dtype)  # pyright: ignore
