"""The families side by side: each trains, goes on and samples; losses and discriminators are free choices."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import note_vocabulary, open_run
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.runs.checkpoints import newest, write_weights
from scenegen.runs.folder import create_run
from scenegen.sampling.generate import generate
from scenegen.train import Settings
from scenegen.training.fit import Rhythm, fit
from scenegen.training.start_from import take_over
from tests.cli.command_line import run, sentence

FAMILIES = ("gaugan", "sasame", "oasis", "cocosnetv1", "cocosnetv2", "unite")
EXEMPLAR = ("cocosnetv1", "cocosnetv2", "unite")
TINY = ("size=tiny", "width=tiny", "weights=random", "extractor=scenenet")
EMBEDDED = ("data.count=8", "data.test_count=2", "batch_size=2")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


LOSSES = [name for name in options("loss") if name != "none"]
SCORES = {"hinge", "lsgan", "nonsaturating", "saturating", "rahinge", "ralsgan", "ragan"}
SCORES |= {"wgan", "wgan_gp", "wgan_lp", "wgan_div", "lsgan_half"}
SEGMENTING = {"oasis", "oasis_unbalanced"}
WARPS = {"aligned", "mcl", "cx_exemplar", "pseudo", "warp_cycle", "warp_label", "warp_label_l1", "warp_self"}
LATENT = {"kld", "style_cycle"}
READERS = {"cross_entropy"}
"""Terms of models that read label maps off pictures."""
TRANSLATION = {"cycle", "identity", "nce"}
"""Terms of models that translate a picture."""
INPAINTING = {
    "picnet_hinge",
    "picnet_scores",
    "picnet_kl",
    "appearance",
    "picnet_gan",
    "pdgan_gan",
    "pdgan_vgg",
    "hole_tv",
    "hole_diversity",
    "hole_l1",
    "whole_of_both",
    "map_diversity",
}
"""Terms of models that fill holes."""
DENOISING = {"branches"}
"""Terms of models that separate content and noise."""
AVERAGED = {"teacher"}
"""Terms that read the model's average, of trick=ema."""
OTHER_TASKS = {
    "picture_patch",
    "picture_vgg",
    "two_way",
    "picnet",
    "picnet_minibatch",
    "picnet_one",
    "picnet_likeness",
    "cncl",
}
"""Discriminators of models that paint no label maps; tests/parity and the tests of their tasks."""
PLACED = SCORES | SEGMENTING | {"dragan", "picnet_gan", "picnet_hinge", "pdgan_gan"}
"""Options that fill a place of another name."""
STAGED = {"coarse"}
"""Terms of models with an earlier stage."""
OF_VGG = {"content", "inception"}
"""Terms that read layers which SceneNet does not have."""
REFUSED = {
    "gaugan": WARPS | SEGMENTING | {"labelmix"},
    "sasame": WARPS | SEGMENTING | {"labelmix"} | LATENT | {"mode_seeking"},
    "oasis": WARPS | LATENT | SCORES | {"dragan", "r1", "feature_matching"},
    "cocosnetv1": SEGMENTING | {"labelmix"} | LATENT | {"mode_seeking", "warp_cycle"},
    "cocosnetv2": SEGMENTING | {"labelmix"} | LATENT | {"mode_seeking", "warp_label", "warp_label_l1"},
    "unite": SEGMENTING | {"labelmix"} | LATENT | {"mode_seeking", "warp_cycle"},
}
"""Terms that a family with the settings of its file cannot be trained with; it can with all others."""


@cache
def config(*overrides: str) -> dict[str, Any]:
    return plan(compose("train", [*TINY, *overrides]), settings=Settings).config


@cache
def data_of(model: str) -> Any:
    return build.dataset(config(f"model={model}", *EMBEDDED), split="train")


