"""GauGAN's networks against recorded runs of the original: outputs, gradients, buffers, whole training steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.generators.spade import DOUBLINGS
from scenegen.networks.interop import load_official
from scenegen.networks.layers.encoder import ImageEncoder
from scenegen.networks.layers.semantics import semantics
from tests.options import built

from .fixture_io import Case, load_case
from .places import described, descriptions

PRECISIONS = [torch.float64, torch.float32]
GENERATORS = [
    "generator_ngf4_seg_other_size",
    "generator_ngf8",
    "generator_ngf8_wide_dontcare",
    "generator_stored",
    "generator_vae_ngf8_wide",
    "generator_vae_stored",
    pytest.param("generator_full_256", marks=pytest.mark.slow),
]
SEMANTIC_NORMS = {"syncbatch": "batch", "batch": "per_process_batch", "instance": "instance"}


def model_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The official options as arguments of GauGAN."""
    upsampling = options.get("num_upsampling_layers", "normal")
    step = 2 ** DOUBLINGS[upsampling]
    columns = options.get("crop_size", 256) // step
    kind = options.get("norm_G", "spectralspadesyncbatch3x3")
    return {
        "num_classes": options.get("label_nc", 29) + options.get("contain_dontcare_label", False),
        "edges": not options.get("no_instance", True),
        "width": columns * step,
        "height": round(columns / options.get("aspect_ratio", 1.0)) * step,  # the start grid decides
        "ngf": options.get("ngf", 64),
        "vae": options.get("use_vae", False),
        "upsampling": upsampling,
        "spectral": kind.startswith("spectral"),
        "norm": SEMANTIC_NORMS[kind.removeprefix("spectral").removeprefix("spade")[:-3]],
        "kernel": int(kind[-1]),
    }


