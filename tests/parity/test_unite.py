"""UNITE against recorded runs of the original: encoders, transport, correspondence, generator, losses, a whole step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from scenegen.base.records import Batch
from scenegen.losses.contextual import PAPER as MECHREZ
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.contrastive import monce, patchnce
from scenegen.losses.exemplar import Aligned, Pseudo, WarpLabelL1
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.marginal import marginal_contrastive
from scenegen.losses.objective import Objective
from scenegen.networks.correspondence.adaptor import Adaptor
from scenegen.networks.correspondence.annealing import BLUR, Box, schedule
from scenegen.networks.correspondence.cocosnetv1 import unit
from scenegen.networks.correspondence.similarity import Similarity
from scenegen.networks.correspondence.transport import Plan, sinkhorn
from scenegen.networks.correspondence.unite import FeatureEncoder, TransportCorrespondence, patches
from scenegen.networks.correspondence.warping import TransportWarping
from scenegen.networks.discriminators.patch import PatchDiscriminator
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import TREATMENTS, VGG19_CONVOLUTIONS, vgg
from scenegen.networks.generators.seace import SeaceGenerator
from scenegen.networks.interop import load_official
from scenegen.runs.journal import Journal, read_rows
from scenegen.training.rounds import Rounds
from tests.options import built, loss_term, replaced

from . import places
from .test_sasame import ROUND

RELU = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")


@dataclass(frozen=True)
class Case:
    """One recorded run: its options, its tensors by full name (in/..., out/..., ...), and what may differ."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    tolerances: dict[str, Any]
    kept: dict[str, dict[str, Any]]

    def double(self) -> Case:
        """The same with inputs and results in float64."""
        wide = {key: t.double() if t.dtype == torch.float32 else t for key, t in self.tensors.items()}
        return Case(self.config, wide, self.tolerances, self.kept)

    def given(self, name: str) -> Tensor:
        return self.tensors[f"in/{name}"].clone()

    def leaf(self, name: str) -> Tensor:
        return self.given(name).requires_grad_()

    def state(self, prefix: str = "") -> dict[str, Tensor]:
        start = f"state/{prefix}"
        return {key.removeprefix(start): t for key, t in self.tensors.items() if key.startswith(start)}

    def check(self, key: str, got: Tensor | None) -> None:
        want, kept = self.tensors[key], self.kept.get(key)
        if got is None:  # no gradient is a gradient of 0
            got = torch.zeros(want.shape if kept is None else kept["shape"])
        found, want, _ = places.alike(got, want, kept)
        beyond = (found - want).abs() - self.tolerances["rtol"] * want.abs()
        allowed = self.tolerances["per_key"][key]["atol"]
        assert beyond.max() <= allowed, f"{key}: off by {beyond.max():.3g}, allowed {allowed:.3g}"

    def check_gradients(self, net: nn.Module) -> None:
        for name in self.config["grad_params"]:
            self.check(f"grad/{name}", net.get_parameter(name).grad)


def load(name: str) -> Case:
    meta, tensors = places.recorded("unite", name)
    return Case(meta["config"], tensors, meta["tolerances"], meta.get("kept", {}))


def cases(kind: str) -> list[Any]:
    """Every case of one kind that lies there."""
    return places.cases("unite", kind=kind)


def probe(*tensors: Tensor) -> Tensor:
    """The scalar whose gradients were recorded."""

    def one(t: Tensor) -> Tensor:
        wave = torch.cos(0.37 * torch.arange(t.numel(), dtype=torch.float64)).float()
        return (t.reshape(-1) * wave).mean()

    return torch.stack([one(t) for t in tensors]).sum()


def widths(config: dict[str, Any]) -> dict[str, int]:
    return {"ngf": config["nf"], "hidden": config["nhidden"]}


def norm(opt: dict[str, Any]) -> str:
    return "position" if opt.get("PONO", True) else "batch"


def matching(config: dict[str, Any]) -> dict[str, Any]:
    """The official options as arguments of the model, over those of the ADE20K script."""
    return {**widths(config), "inter": config["cor_dim"], "norm": norm(config["opt"]), **warping(config["opt"])}


