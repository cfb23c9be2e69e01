"""trainer.checkpoint_activations: the gradients and buffers of the same step without it, for every family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch
from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.networks.discriminators.oasis import OasisDiscriminator
from scenegen.networks.discriminators.picnet import ResidualJudge
from scenegen.networks.generators.cut import Cut
from scenegen.networks.generators.resnet import ResnetGenerator
from scenegen.networks.layers.picnet import Convolutions
from scenegen.training.recompute import recompute

TINY = ("size=tiny", "width=tiny", "data.count=2", "data.test_count=2", "batch_size=2", "evaluate=false", "logger=none")
SLOW = ("sasame", "cocosnetv1", "unite", "pdgan")
MODELS = ("gaugan", "oasis", "cocosnetv2", "sesame_editor", "picnet", "picnet_spdnorm", "restormer",
          *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW))  # fmt: skip


@contextmanager
def held() -> Iterator[list[int]]:
    """A list in which, behind the block, the bytes stand that autograd keeps of what ran in it."""
    kept: dict[int, Tensor] = {}  # of each storage a tensor, or its place would be used again
    found: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield found
    found.append(sum(tensor.untyped_storage().nbytes() for tensor in kept.values()))


def step(model: str, *words: str) -> tuple[dict[str, Tensor], dict[str, Tensor], Any, int]:
    """Gradients and buffers after one generated batch, the picture, and the bytes that were kept for the gradients.

    The picture's mean square stands for an objective.
    """
    config = plan(compose("train", [f"model={model}", *TINY, *words])).config
    data = build.dataset(config, split="train")
    rounds = build.rounds(config, data)
    batch = collate([data[(0, 0)], data[(0, 1)]])
    torch.manual_seed(0)
    noise = rounds.model.prior(2, seed=1)
    rounds.model.train()
    with held() as found:
        image = rounds.model(batch, noise=noise).image
    image.square().mean().backward()
    grads = {name: p.grad for name, p in rounds.model.named_parameters() if p.grad is not None}
    return grads, dict(rounds.model.named_buffers()), image, found[0]


@pytest.mark.parametrize("model", MODELS)
def test_gradients_and_buffers_are_those_of_kept_activations(model: str) -> None:
    same_step(model)


@pytest.mark.parametrize("words", ["trick=class_noise", "trainer.lookup=true"])
def test_what_a_pass_of_the_whole_generator_knows_is_there_again(words: str) -> None:
    """Class noise is drawn, and windows are looked up, by the pass of a generator that is over when gradients flow."""
    same_step("gaugan", words)


def same_step(model: str, *words: str) -> None:
    grads, buffers, image, most = step(model, *words)
    again, left, same, least = step(model, *words, "trainer.checkpoint_activations=true")
    assert least < most
    assert torch.equal(image, same)
    assert grads.keys() == again.keys()
    for name in grads:
        assert torch.equal(grads[name], again[name]), name
    for name in buffers:
        assert torch.equal(buffers[name], left[name]), name


def test_dropout_is_drawn_once() -> None:
    net = ResnetGenerator(ngf=4, blocks=1, antialias=False, dropout=True)
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        y = net(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *net.parameters()])))
        assert recompute(net) == 1
    for kept, again in zip(*found, strict=True):
        assert torch.equal(kept, again)


@pytest.mark.parametrize(("layers", "share"), [([0, 4, 8, 12, 13], 0.5), ([3, 5, 9], 1)], ids=["published", "between"])
@pytest.mark.parametrize("antialias", [False, True], ids=["strides", "blur"])
def test_features_that_are_compared_place_by_place(layers: list[int], share: float, antialias: bool) -> None:
    """CUT's: the generator's first half runs on pictures and sources too, and only drawn places are read.

    The published layers end in convolutions; of others, norms and activations, the maps are kept.
    """
    found = []
    drawn = torch.rand(2, 2, 3, 50, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1
    batch = Batch(name=("a", "b"), source=drawn[0], image=drawn[1])
    for forgets in (False, True):
        torch.manual_seed(0)
        model = Cut(num_classes=1, edges=False, height=50, width=48, ngf=4, blocks=2, antialias=antialias,
                    dropout=False, identity=True, flip=True, layers=layers, patches=8, heads=4)  # fmt: skip
        if forgets:
            assert recompute(model) == 1
        with held() as kept:
            made = model(batch)
        contrast = made.contrast
        rows = [row for pairs in (contrast.there, contrast.same) for pair in pairs for row in pair]
        torch.stack([made.image.square().mean(), *(row[..., 0].square().mean() for row in rows)]).sum().backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        found.append((kept[0], [made.image, *rows, *grads]))
    (most, kept_ones), (least, again) = found
    assert least < most * share
    for one, other in zip(kept_ones, again, strict=True):
        assert torch.equal(one, other)


def segmenting() -> tuple[nn.Module, Callable[[Tensor], Tensor], int]:
    judge = OasisDiscriminator(semantic_channels=3, num_classes=3, height=32, width=32, ndf=4, widths=[1, 2], depth=2)
    return judge, judge.segment, 4


def attending() -> tuple[nn.Module, Callable[[Tensor], Tensor], int]:
    """PICNet's: five blocks, the attention, and the residual block in it, which does not run."""
    options = {"convolutions": Convolutions(kind="plain", eval_steps=False), "simam": None}
    judge = ResidualJudge(ndf=4, widest=16, layers=4, attention=True, **options)
    nn.init.ones_(judge.attn2.gamma)
    return judge, lambda image: judge(image)[0], 7


@pytest.mark.parametrize("slope", [False, True], ids=["scores", "slope"])
@pytest.mark.parametrize("made", [segmenting, attending])
def test_discriminators_forget_too(made: Callable, slope: bool) -> None:
    """Also under a penalty on the slope at the picture (R1), whose gradient passes the blocks a second time."""
    found = []
    for forgets in (False, True):
        torch.manual_seed(0)
        judge, scored, blocks = made()
        if forgets:
            assert recompute(judge) == blocks
        image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with held() as kept:
            scores = scored(image)
        loss = scores.square().mean()
        if slope:
            (at,) = torch.autograd.grad(loss, image, create_graph=True)
            loss = at.square().sum()
        loss.backward()
        grads = [p.grad for p in judge.parameters() if p.grad is not None]
        found.append((kept[0], [scores, *grads, *judge.buffers()]))
    (most, kept_ones), (least, again) = found
    assert least < most / 2
    for one, other in zip(kept_ones, again, strict=True):
        assert torch.equal(one, other)


def test_a_model_without_such_blocks_is_refused() -> None:
    config = plan(compose("train", ["model=cncl", *TINY, "trainer.checkpoint_activations=true"])).config
    with pytest.raises(Refusal, match="Cncl has none of those"):
        build.rounds(config, build.dataset(config, split="train"))