def judge_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The official options as arguments of PatchDiscriminator."""
    arguments = model_arguments(options)
    return {
        "semantic_channels": arguments["num_classes"] + arguments["edges"],
        "ndf": options.get("ndf", 64),
        "layers": options.get("n_layers_D", 4),
        "scales": options.get("num_D", 2),
    }


def build(case: Case, dtype: torch.dtype) -> GauGAN:
    """The model of a case with the recorded weights."""
    model = built("model/gaugan", **model_arguments(case.options))
    if "G" in case.state:
        load_official(model.generator, case.state["G"])
    if "E" in case.state:
        assert model.encoder is not None
        load_official(model.encoder, case.state["E"])
    return model.to(dtype)


def planes(case: Case, dtype: torch.dtype) -> Tensor:
    """The semantics of a case."""
    arguments = model_arguments(case.options)
    instance = case.given["instance"][:, 0] if arguments["edges"] else None
    return semantics(case.given["label"][:, 0], num_classes=arguments["num_classes"], instance=instance, dtype=dtype)


def check_grad_and_buffers(case: Case, net: nn.Module, dtype: torch.dtype) -> None:
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    assert set(case.meta.get("grad_params", [])) == set(case.grad)
    for name in case.grad:
        grad = parameters[name].grad
        assert grad is not None
        case.check("grad", name, grad, dtype)
    for name in case.after:
        case.check("after", name, buffers[name], dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", GENERATORS)
def test_generator(name: str, dtype: torch.dtype) -> None:
    case = load_case("gaugan", name)
    step = case.meta.get("subsample", 1)
    z = case.given["z"].to(dtype) if "z" in case.given else None
    for mode in case.meta.get("modes", ["eval", "train"]):
        net = build(case, dtype).generator.train(mode == "train")
        with torch.set_grad_enabled(mode == "train"):
            image = net(planes(case, dtype), z)
        case.check("out", f"{mode}/image", image[..., ::step, ::step], dtype)
        if mode == "train":
            image.mean().backward()
            check_grad_and_buffers(case, net, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["encoder_ngf8", "encoder_stored"])
def test_encoder(name: str, dtype: torch.dtype) -> None:
    case = load_case("gaugan", name)
    pictures = sorted(key for key in case.given if key.startswith("image"))
    for mode in ("eval", "train"):
        encoder = build(case, dtype).encoder
        assert isinstance(encoder, ImageEncoder)
        encoder.train(mode == "train")
        found = {picture: encoder(case.given[picture].to(dtype)) for picture in pictures}
        for picture, (mu, logvar) in found.items():
            case.check("out", f"{mode}/mu/{picture}", mu, dtype)
            case.check("out", f"{mode}/logvar/{picture}", logvar, dtype)
        if mode == "train":
            sum(t.mean() for pair in found.values() for t in pair).backward()  # type: ignore[union-attr]
            check_grad_and_buffers(case, encoder, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["encoder_ngf8", "encoder_stored"])
def test_reparametrisation(name: str, dtype: torch.dtype) -> None:
    case = load_case("gaugan", name)
    model = build(case, dtype).eval()
    style = case.given[min(key for key in case.given if key.startswith("image"))].to(dtype)
    label = torch.zeros(len(style), 32, 32, dtype=torch.int64)
    given = Batch(label=label, exemplar=style)
    found = GauGAN.sample(_without_painting(model), given, noise=case.given["eps"].to(dtype)).posterior
    assert found is not None
    assert found.mu is not None
    assert found.logvar is not None
    case.check("out", "z", found.z, dtype)
    kld = -0.5 * (1 + found.logvar - found.mu.square() - found.logvar.exp()).sum()
    case.check("out", "kld", kld.reshape(case.out["kld"].shape), dtype)


def _without_painting(model: GauGAN) -> GauGAN:
    """Only the latent is looked at; the procedural weights of a 256 generator would take a second each."""
    model.condition = lambda batch: batch.label  # type: ignore[method-assign]  # the latent alone is looked at
    model.generator.forward = lambda planes, z: z  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["discriminator_stored", "discriminator_wide_dontcare"])
def test_discriminator(name: str, dtype: torch.dtype) -> None:
    case = load_case("gaugan", name)
    for mode in ("eval", "train"):
        net = built("discriminator/patch", **judge_arguments(case.options))
        load_official(net, case.state["D"])
        net.to(dtype).train(mode == "train")
        judgement = net(planes(case, dtype), case.given["image"].to(dtype))
        maps = [[*f, s] for f, s in zip(judgement.features, judgement.logits, strict=True)]
        for i, scale in enumerate(maps):
            for j, found in enumerate(scale):
                case.check("out", f"{mode}/d{i}/f{j}", found, dtype)
        assert sum(map(len, maps)) == sum(key.startswith(mode) for key in case.out)
        if mode == "train":
            torch.stack([found.mean() for scale in maps for found in scale]).sum().backward()
            check_grad_and_buffers(case, net, dtype)


def test_preprocess() -> None:
    case = load_case("gaugan", "preprocess")
    case.check("out", "semantics", planes(case, torch.float32), torch.float32)


@pytest.mark.parametrize("name", descriptions("gaugan", "manifest_"))
def test_manifest(name: str) -> None:
    manifest = described("gaugan", name)
    with torch.device("meta"):
        model = built("model/gaugan", **model_arguments(manifest["options"]))
        judge = built("discriminator/patch", **judge_arguments(manifest["options"]))
    assert model.condition_channels == manifest["semantic_nc"]
    nets = {"G": model.generator, "E": model.encoder, "D": judge}
    for letter, want in manifest["nets"].items():
        net = nets[letter]
        assert net is not None
        rows = [[key, list(t.shape), str(t.dtype).removeprefix("torch.")] for key, t in net.state_dict().items()]
        assert rows == want["state_dict_in_order"]
        assert len(rows) == want["entries"]
        assert sum(p.numel() for p in net.parameters()) == want["parameters"]
        assert sum(b.numel() for b in net.buffers()) == want["buffers"]


def generator_losses(fake: Judgement, real: Judgement) -> dict[str, Tensor]:
    """Hinge and feature matching (weight 10) as specified, inline so that the check owes the losses nothing."""
    scales = len(fake.logits)
    pairs = [
        (f, r.detach())
        for fs, rs in zip(fake.features, real.features, strict=True)
        for f, r in zip(fs, rs, strict=True)
    ]
    return {
        "GAN": torch.stack([-s.mean() for s in fake.logits]).sum() / scales,
        "GAN_Feat": 10 * torch.stack([F.l1_loss(f, r) for f, r in pairs]).sum() / scales,
    }


def discriminator_losses(fake: Judgement, real: Judgement) -> dict[str, Tensor]:
    scales = len(fake.logits)
    return {
        "D_Fake": torch.stack([F.relu(1 + s).mean() for s in fake.logits]).sum() / scales,
        "D_real": torch.stack([F.relu(1 - s).mean() for s in real.logits]).sum() / scales,
    }


@pytest.mark.parametrize(
    "name",
    ["train_two_iterations", pytest.param("train_vae_one_iteration", marks=pytest.mark.slow)],
)
def test_training(name: str) -> None:
    case = load_case("gaugan", name)
    dtype = torch.float64
    model = build(case, dtype).train()
    judge = built("discriminator/patch", **judge_arguments(case.options))
    load_official(judge, case.state["D"])
    judge.to(dtype).train()
    batch = Batch(label=case.given["label"][:, 0].long(), image=case.given["image"].to(dtype))
    adam = {"betas": (0.0, 0.9), "eps": 1e-8}
    g_adam = torch.optim.Adam(model.parameters(), lr=1e-4, **adam)
    d_adam = torch.optim.Adam(judge.parameters(), lr=4e-4, **adam)

    def judged(picture: Tensor) -> list[Judgement]:
        both = judge(planes(case, dtype).repeat(2, 1, 1, 1), torch.cat([picture, batch.require("image")]))
        return both.split([len(batch), len(batch)])

    def noise(name: str) -> Tensor | None:
        return case.given[name].to(dtype) if name in case.given else None

    for n in range(case.meta["iterations"]):
        painted = model(batch, noise=noise(f"eps{n}1_g"))
        losses = generator_losses(*judged(painted.image))
        if painted.posterior is not None:
            mu, logvar = painted.posterior.mu, painted.posterior.logvar
            losses["KLD"] = 0.05 * -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
        g_adam.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        g_adam.step()
        case.check("out", f"iter{n}/generated", painted.image[..., ::2, ::2], dtype)
        with torch.no_grad():
            again = model(batch, noise=noise(f"eps{n}2_d")).image
        d_losses = discriminator_losses(*judged(again))
        d_adam.zero_grad()
        torch.stack(list(d_losses.values())).sum().backward()
        d_adam.step()
        for key, value in {**losses, **d_losses}.items():
            case.check("out", f"iter{n}/{key}", value.reshape(1), dtype)
    nets = {"G": model.generator, "E": model.encoder, "D": judge}
    for key in case.after:
        letter, parameter = key.split("/", 1)
        net = nets[letter]
        assert net is not None
        case.check("after", key, net.state_dict()[parameter], dtype)