def warping(opt: dict[str, Any]) -> dict[str, Any]:
    return {
        "centre": "channels" if opt.get("PONO_C", True) else "positions",
        "warped_label": opt.get("warp_mask_losstype", "direct"),
        "cycle": opt.get("warp_cycle_w", 0) > 0,
        "two_cycle": opt.get("two_cycle", False),
    }


def adaptor(opt: dict[str, Any]) -> Adaptor:
    return Adaptor(
        kernel=opt.get("adaptor_kernel", 3),
        attention=opt.get("adaptor_nonlocal", True),
        squeeze=opt.get("adaptor_se", False),
        mask_features=opt.get("maskmix", True),
        coordinate_features=opt.get("use_coordconv", True),
    )


@pytest.mark.parametrize("name", cases("encoder"))
def test_encoder(name: str) -> None:
    case = load(name)
    opt = case.config["opt"]
    net = FeatureEncoder(case.config["in_channels"], **widths(case.config), norm=norm(opt), options=adaptor(opt))
    load_official(net, case.state())
    x = case.leaf("x")
    found = net.eval()(x)
    found.append(unit(found[-1]))
    for key, t in zip(("feat2", "feat3", "feat4", "feat5", "feat6", "feat6_l2"), found, strict=True):
        case.check(f"out/{key}", t)
    probe(*found).backward()
    case.check("grad/x", x.grad)
    case.check_gradients(net)


@pytest.mark.parametrize("name", cases("generator"))
def test_generator(name: str) -> None:
    case = load(name)
    net = SeaceGenerator(
        semantic_channels=case.config["semantic_nc"], **widths(case.config), norm=norm(case.config["opt"])
    )
    load_official(net, case.state())
    given = {key.removeprefix("in/"): case.leaf(key.removeprefix("in/")) for key in case.tensors if key[:3] == "in/"}
    middle: dict[str, Tensor] = {}
    for key in case.tensors:
        if key.startswith("out/mid_"):
            part = key.removeprefix("out/mid_")
            net.get_submodule(part).register_forward_hook(lambda *a, part=part: middle.__setitem__(part, a[2]))
    image = net.eval()(
        tuple(given[f"seg_feat{i}"] for i in range(1, 6)), tuple(given[f"y{i}"] for i in range(1, 6)), given["conf"]
    )
    case.check("out/fake", image)
    for part, t in middle.items():
        case.check(f"out/mid_{part}", t)
    probe(image).backward()
    case.check_gradients(net)
    for key in (key for key in given if f"grad/{key}" in case.tensors):
        case.check(f"grad/{key}", given[key].grad)


def transport_of(case: Case) -> dict[str, Tensor]:
    """Everything recorded of one transport, in our words; with the leaves under their own names."""
    c = case.config
    leaves = {name: case.leaf(name) for name in ("theta", "phi", "mass_src", "mass_ref")}
    source, reference = leaves["theta"].mT[..., None], leaves["phi"][..., None]  # (b, d, n, 1)
    a, b = leaves["mass_src"], leaves["mass_ref"]
    size = Box.around(source[..., 0], reference[..., 0]).diagonal
    epsilons = schedule(size.item(), blur=c["blur"], scaling=c["scaling"])
    f, g = sinkhorn(Similarity, source, reference, a, b, schedules=[epsilons], reach=c["reach"])
    similarity = Similarity(source, reference)
    dense = similarity.dense()
    cost = (1 - dense).clamp(min=0)

    def rows(plan: Plan) -> Tensor:
        return plan.to_source(torch.eye(c["M"]).expand(c["B"], -1, -1)[..., None])[..., 0].mT

    released = Plan(similarity, g, f + BLUR * (a.log() + b.log()))
    raw = ((f[:, :, None] + g[:, None] - (1 - dense)) / BLUR).exp() * (a * b)[:, :, None]
    return {
        **leaves,
        "potential_src": f,
        "potential_ref": g,
        "diameter": size,
        "eps_schedule": torch.tensor(epsilons),
        "plan_raw": raw,
        "plan_row": rows(released),
        "plan_rev": released.to_reference(torch.eye(c["N"]).expand(c["B"], -1, -1)[..., None])[..., 0].mT,
        "plan_colmass_row": rows(Plan(similarity, g + BLUR * b.log(), f)),
        "coupling": ((f[:, :, None] + g[:, None] - cost.sqrt()) / epsilons[-1]).exp() * a[:, :, None] * b[:, None],
    }


