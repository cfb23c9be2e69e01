"""Every key of the config on resume: what goes on, and what would be another run."""

from __future__ import annotations

import re
from functools import cache

import pytest
from omegaconf import DictConfig, OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.cli.resume import with_values_of_the_run
from scenegen.config.compose import compose
from scenegen.config.plan import resolve
from scenegen.config.resumed import ABSENT, kind_of, resumed

CHOICES = (
    (),
    ("model=unite", "loss=cx+dists+r1", "trick=ema+clip", "data=folder", "exemplar=retrieved", "optim=cocosnetv2"),
    ("task=segmentation", "model=scenenet", "logger=wandb", "trainer=ddp", "post=none", "measure=mask_acc+mean_iou"),
)

GOES_ON = re.compile(
    r"steps|(log|log_grads|grid|checkpoint|interim)_every|keep_checkpoints|interim_count|evaluate|evaluate_(count|size)|beside"
    r"|weights\.dir|data\.(root|cache_mib|kind)|(trainer|logger|post|measure|segmenter|aesthetic|fid|scorer)(\..*)?"
    r"|optim\.(lr|lr_generator|lr_discriminator|equal_after|constant_steps|decay_steps|steps)|loss\.\w+\.(weight|schedule)"
)
"""As README and DESIGN 12 say: length, records, places, machine, what is measured, rates and weights of terms."""


@cache
def config(*overrides: str) -> DictConfig:
    return compose("train", list(overrides))


def stored(*overrides: str) -> dict:
    content = OmegaConf.to_container(config(*overrides), resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def leaves(node, path=""):
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


def other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return 7 if value is None or isinstance(value, list | dict) else f"{value}x"


@pytest.mark.parametrize("choice", CHOICES, ids=["defaults", "exemplars", "segmentation"])
def test_every_key_of_the_whole_config(choice: tuple[str, ...]) -> None:
    found = dict(leaves(resolve(config(*choice))))
    assert len(found) > 90
    for key, value in found.items():
        if key in ("name", "resume"):
            continue
        goes_on = GOES_ON.fullmatch(key) is not None
        if re.fullmatch(r"loss\.\w+\.weight", key) and value in (0, 0.0):
            goes_on = False  # a term joins
        assert bool(kind_of(key, value, other(value))) == goes_on, key


@pytest.mark.parametrize(
    "change",
    ["seed=5", "batch_size=4", "size.height=160", "model.vae=false", "data.count=5", "data.flip=0", "width.ngf=9",
     "reuse_fake=false", "init_gain=0.1", "generator_every=2", "start_from=x", "discriminator.layers=2",
     "weights.policy=random", "optim.betas=[0.5, 0.9]", "optim.eps=0.001", "loss.cx.weight=0", "loss.cx.h=0.3",
     "trick.average.decay=0.5", "model=sesame", "data=folder", "loss=cx", "optim=cycle", "size=s256", "width=published",
     "trick=none", "exemplar=retrieved", "extractor=vgg"],
)  # fmt: skip
def test_another_run_is_refused_in_a_sentence_that_names_the_key_and_start_from(change: str) -> None:
    base = ("loss=cx+dists", "trick=ema")
    key, _, value = change.partition("=")
    words = with_values_of_the_run(["train", "resume=r", change])[1:]
    with pytest.raises(Refusal) as refused:
        resumed(stored(*base), words, composed=compose("train", words), run="r")
    sentence = str(refused.value)
    assert "another run" in sentence
    assert "start_from=r" in sentence
    assert key in sentence
    assert "." not in key or value in sentence


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["steps=900"], {"steps"}),
        (["loss.cx.weight=50"], {"loss.cx.weight"}),
        (["seed=0", "batch_size=8", "model=gaugan"], set()),  # as the run has them
        (["model=gaugan", "loss=cx+dists", "trick=ema", "steps=501"], {"steps"}),
        (["trainer.workers=2", "log_every=3"], {"trainer.workers", "log_every"}),
        (["data.cache_mib=1", "weights.dir=w"], {"data.cache_mib", "weights.dir"}),
        (["optim=fast"], {"optim.lr_generator", "optim.lr_discriminator"}),
        (["evaluate_count=4", "name=r"], {"evaluate_count"}),
    ],
)
def test_what_goes_on(words: list[str], keys: set[str]) -> None:
    line = with_values_of_the_run(["train", "resume=r", *words])[1:]
    found = resumed(stored("loss=cx+dists", "trick=ema"), line, composed=compose("train", line), run="r")
    assert {change.key for change in found.changes} == keys
    assert all(change.kind for change in found.changes)


def test_options_of_groups_that_make_sense_on_resume() -> None:
    words = ["resume=r", "logger=tensorboard", "measure=psnr", "++logger.tensorboard.folder=x"]
    with pytest.raises(Refusal, match=r"no logger\.tensorboard\.folder; keys of logger\.tensorboard: _target_"):
        resumed(stored(), words, composed=config(*words[1:3]), run="r")
    found = resumed(stored(), words[:3], composed=config(*words[1:3]), run="r")
    assert {change.key.split(".")[0] for change in found.changes} == {"logger", "measure"}
    assert found.changes[0].was is ABSENT
    assert resolve(found.config)["logger"] == resolve(config("logger=tensorboard"))["logger"]


def test_the_cycle_of_a_rate_follows_the_steps_and_is_a_change_of_course() -> None:
    found = resumed(stored("optim=cycle"), ["++steps=900"], composed=config(), run="r")
    assert {(change.key, change.kind) for change in found.changes} == {("steps", "length"), ("optim.steps", "course")}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("experiment=demo", "many places"),
        ("debug=two_steps", "many places"),
        ("task=segmentation", "many places"),
        ("++loss.vgg2.weight=1", "has no loss.vgg2.weight; keys of loss: "),
        ("+model.new=1", "another run"),
        ("~discriminator", "OPTION"),
        ("name=s", "start_from=r name=s"),
        ("++size.ngf=4", "width.ngf"),
    ],
)
def test_words_that_resume_does_not_know(word: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        resumed(stored(), ["resume=r", word], composed=config(), run="r")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (["t", "steps=3", "loss=cx"], ["t", "steps=3", "loss=cx"]),
        (["t", "resume=null", "steps=3"], ["t", "resume=null", "steps=3"]),
        (["t", "resume=r", "steps=3", "loss=cx"], ["t", "resume=r", "++steps=3", "loss=cx"]),
        (["t", "loss.cx.weight=5", "resume=r"], ["t", "++loss.cx.weight=5", "resume=r"]),
        (["t", "resume=r", "--cfg", "job", "~model", "+a=1", "hydra.run.dir=x", "name=r"],
         ["t", "resume=r", "--cfg", "job", "~model", "+a=1", "hydra.run.dir=x", "name=r"]),
        (["t", "-m", "resume=r,s", "steps=3"], ["t", "-m", "resume=r,s", "steps=3"]),
    ],
)  # fmt: skip
def test_values_beside_resume_are_forced(words: list[str], after: list[str]) -> None:
    assert with_values_of_the_run(words) == after
