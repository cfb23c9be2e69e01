"""trainer.checkpoint_activations: the gradients and buffers of the same step without it, for every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.networks.discriminators.oasis import OasisDiscriminator
from scenegen.networks.generators.resnet import ResnetBlock
from scenegen.training.recompute import recompute

TINY = ("size=tiny", "width=tiny", "data.count=2", "data.test_count=2", "batch_size=2", "evaluate=false", "logger=none")
SLOW = ("sasame", "cocosnetv1", "unite", "pdgan")
MODELS = ("gaugan", "oasis", "cocosnetv2", "sesame_editor", "picnet", "restormer",
          *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW))  # fmt: skip


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
    kept: dict[int, Tensor] = {}  # of each storage a tensor, or its place would be used again

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        image = rounds.model(batch, noise=noise).image
    held = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    kept.clear()
    image.square().mean().backward()
    grads = {name: p.grad for name, p in rounds.model.named_parameters() if p.grad is not None}
    return grads, dict(rounds.model.named_buffers()), image, held


@pytest.mark.parametrize("model", MODELS)
def test_gradients_and_buffers_are_those_of_kept_activations(model: str) -> None:
    same_step(model)


@pytest.mark.parametrize("words", ["trick=class_noise", "trainer.lookup=true"])
def test_what_a_pass_of_the_whole_generator_knows_is_there_again(words: str) -> None:
    """Class noise is drawn, and windows are looked up, by the pass of a generator that is over when gradients flow."""
    same_step("gaugan", words)


def same_step(model: str, *words: str) -> None:
    grads, buffers, image, most = step(model, *words)
    again, left, same, held = step(model, *words, "trainer.checkpoint_activations=true")
    assert held < most
    assert torch.equal(image, same)
    assert grads.keys() == again.keys()
    for name in grads:
        assert torch.equal(grads[name], again[name]), name
    for name in buffers:
        assert torch.equal(buffers[name], left[name]), name


def test_dropout_is_drawn_once() -> None:
    block = ResnetBlock(4, dropout=True)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        y = block(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *block.parameters()])))
        assert recompute(block) == 1
    for kept, again in zip(*found, strict=True):
        assert torch.equal(kept, again)


@pytest.mark.parametrize("slope", [False, True], ids=["scores", "slope"])
def test_the_segmenting_discriminator_forgets_too(slope: bool) -> None:
    """Also under a penalty on the slope at the picture (R1), whose gradient passes the blocks a second time."""
    found = []
    for forgets in (False, True):
        torch.manual_seed(0)
        judge = OasisDiscriminator(
            semantic_channels=3, num_classes=3, height=32, width=32, ndf=4, widths=[1, 2], depth=2
        )
        if forgets:
            assert recompute(judge) == 4
        image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
        kept: dict[int, Tensor] = {}

        def note(tensor: Tensor, kept: dict[int, Tensor] = kept) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            scores = judge.segment(image)
        held = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        loss = scores.square().mean()
        if slope:
            (at,) = torch.autograd.grad(loss, image, create_graph=True)
            loss = at.square().sum()
        loss.backward()
        grads = [p.grad for p in judge.parameters() if p.grad is not None]
        found.append((held, [scores, *grads, *judge.buffers()]))
    (most, kept_ones), (least, again) = found
    assert least < most / 2
    for one, other in zip(kept_ones, again, strict=True):
        assert torch.equal(one, other)


def test_a_model_without_such_blocks_is_refused() -> None:
    config = plan(compose("train", ["model=cncl", *TINY, "trainer.checkpoint_activations=true"])).config
    with pytest.raises(Refusal, match="Cncl has none of those"):
        build.rounds(config, build.dataset(config, split="train"))