@pytest.mark.parametrize("name", cases("sinkhorn"))
def test_transport(name: str) -> None:
    case = load(name)
    found = transport_of(case)
    for key in (key for key in case.tensors if key.startswith("out/")):
        case.check(key, found[key.removeprefix("out/")])
    leaves = ("theta", "phi", "mass_src", "mass_ref")
    for plan in ("plan_row", "plan_rev", "plan_colmass_row"):
        found = transport_of(case)
        gradients = torch.autograd.grad(probe(found[plan]), [found[leaf] for leaf in leaves], allow_unused=True)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            case.check(f"grad/{plan}.{leaf}", gradient)


@pytest.mark.parametrize("name", cases("correspondence"))
def test_correspondence(name: str) -> None:
    case = load(name).double()  # in float32 an activation lies at LeakyReLU's corner: the processor decides its slope
    net = TransportCorrespondence(
        semantic_channels=case.config["semantic_nc"],
        **widths(case.config),
        inter=case.config["cor_dim"],
        norm=norm(case.config["opt"]),
        options=adaptor(case.config["opt"]),
        warping=TransportWarping(
            **warping(case.config["opt"]), bilinear=False, transport="released", reach=0.3, per_sample_diameter=False
        ),
    )
    load_official(net, case.state())
    net.double()
    features: dict[str, Tensor] = {}
    net.layer.register_forward_hook(lambda *a: features.__setitem__("phi" if features else "theta", a[2]))
    exemplar = case.leaf("ref_img")
    found = net.eval()(case.given("seg_map"), exemplar, case.given("ref_seg_map"), photograph=case.given("real_img"))
    _, theta, phi, *masses = net.matching(features["theta"], features["phi"])
    case.check("out/theta", patches(theta, centre=net.warping.centre).mT)
    case.check("out/phi", patches(phi, centre=net.warping.centre))
    case.check("out/mass_src", masses[0])
    case.check("out/mass_ref", masses[1])
    for i, t in enumerate(found.warped, start=1):
        case.check(f"out/y{i}", t)
    for i, t in enumerate(found.layout, start=2):
        case.check(f"out/seg_feat{i}", t)
    case.check("out/conf", found.confidence)
    optional = {"warp_mask": found.warped_label, "warp_cycle": found.warped_back, "warp_i2r2i": found.returned}
    for key, t in optional.items():
        assert (t is not None) == (f"out/{key}" in case.tensors)
        if t is not None:
            case.check(f"out/{key}", t)
    assert found.aligned is not None
    label, photograph = found.aligned[0]
    case.check("out/loss_featpair", 10 * F.l1_loss(label, photograph))
    probed = [t for key, t in optional.items() if t is not None and key != "warp_i2r2i"]
    probe(*found.warped, found.confidence, *probed).backward()
    case.check("grad/ref_img", exemplar.grad)
    case.check_gradients(net)


@pytest.mark.parametrize("name", cases("warp"))
def test_warp(name: str) -> None:
    case = load(name)
    raw = case.given("plan_raw")
    side = case.given("ref_feat4").shape[-2:]
    # the literal plan as a similarity whose softmax it is: vectors that pick a column of its logarithm
    logits = (raw + 1e-30).log() * BLUR
    similarity = Similarity(logits.mT.unflatten(2, side), torch.eye(raw.shape[2]).expand_as(raw).unflatten(2, side))
    none = raw.new_zeros(raw.shape[:2])
    plan = Plan(similarity, none, none)

    def grid(name: str) -> Tensor:
        return F.interpolate(case.given(name), size=side, mode="nearest")

    y1 = plan.to_source(grid("ref_img"))
    case.check("out/y1", y1)
    for i in range(2, 6):
        case.check(f"out/y{i}", plan.to_source(grid(f"ref_feat{i}")))
    case.check("out/warp_mask", plan.to_source(grid("ref_seg_map")))
    case.check("out/warp_cycle", plan.to_reference(y1))
    there = plan.to_reference(F.avg_pool2d(case.given("real_img"), 4))
    case.check("out/warp_i2r", there)
    case.check("out/warp_i2r2i", plan.to_source(there))
    case.check("out/warp_tmp", F.interpolate(y1, scale_factor=4, mode="nearest"))