@cache
def nodes(loss: str) -> dict[str, Any]:
    """The terms that an option's own file brings, without those of the model."""
    if loss in PLACED:  # each fills a place of one name, so they compose one by one
        terms = config(f"loss={loss}")["loss"]
        return {name: terms[name] for name in ("gan", "gp") if name in terms}
    together = [other for other in LOSSES if other not in PLACED]
    return {loss: config(f"loss={'+'.join(together)}")["loss"][loss]}


@pytest.mark.parametrize("model", FAMILIES)
def test_every_loss_builds_or_is_refused_in_a_sentence(model: str) -> None:
    chosen, data = config(f"model={model}", *EMBEDDED), data_of(model)
    refused = REFUSED[model] | READERS | TRANSLATION | INPAINTING | DENOISING | AVERAGED | STAGED | OF_VGG
    taken = [loss for loss in LOSSES if loss not in refused | PLACED]
    together = {name: node for loss in taken for name, node in nodes(loss).items()}
    with torch.device("meta"):  # networks that terms read need no numbers
        generator = build.model(chosen, data)
        for added in (together, *(nodes(loss) for loss in LOSSES if loss in PLACED - refused)):
            objective = build.objective({**chosen, "loss": {**chosen["loss"], **added}}, generator, data)
            assert added.keys() <= set(objective.terms)
        for loss in sorted(refused & set(LOSSES)):
            added = {"gan": chosen["loss"]["gan"], **nodes(loss)}
            with pytest.raises(Refusal) as caught:
                build.objective({**chosen, "loss": added}, generator, data)
            said = str(caught.value)
            assert said.startswith(tuple(f"loss.{name}{mark}" for name in nodes(loss) for mark in ": ")), said
            assert "; use " in said
            assert "\n" not in said


@pytest.mark.parametrize("model", FAMILIES)
def test_every_discriminator_judges_or_is_refused_in_a_sentence(model: str) -> None:
    chosen, data = config(f"model={model}", *EMBEDDED), data_of(model)
    with torch.device("meta"):
        generator = build.model(chosen, data)
    semantics = torch.zeros(2, generator.condition_channels, 64, 64)
    for name in options("discriminator"):
        if name in OTHER_TASKS:
            continue
        own = {**chosen, "discriminator": config(f"discriminator={name}")["discriminator"]}
        if (name in ("oasis", "segmenting")) != (model == "oasis"):
            oasis = "use loss=oasis with discriminator=oasis or segmenting"
            cure = oasis if model == "oasis" else "discriminator=patch or sesame"
            with pytest.raises(Refusal, match=cure):
                build.objective(own, generator, data)
        else:
            build.objective(own, generator, data)
            judgement = build.discriminator(own, generator)(semantics, torch.zeros(2, 3, 64, 64))
            assert all(logits.isfinite().all() for logits in judgement.logits)


def test_generators_and_discriminators_of_two_families_meet() -> None:
    """The adversarial term goes with the discriminator, not with the generator."""
    for overrides in (
        ("model=oasis", "discriminator=sesame", "loss=hinge+feature_matching", "loss.labelmix.weight=0"),
        ("model=gaugan", "discriminator=oasis", "loss=oasis+labelmix", "loss.feature_matching.weight=0"),
        ("model=unite", "discriminator=oasis", "loss=oasis+labelmix", "loss.feature_matching.weight=0"),
        ("model=gaugan", "discriminator=segmenting", "loss=oasis+labelmix"),
        ("model=oasis", "discriminator=segmenting", "loss=feature_matching"),
    ):
        chosen = config(*overrides, *EMBEDDED)
        build.rounds(chosen, build.dataset(chosen, split="train"))


