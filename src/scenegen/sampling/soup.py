"""A soup of checkpoints: the mean of their weights, its statistics computed anew, and the choice of the ones in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from scenegen.base.pictures import to_uint8
from scenegen.base.records import Batch, Refusal, SceneModel
from scenegen.base.seeding import hash_seed
from scenegen.metrics.frechet import Moments, frechet
from scenegen.networks.layers.norm import GlobalBatchNorm, SpectralWeight

State = Mapping[str, Tensor]
POWER_STEPS = 30
"""Of a soup's spectral norms, whose vectors are those of no checkpoint."""


def mean_state(states: Mapping[str, State]) -> dict[str, Tensor]:
    """The mean of every weight, taken in float64; whole numbers are those of the first.

    Args:
        states: name of a checkpoint -> its weights.

    Raises:
        Refusal: where names or shapes differ.

    Source: Wortsman et al., ICML 2022 (model soups), section 2; for generators: Yazici et al., ICLR 2019.
    """
    (first, wanted), *others = states.items()
    for name, state in others:
        shapes, own = ({key: tuple(value.shape) for key, value in s.items()} for s in (state, wanted))
        if shapes != own:
            key = sorted(key for key in shapes.keys() | own.keys() if shapes.get(key) != own.get(key))[0]
            raise Refusal(
                f"{name} and {first} are checkpoints of unlike models ({key} is {shapes.get(key, 'absent')} in one and "
                f"{own.get(key, 'absent')} in the other), which make no soup; name runs of one model and size"
            )

    def mean(key: str) -> Tensor:
        values = [state[key] for state in states.values()]
        whole = not values[0].is_floating_point()
        return values[0].clone() if whole else torch.stack([v.double() for v in values]).mean(0).to(values[0].dtype)

    return {key: mean(key) for key in wanted}


def mixed_state(states: Mapping[str, State], shares: Sequence[float]) -> dict[str, Tensor]:
    """Network interpolation: every weight and running statistic mixed, in float64; whole numbers are the first's.

    It is no mean of pictures. It works between a network and one that was trained on from it, as a PSNR net and its
    adversarial child; networks of different starts make noise.

    Args:
        states: name of a checkpoint -> its weights.
        shares: of each, in order; they sum to 1.

    Raises:
        Refusal: where names or shapes differ, or the shares do not fit.

    Source: Wang et al., ECCV workshops 2018 (ESRGAN), section 3.4.
    """
    if len(shares) != len(states) or abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
        raise Refusal(f"shares={list(shares)} must be one number of 0 or more for each of the {len(states)} runs, and "
                      "sum to 1, as shares=[0.8,0.2]")  # fmt: skip
    mean_state(states)  # refuses unlike ones
    first, *_ = states.values()

    def mix(key: str) -> Tensor:
        if not first[key].is_floating_point():
            return first[key].clone()
        parts = (share * state[key].double() for share, state in zip(shares, states.values(), strict=True))
        return torch.stack(list(parts)).sum(0).to(first[key].dtype)

    return {key: mix(key) for key in first}


def chosen(
    order: Sequence[str], distance: Callable[[Sequence[str]], float], *, alone: Mapping[str, float]
) -> tuple[list[str], float]:
    """The greedy soup: from the best on, a checkpoint stays where the soup with it is nearer than without.

    Args:
        order: names, the best first.
        distance: of the soup of some names; smaller is better.
        alone: name -> distance of the checkpoint alone.

    Returns:
        The names in the soup, and its distance.

    Source: Wortsman et al., ICML 2022, recipe 1.
    """
    kept, best = [order[0]], alone[order[0]]
    for name in order[1:]:
        found = distance([*kept, name])
        if found < best:
            kept, best = [*kept, name], found
    return kept, best


@torch.no_grad()
def renew(model: SceneModel, batches: Sequence[Batch], *, seed: int) -> None:
    """Compute running statistics and spectral norms of a model anew, in place.

    Batch norms take the mean of their statistics over the batches, in training passes; spectral norms take
    POWER_STEPS power steps from where they are, first.

    Args:
        model: with new weights; in eval mode afterwards.
        batches: training batches.
        seed: of the passes' noise.
    """
    model.train()
    for layer in model.modules():
        if isinstance(layer, SpectralWeight):
            for _ in range(POWER_STEPS):
                layer.sigma()
    vectors = [(name, buffer.clone()) for name, buffer in model.named_buffers() if name.endswith(("_u", "_v"))]
    norms: list[Any] = [m for m in model.modules() if isinstance(m, GlobalBatchNorm | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for place, batch in enumerate(batches):
        for norm in norms:
            norm.momentum = 1 / (place + 1)
        noise = model.prior(len(batch), seed=hash_seed(seed, "soup", place))
        model(batch, noise=None if noise is None else noise.to(batch.device, batch.dtype))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for name, vector in vectors:
        model.get_buffer(name).copy_(vector)
    model.eval()


class Half(NamedTuple):
    """Held-back maps, and the moments of their photographs in the features of a judge."""

    batches: Sequence[Batch]
    photographs: Moments


class Taster:
    """Distance of soups to photographs, in the features of a judge.

    Args:
        model: takes the weights of each soup in turn.
        states: name of a checkpoint -> its weights.
        judge: uint8 pictures (N, 3, H, W) -> features (N, D).
        shown: training batches that the statistics of a mean are computed with.
        seed: of what is painted.
    """

    def __init__(
        self, model: SceneModel, states: Mapping[str, State], *, judge: nn.Module, shown: Sequence[Batch], seed: int
    ) -> None:
        self.model, self.states, self.judge, self.shown, self.seed = model, states, judge, shown, seed

    def half(self, batches: Sequence[Batch]) -> Half:
        """Batches with the moments of their photographs."""
        return Half(batches, self._moments([batch.require("image") for batch in batches]))

    def distance(self, names: Sequence[str], half: Half) -> float:
        """Frechet distance of what the mean of some checkpoints paints of label maps to their photographs.

        The model is left with that mean's weights.
        """
        self.model.load_state_dict(mean_state({name: self.states[name] for name in names}))
        if len(names) > 1:
            renew(self.model, self.shown, seed=self.seed)
        painted = [self.model.paint(batch, seed=self.seed + k).image for k, batch in enumerate(half.batches)]
        return float(frechet(self._moments(painted), half.photographs))

    @torch.no_grad()
    def _moments(self, pictures: Sequence[Tensor]) -> Moments:
        return Moments.of(torch.cat([self.judge(to_uint8(images)).float().cpu() for images in pictures]))