@pytest.mark.parametrize("name", cases("discriminator"))
def test_discriminator(name: str) -> None:
    case = load(name)
    c = case.config
    net = judge(c, scales=c["num_D"])
    load_official(net, case.state())
    fake = case.leaf("fake")
    both = net.eval()(case.given("semantics").repeat(2, 1, 1, 1), torch.cat([fake, case.given("real")]))
    for i, (maps, score) in enumerate(zip(both.features, both.logits, strict=True)):
        for j, t in enumerate((*maps, score)):
            case.check(f"out/d{i}_{j}", t)
    generated, real = both.split([len(fake), len(fake)])
    losses = {
        "loss_g": torch.stack([-s.mean() for s in generated.logits]).mean(),
        "loss_d_fake": torch.stack([F.relu(1 + s).mean() for s in generated.logits]).mean(),
        "loss_d_real": torch.stack([F.relu(1 - s).mean() for s in real.logits]).mean(),
        "loss_feat": 10 * torch.stack([
            F.l1_loss(x, y.detach())
            for xs, ys in zip(generated.features, real.features, strict=True)
            for x, y in zip(xs, ys, strict=True)
        ]).sum() / c["num_D"],
    }  # fmt: skip
    for key, value in losses.items():
        case.check(f"out/{key}", value.reshape(1))
    torch.stack(list(losses.values())).sum().backward()
    case.check("grad/fake", fake.grad)
    case.check_gradients(net)


def judge(config: dict[str, Any], *, scales: int = 2) -> PatchDiscriminator:
    return built(
        "discriminator/patch_attention",
        semantic_channels=config["semantic_nc"],
        ndf=config["ndf"],
        scales=scales,
        attention=config["opt"].get("use_attention", True),
        decoder=True,
    )


@pytest.mark.parametrize("name", cases("nce_mcl"))
def test_marginal_contrastive(name: str) -> None:
    case = load(name)
    features, ids = case.leaf("feat_seg"), case.given("patch_ids").long()
    q, k = (t.flatten(2)[..., ids].mT for t in (features, case.given("feat_img_l2")))
    value = marginal_contrastive(q, k)
    case.check("out/loss", value.reshape(1))
    value.backward()
    case.check("grad/feat_seg", features.grad)


@pytest.mark.parametrize("name", cases("monce"))
def test_monce(name: str) -> None:
    case = load(name)
    c = case.config
    shape = (c["B"], c["P"])
    forms = {
        key: ({"cost": cost, "eps": eps, "strength": share * (c["P"] - 1)}, key)
        for key, cost, eps, share in c["variants"]
    }
    forms["spade_level4"] = ({"strength": c["ot_weight"], "raised": True}, "spade_level4")
    terms = {
        key: lambda q, k, o=options: monce(q, k, temperature=c["nce_T"], **o) for key, (options, _) in forms.items()
    }
    terms |= {key: lambda q, k: patchnce(q, k, temperature=c["nce_T"]) for key in ("patchnce", "spade_level0")}
    for key, term in terms.items():
        rows = case.leaf("feat_q")
        value = term(rows.unflatten(0, shape), case.given("feat_k").unflatten(0, shape))
        torch.testing.assert_close(value, case.tensors[f"out/loss_{key}"].mean(), rtol=1e-4, atol=1e-6)
        value.backward()
        case.check(f"grad/{key}.feat_q", rows.grad)