def train(chosen: dict[str, Any], folder: Path, *, steps: int, checkpoint: Path | None = None, workers: int = 0) -> Any:
    data = build.dataset(chosen, split="train")
    module = build.rounds(chosen, data)
    rhythm = Rhythm(steps=steps, batch_size=2, log_every=1, grid_every=100, checkpoint_every=2, keep_checkpoints=9)
    machine = replace(build.make(chosen["trainer"]), workers=workers)
    fit(module, data, classes=data.classes, watched=collate([data[(0, 0)]]), folder=folder, rhythm=rhythm,
        machine=machine, seed=chosen["seed"], checkpoint=checkpoint)  # fmt: skip
    return module


def rows(folder: Path) -> list[dict[str, float]]:
    found = csv.DictReader((folder / "metrics.csv").open())
    return [{name: float(value) for name, value in row.items() if value} for row in found]


def same(a: Any, b: Any) -> bool:
    """True where two checkpoints hold the same numbers, bit for bit."""
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


ALIKE = ("sasame", "cocosnetv1")
"""Families that train as another does, GauGAN and UNITE, with other networks."""


@pytest.mark.parametrize("steps", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.thorough) if m in ALIKE else m for m in FAMILIES])
def test_half_and_half_of_the_steps_are_all_and_the_average_samples(model: str, steps: int, tmp_path: Path) -> None:
    fewer = ("model.iterations=1",) if model == "cocosnetv2" else ()  # each is a second of PatchMatch
    tricks = {"gaugan": "+class_noise+borders+bilinear+even_start", "unite": "+class_noise+borders"}.get(model, "")
    chosen = config(f"model={model}", f"trick=ema{tricks}", *EMBEDDED, *fewer)
    straight = train(chosen, tmp_path / "a", steps=steps)
    train(chosen, tmp_path / "b", steps=steps // 2)
    workers = 2 if model == "gaugan" else 0
    train(chosen, tmp_path / "b", steps=steps, checkpoint=newest(tmp_path / "b"), workers=workers)
    first, second = (torch.load(newest(tmp_path / name), weights_only=True) for name in "ab")
    for part in ("state_dict", "optimizer_states", "rng"):
        assert same(first[part], second[part]), part
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert all(math.isfinite(value) for row in rows(tmp_path / "a") for value in row.values())
    test = build.dataset(chosen, split="test")
    files = generate(straight.best_model, test, out=tmp_path / "out", indices=[0, 1], seed=0)
    assert [Image.open(file).size for file in files] == [(64, 64)] * 2


@pytest.mark.parametrize(
    "overrides",
    [("discriminator=segmenting", "loss=oasis+labelmix"), ("discriminator=projected",)],
    ids=lambda overrides: overrides[0],
)
def test_discriminators_on_a_frozen_backbone_go_on_bit_for_bit(overrides: tuple[str, ...], tmp_path: Path) -> None:
    chosen = config("model=gaugan", "model.vae=false", *overrides, *EMBEDDED)
    train(chosen, tmp_path / "a", steps=2)
    train(chosen, tmp_path / "b", steps=1)
    train(chosen, tmp_path / "b", steps=2, checkpoint=newest(tmp_path / "b"))
    first, second = (torch.load(newest(tmp_path / name), weights_only=True) for name in "ab")
    for part in ("state_dict", "optimizer_states"):
        assert same(first[part], second[part]), part
    judge = [key for key in first["state_dict"] if key.startswith("discriminator.")]
    assert judge
    assert not any("backbone" in key for key in judge)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert all(row["feature_matching"] > 0 for row in rows(tmp_path / "a"))


def write_pairs(root: Path, *, labels: str, images: str, classes: int, dtype: type, count: int = 3) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in (labels, images):
            (root / name.format(split)).mkdir(parents=True)
        for i in range(count):
            ids = rng.integers(0, classes, (12, 16)).repeat(8, 0).repeat(8, 1).astype(dtype)
            Image.fromarray(ids).save(root / labels.format(split) / f"{split}{i}.png")
            photo = (rng.random((96, 128, 3)) * 255).astype(np.uint8)
            Image.fromarray(photo).save(root / images.format(split) / f"{split}{i}.jpg")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs as the contest gives them: JPEG photographs, 16-bit label maps."""
    root = tmp_path_factory.mktemp("scene")
    write_pairs(root, labels="{}_label", images="{}_img", classes=29, dtype=np.uint16)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folder")
    write_pairs(root, labels="{}/labels", images="{}/images", classes=3, dtype=np.uint8)
    (root / "classes.json").write_text('{"classes": ["sky", "land", "water"]}')
    return root


BF16 = [
    "gaugan",
    "unite",
    *(pytest.param(model, marks=pytest.mark.thorough) for model in ("sasame", "oasis", "cocosnetv1")),
    pytest.param("cocosnetv2", marks=pytest.mark.slow),
]
"""One with an exemplar, one without; without the instructions for bf16 CoCosNet v2 takes a minute on a CPU."""


@pytest.mark.parametrize("model", BF16)
def test_bf16_on_16_bit_maps_stays_finite(model: str, scene: Path, tmp_path: Path) -> None:
    chosen = config(
        f"model={model}", "data=scene", f"data.root={scene}", "batch_size=2", "trainer.precision=bf16-mixed"
    )
    train(chosen, tmp_path, steps=1)
    (row,) = rows(tmp_path)
    assert all(math.isfinite(value) for value in row.values()), row


@pytest.mark.parametrize(
    ("model", "height", "width", "words"),
    [
        *[(model, 40, 64, "height 32 or 64 and width 64") for model in ("gaugan", "sasame", "oasis")],
        *[(model, 100, 128, "divisible by 32.*100x128.*height 96 or 128 and width 128") for model in FAMILIES],
        *[(model, 32, 64, "at least 64, got 32x64; the nearest are height 64 and width 64") for model in EXEMPLAR],
    ],
)
def test_sizes_that_a_family_cannot_take(model: str, height: int, width: int, words: str) -> None:
    chosen = config(f"model={model}", *EMBEDDED)
    sized = {**chosen, "model": {**chosen["model"], "height": height, "width": width}}
    with pytest.raises(Refusal, match=words), torch.device("meta"):
        build.model(sized, data_of(model))


@pytest.mark.parametrize("model", EXEMPLAR)
def test_an_exemplar_family_without_exemplars(model: str) -> None:
    chosen = config(f"model={model}", *EMBEDDED)
    without = {**chosen, "exemplar": {}}
    data = build.dataset(without, split="train")
    with pytest.raises(Refusal, match=r"the model reads exemplar.*, which the data does not offer; use exemplar=retr"):
        build.rounds(without, data)
    with torch.device("meta"):
        generator = build.model(chosen, data_of(model))
    needs = r"loss\.(pseudo|warp_\w+) needs exemplar.*; use exemplar=retrieved or loss\."
    for known in (None, data):
        with pytest.raises(Refusal, match=needs):
            build.objective(without, generator, known)
    bare = Batch(label=torch.zeros(1, 64, 64, dtype=torch.long))
    with pytest.raises(Refusal, match="use exemplar=retrieved"):
        generator.sample(bare)


@pytest.mark.parametrize("model", EXEMPLAR)
@pytest.mark.parametrize(
    ("count", "content", "words"),
    [
        (8, "train0.jpg,nowhere.jpg\n", "names 1 exemplars that are not among the 3 training pictures: nowhere"),
        (8, "other.jpg,train0.jpg\n", "has no exemplars for 3 of the 3 train pictures"),
        (1, None, "there is only 1 of them"),
    ],
)
def test_exemplars_that_cannot_be_had(
    model: str, count: int, content: str | None, words: str, scene: Path, tmp_path: Path
) -> None:
    if content is None:
        root = tmp_path / "one"
        write_pairs(root, labels="{}_label", images="{}_img", classes=29, dtype=np.uint16, count=count)
        overrides = [f"data.root={root}"]
    else:
        lines = [f"train{i}.jpg,train{(i + 1) % 3}.jpg\n" for i in range(3)]
        every = content if content.startswith("other") else "".join([*lines[1:], content])
        (tmp_path / "list.txt").write_text(every)
        overrides = [f"data.root={scene}", f"exemplar.index={tmp_path / 'list.txt'}"]
    chosen = plan(compose("train", [f"model={model}", "data=scene", *overrides, *TINY]), settings=Settings).config
    with pytest.raises(Refusal, match=words):
        build.dataset(chosen, split="train")


def saved(model: str, where: Path, *more: str) -> Path:
    """The folder of a run that was never trained."""
    chosen = config(f"model={model}", *EMBEDDED, *more)
    data = build.dataset(chosen, split="train")
    create_run(where, OmegaConf.create(chosen), digest="0", overrides=[])
    note_vocabulary(where, data)
    write_weights(where, {"model": build.model(chosen, data)})
    return where


def test_a_checkpoint_of_another_family_or_width(tmp_path: Path) -> None:
    folders = {model: saved(model, tmp_path / model) for model in FAMILIES}
    wide = {model: saved(model, tmp_path / f"{model}-wide", "width.ngf=6") for model in FAMILIES}
    for model, where in folders.items():
        other = newest(folders[FAMILIES[(FAMILIES.index(model) + 2) % len(FAMILIES)]])
        with pytest.raises(Refusal, match=f"is not a checkpoint of run {model}: .*of another family") as caught:
            open_run(str(where), checkpoint=str(other))
        assert len(str(caught.value)) < 1500
        with pytest.raises(Refusal, match=r"ngf.*: \d+ in the file, \d+ in the model"):
            open_run(str(where), checkpoint=str(newest(wide[model])))


@pytest.mark.parametrize("model", FAMILIES)
def test_a_second_stage_from_another_family_or_width(model: str, tmp_path: Path) -> None:
    module = build.rounds(config(f"model={model}", *EMBEDDED), data_of(model))
    other = FAMILIES[(FAMILIES.index(model) + 2) % len(FAMILIES)]
    with pytest.raises(Refusal, match=r"start_from: the model of .* is another one: .*of another family"):
        take_over(module, saved(other, tmp_path / other))
    with pytest.raises(Refusal, match=r"start_from: the model of .* is another one: .*ngf"):
        take_over(module, saved(model, tmp_path / "wide", "width.ngf=6"))


@pytest.mark.slow
@pytest.mark.parametrize("model", [*FAMILIES, "sesame"])
def test_the_command_lines_of_a_family(model: str, folder: Path, scene: Path, tmp_path: Path) -> None:
    def done(verb: str, *overrides: str) -> str:
        finished = run(verb, *overrides, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    tiny = (f"model={model}", "size=tiny", "width=tiny", "weights=random", "batch_size=2", "log_every=1", "steps=2")
    embedded = ("data.count=8", "data.test_count=3")
    assert "jittor2022" in done("train", *tiny, *embedded, "name=a", "trick=ema")
    done("train", "resume=a", "steps=3", "evaluate=false")
    done("sample", "run=a", "out=out")
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    done("score", "generated=out", "size=tiny", *embedded)
    (tmp_path / "maps").mkdir()
    Image.fromarray(np.full((48, 96), 5, np.uint16)).save(tmp_path / "maps" / "own.png")
    done("sample", "run=a", "labels=maps", "out=own")
    assert Image.open(tmp_path / "own" / "own.png").size == (64, 64)
    if model in EXEMPLAR:
        assert (tmp_path / "own_exemplars.json").is_file()
        said = sentence(run("train", *tiny, *embedded, "exemplar=none", "evaluate=false", cwd=tmp_path))
        assert "use exemplar=retrieved" in said
    for name, root in (("folder", folder), ("scene", scene)):
        done("train", *tiny, f"data={name}", f"data.root={root}", f"name={name}", "evaluate=false")
