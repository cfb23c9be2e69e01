"""SESAME's networks against recorded runs of the original: discriminator, editing generator, inputs, training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from scenegen.base.records import Batch
from scenegen.data.hole_shapes import Seeded, cellular
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.objective import Objective
from scenegen.losses.perceptual import perceptual
from scenegen.losses.style import style
from scenegen.networks.discriminators.sesame import SesameDiscriminator
from scenegen.networks.frozen.vgg import Vgg19
from scenegen.networks.generators.sesame_editing import (
    SesameEditor,
    editing_semantics,
)
from scenegen.networks.interop import load_official
from scenegen.networks.layers.holes import composite, masked
from scenegen.networks.layers.semantics import semantics
from scenegen.runs.journal import Journal, read_rows
from scenegen.training.rounds import Rounds
from tests.options import built, loss_term, replaced

from .fixture_io import Case, load_case
from .places import cases, described, descriptions
from .test_gaugan import (
    PRECISIONS,
    SEMANTIC_NORMS,
    build,
    check_grad_and_buffers,
    discriminator_losses,
    generator_losses,
    judge_arguments,
    model_arguments,
)

VGG_LAYERS = {"relu1_1": 1 / 32, "relu2_1": 1 / 16, "relu3_1": 1 / 8, "relu4_1": 1 / 4, "relu5_1": 1.0}
STYLE_LAYERS = {"relu2_2": 1.0, "relu3_4": 1.0, "relu4_4": 1.0, "relu5_2": 1.0}


def editing(options: dict[str, Any]) -> bool:
    return not options.get("no_inpaint", True)


def semantic_channels(options: dict[str, Any]) -> int:
    return judge_arguments(options)["semantic_channels"] + editing(options)


def planes(case: Case, dtype: torch.dtype) -> Tensor:
    """The semantics of a case, with the hole as their last channel where there is one."""
    arguments = model_arguments(case.options)
    label, num_classes = case.given["label"][:, 0], arguments["num_classes"]
    if editing(case.options):
        inside = case.options.get("segmentation_mask", False)
        return editing_semantics(label, hole_of(case, dtype), num_classes=num_classes, inside=inside)
    instance = case.given["instance"][:, 0] if arguments["edges"] else None
    return semantics(label, num_classes=num_classes, instance=instance, dtype=dtype)


def hole_of(case: Case, dtype: torch.dtype) -> Tensor:
    return case.given["mask_in"].to(dtype)


def judge_of(options: dict[str, Any]) -> SesameDiscriminator:
    arguments: dict[str, Any] = judge_arguments(options) | {"semantic_channels": semantic_channels(options)}
    return built("discriminator/sesame", **arguments)


def editor_of(options: dict[str, Any]) -> SesameEditor:
    kind = options.get("norm_G", "spectralspadesyncbatch3x3")
    return SesameEditor(
        semantic_channels=semantic_channels(options),
        ngf=options.get("ngf", 64),
        downsamplings=options.get("resnet_n_downsample", 2),
        residuals=options.get("resnet_n_blocks", 4),
        modulated=options.get("spade_n_blocks", 5),
        skips=not options.get("no_skip_connections", False),
        wide=options.get("wide", False),
        norm=SEMANTIC_NORMS[kind.removeprefix("spectral").removeprefix("spade")[:-3]],
        spectral=kind.startswith("spectral"),
        kernel=int(kind[-1]),
    )


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", cases("sasame", runner="sesame_discriminator"))
def test_discriminator(name: str, dtype: torch.dtype) -> None:
    case = load_case("sasame", name)
    for mode in ("eval", "train"):
        net = judge_of(case.options)
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


def holed(case: Case, dtype: torch.dtype) -> Batch:
    """The photograph and its hole."""
    return Batch(source=case.given["image"].to(dtype), hole=hole_of(case, dtype).bool())


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", cases("sasame", runner="sesame_generator"))
def test_editing_generator(name: str, dtype: torch.dtype) -> None:
    case = load_case("sasame", name)
    step = case.meta.get("subsample", 1)
    given = masked(holed(case, dtype))
    for mode in case.meta.get("modes", ["eval", "train"]):
        net = editor_of(case.options)
        load_official(net, case.state["G"])
        net.to(dtype).train(mode == "train")
        with torch.set_grad_enabled(mode == "train"):
            image = net(given, planes(case, dtype))
        case.check("out", f"{mode}/image", image[..., ::step, ::step], dtype)
        if mode == "train":
            image.mean().backward()
            check_grad_and_buffers(case, net, dtype)


@pytest.mark.parametrize("name", cases("sasame", runner="sesame_preprocess"))
def test_editing_inputs(name: str) -> None:
    case = load_case("sasame", name)
    batch = holed(case, torch.float32)
    case.check("out", "semantics", planes(case, torch.float32), torch.float32)
    case.check("out", "masked_image", masked(batch), torch.float32)
    raw = case.given["raw_fake"]
    shown = raw if case.options.get("no_mix_real_fake") else composite(raw, batch)
    case.check("out", "composited_fake", shown, torch.float32)


@pytest.mark.parametrize("name", cases("sasame", runner="cellular_mask"))
def test_cellular_hole(name: str) -> None:
    case = load_case("sasame", name)

    class Recorded(Seeded):
        def shares(self, size: tuple[int, int]) -> np.ndarray:
            return next(rows)

    count, _, height, width = case.meta["size"]
    rows = iter(case.given["uniform"][:, 0].numpy())
    found = [cellular((height, width), Recorded(0)) for _ in range(count)]
    case.check("out", "known_mask", 1 - torch.from_numpy(np.stack(found))[:, None].float(), torch.float32)


@pytest.mark.parametrize("name", descriptions("sasame", "manifest_"))
def test_manifest(name: str) -> None:
    manifest = described("sasame", name)
    options = manifest["options"]
    with torch.device("meta"):
        nets = {"G": editor_of(options) if editing(options) else None, "D": judge_of(options)}
    for letter, want in manifest["nets"].items():
        net = nets[letter]
        assert net is not None
        rows = [[key, list(t.shape), str(t.dtype).removeprefix("torch.")] for key, t in net.state_dict().items()]
        assert rows == want["state_dict_in_order"]
        assert len(rows) == want["entries"]
        assert sum(p.numel() for p in net.parameters()) == want["parameters"]
        assert sum(b.numel() for b in net.buffers()) == want["buffers"]


@pytest.mark.parametrize("name", cases("sasame", runner="sesame_layout_train"))
def test_the_module_repeats_the_published_training(name: str, tmp_path: Path) -> None:
    case, dtype = load_case("sasame", name), torch.float64
    model = build(case, dtype)
    judge = judge_of(case.options)
    load_official(judge, case.state["D"])
    batch = Batch(label=case.given["label"][:, 0].long(), image=case.given["image"].to(dtype))
    objective = Objective(
        terms={"gan": loss_term("hinge"), "feature_matching": FeatureMatching()},
        weights={"gan": 1.0, "feature_matching": 10.0},
        extractors={},
        offers={"image", "judgement", "real_judgement"},
    )
    module = Rounds(
        model=model,
        discriminator=judge,
        objective=objective,
        optim=replaced("optim/ttur"),
        **{**ROUND, "reuse_fake": False},
    ).to(dtype)
    fit(module, [batch] * case.meta["iterations"], tmp_path)
    for n, row in enumerate(read_rows(tmp_path / "metrics.csv")):
        for key, ours, weight in (("GAN", "gan", 1), ("GAN_Feat", "feature_matching", 10), ("D_Fake", "D_fake", 1),
                                  ("D_real", "D_real", 1)):  # fmt: skip
            expected = case.out[f"iter{n}/{key}"].item()
            assert float(row[ours]) * weight == pytest.approx(expected, rel=1e-5), f"{key} of iteration {n}"
    for key in case.after:
        letter, parameter = key.split("/", 1)
        case.check("after", key, {"G": model.generator, "D": judge}[letter].state_dict()[parameter], dtype)


ROUND: dict[str, Any] = {"seed": 0, "reuse_fake": True, "generator_every": 1, "log_grads_every": 0, "average": None}
"""Arguments of a round that the recorded trainings leave as they are."""


def fit(module: Rounds, batches: list[Batch], folder: Path) -> None:
    """As many rounds as there are batches, journalled to metrics.csv."""
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="32-true",  # converts nothing; the module is in float64 already
        max_steps=len(batches),
        max_epochs=-1,
        log_every_n_steps=1,
        logger=Journal(folder / "metrics.csv"),
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(batches, batch_size=None))  # pyright: ignore[reportArgumentType]


def vgg_of(case: Case) -> Vgg19:
    trunk = built("extractor/vgg", at="nets.vgg", weights="random", normalise="none").double()
    trunk.features.load_state_dict(
        {key.removeprefix("features."): value for key, value in case.state["vgg"].items()}, strict=False
    )
    return trunk


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("sasame", runner="sesame_edit_train"))
def test_editing_training(name: str) -> None:
    case, dtype = load_case("sasame", name), torch.float64
    options = case.options
    net, judge = editor_of(options), judge_of(options)
    load_official(net, case.state["G"])
    load_official(judge, case.state["D"])
    net.to(dtype).train()
    judge.to(dtype).train()
    trunk = vgg_of(case) if "vgg" in case.state else None
    batch, told = holed(case, dtype), planes(case, dtype)
    image = batch.require("source")
    adam = {"betas": (0.0, 0.9), "eps": 1e-8}
    g_adam = torch.optim.Adam(net.parameters(), lr=1e-4, **adam)
    d_adam = torch.optim.Adam(judge.parameters(), lr=4e-4, **adam)

    def paint() -> Tensor:
        raw = net(masked(batch), told)
        return raw if options.get("no_mix_real_fake") else composite(raw, batch)

    def judged(picture: Tensor) -> list[Any]:
        return judge(told.repeat(2, 1, 1, 1), torch.cat([picture, image])).split([len(image), len(image)])

    for n in range(case.meta["iterations"]):
        painted = paint()
        losses = generator_losses(*judged(painted))
        if trunk is not None:
            read = tuple({**VGG_LAYERS, **STYLE_LAYERS})
            x, y = trunk(painted, read), trunk(image, read)
            if not options.get("no_vgg_loss", True):
                losses["VGG"] = options.get("lambda_vgg", 10) * perceptual(x, y, layers=VGG_LAYERS)
            if options.get("use_style_loss"):
                losses["Style"] = options.get("lambda_style", 250) * style(x, y, layers=STYLE_LAYERS, form="l1")
        g_adam.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        g_adam.step()
        case.check("out", f"iter{n}/generated", painted[..., ::2, ::2], dtype)
        with torch.no_grad():
            again = paint()
        d_losses = discriminator_losses(*judged(again))
        d_adam.zero_grad()
        torch.stack(list(d_losses.values())).sum().backward()
        d_adam.step()
        for key, value in {**losses, **d_losses}.items():
            case.check("out", f"iter{n}/{key}", value.reshape(1), dtype)
    for key in case.after:
        letter, parameter = key.split("/", 1)
        case.check("after", key, {"G": net, "D": judge}[letter].state_dict()[parameter], dtype)