@pytest.mark.parametrize("centre", ["pono", "chanmean"])
@pytest.mark.parametrize("name", cases("contextual"))
def test_contextual(name: str, centre: str) -> None:
    case = load(name)
    ours = {"pono": "pono", "chanmean": "sample"}[centre]
    matching = replace(MECHREZ, centre=ours, h=0.1, eps=1e-3, direction="source")
    x = [case.leaf(f"x{i}") for i in range(4)]
    y = [case.given(f"y{i}") for i in range(4)]
    singles = [contextual_loss(x[3][b : b + 1], y[3][b : b + 1], matching) for b in range(len(y[3]))]
    case.check(f"out/single_{centre}", torch.stack(singles))
    torch.stack(singles).sum().backward()
    case.check(f"grad/{centre}.single.x3", x[3].grad)
    x = [t.detach().requires_grad_() for t in x]
    pooled = {0: 4, 1: 2}
    small = {i: [F.avg_pool2d(t[i], pooled.get(i, 1)) for t in (x, y)] for i in range(4)}
    total = torch.stack([
        weight * contextual_loss(small[i][0], small[i][1], matching)
        for i, weight in enumerate((1, 2, 4, 8))
    ]).sum()  # fmt: skip
    case.check(f"out/total_{centre}", total.reshape(1))
    total.backward()
    for i, t in enumerate(x):
        case.check(f"grad/{centre}.total.x{i}", t.grad)


def objective_of(case: Case) -> Objective:
    """ADE20K's published objective, on the recorded narrow VGG."""
    features, taps = vgg(
        VGG19_CONVOLUTIONS, pool=lambda n: nn.MaxPool2d(2), widths=(*case.config["vgg"], case.config["vgg"][-1])
    )
    state = case.state("vggnet_fix.")
    for name in [name for name in taps if name.startswith("relu")]:
        key, index = name.replace("relu", "conv"), taps[name]
        features[index - 1].load_state_dict({part: state[f"{key}.{part}"] for part in ("weight", "bias")})
    extractor = Extractor(features, taps=taps, stamp="narrow", treatment=TREATMENTS["caffe_legacy"])
    for i, t in enumerate(extractor(case.given("image"), RELU).values()):
        case.check(f"out/vgg_real_{i}", t)
    cx: dict[str, Any] = {"pooling": {"relu3_2": 2}, "target": "exemplar", "centre": "pono", "h": 0.1, "eps": 1e-3}
    return Objective(
        terms={
            "gan": loss_term("hinge"),
            "feature_matching": FeatureMatching(),
            "aligned": Aligned(),
            "warp_label_l1": WarpLabelL1(),
            "pseudo": Pseudo(extractor="vgg", layers=dict(zip(RELU, (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), strict=True))),
            "perc": loss_term("vgg", extractor="vgg", layers={"relu5_2": 1}, criterion="l2"),
            "cx": loss_term(
                "cx", extractor="vgg", layers={"relu3_2": 2, "relu4_2": 4, "relu5_2": 8}, direction="source", **cx
            ),
        },
        weights={
            "gan": 10, "feature_matching": 10, "aligned": 10, "warp_label_l1": 500, "pseudo": 1, "perc": 0.01, "cx": 10,
        },
        extractors={"vgg": extractor},
        offers={"image", "label", "exemplar", "self_reference", "judgement", "warp.label", "warp.aligned"},
    )  # fmt: skip


def step_of(case: Case, folder: Path) -> tuple[Rounds, dict[str, Any]]:
    """The module after one round, and the row that it logged, checking what was painted on the way."""
    model = built(
        "model/unite",
        num_classes=case.config["semantic_nc"],
        height=case.config["crop_h"],
        width=case.config["crop_w"],
        adaptor=adaptor(case.config["opt"]),
        **matching(case.config),
    )
    load_official(model, {"G": case.state("net.netG."), "Corr": case.state("net.netCorr.")})
    model.generator.register_forward_hook(lambda *a: case.check("out/fake_image", a[2]))
    model.correspondence.register_forward_hook(lambda *a: case.check("out/conf", a[2].confidence))
    model.correspondence.register_forward_hook(lambda *a: case.check("out/y1", a[2].warped[0]))
    discriminator = judge(case.config)
    load_official(discriminator, case.state("net.netD."))
    batch = Batch(
        label=case.given("label")[:, 0].long(),
        image=case.given("image"),
        exemplar=case.given("ref"),
        exemplar_label=case.given("label_ref")[:, 0].long(),
        self_reference=case.given("self_ref_scalar").bool(),
    )
    module = Rounds(
        model=model,
        discriminator=discriminator,
        objective=objective_of(case),
        optim=replaced("optim/ttur", eps_generator=1e-3),
        **ROUND,
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=1,
        max_epochs=-1,
        log_every_n_steps=1,
        logger=Journal(folder / "metrics.csv"),
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader([batch], batch_size=None))  # pyright: ignore[reportArgumentType]
    (row,) = read_rows(folder / "metrics.csv")
    return module, row


@pytest.mark.parametrize("name", cases("train_step"))
def test_the_module_repeats_the_published_step(name: str, tmp_path: Path) -> None:
    case = load(name)
    module, row = step_of(case, tmp_path)
    recorded = {
        "g_no_vgg_feat": ("aligned", 10), "g_GAN": ("gan", 10), "g_GAN_Feat": ("feature_matching", 10),
        "g_fm": ("pseudo", 1), "g_perc": ("perc", 0.01), "g_contextual": ("cx", 10), "g_mask": ("warp_label_l1", 500),
        "g_total": ("G", 1), "d_D_Fake": ("D_fake", 10), "d_D_real": ("D_real", 10),
    }  # fmt: skip
    for key, (term, weight) in recorded.items():
        case.check(f"out/{key}", torch.tensor([weight * float(row[term])]))
    nets = {"netG": module.model.generator, "netCorr": module.model.correspondence, "netD": module.discriminator}  # pyright: ignore[reportAttributeAccessIssue]
    for key in (key for key in case.tensors if key.startswith("grad/")):
        net, parameter = key.removeprefix("grad/").split(".", 1)
        gradient = nets[net].get_parameter(parameter).grad
        # the original multiplies its discriminator's loss by 10, which Adam's step does not notice
        case.check(key, 10 * gradient if net == "netD" and gradient is not None else gradient)
    for key in (key for key in case.tensors if key.startswith(("out/after.", "out/delta."))):
        kind, net, name = key.removeprefix("out/").split(".", 2)
        after = nets[net].state_dict()[name]
        case.check(key, after - case.state(f"net.{net}.")[name] if kind == "delta" else after)


@pytest.mark.parametrize("letter", ["G", "Corr", "D"])
def test_the_published_networks_have_every_key_and_shape(letter: str) -> None:
    listed = places.described("unite", "state_shapes")
    with torch.device("meta"):
        model = built("model/unite", num_classes=151, height=256, width=256)
        discriminator = built("discriminator/patch_attention", semantic_channels=151, decoder=True)
    net = {"G": model.generator, "Corr": model.correspondence, "D": discriminator}[letter]
    parameters = {key for key, _ in net.named_parameters()}
    assert {key: [list(t.shape), key in parameters] for key, t in net.state_dict().items()} == listed[letter]
    counts = [sum(p.numel() for p in net.parameters()), sum(b.numel() for b in net.buffers()), len(net.state_dict())]
    assert counts == listed[f"{letter}_n"]


@pytest.mark.parametrize(("classes", "counts"), [(29, {"generator": 131_417_682, "correspondence": 68_483_702})])
def test_the_contest_s_networks_have_the_published_size(classes: int, counts: dict[str, int]) -> None:
    with torch.device("meta"):
        model = built("model/unite", num_classes=classes, height=192, width=256, adaptor={"coordinate_features": False})
        discriminator = built("discriminator/patch_attention", semantic_channels=classes, decoder=True)
    assert {name: sum(p.numel() for p in model.get_submodule(name).parameters()) for name in counts} == counts
    assert sum(p.numel() for p in discriminator.parameters()) == 6_541_822
