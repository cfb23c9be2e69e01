"""The slot `augment`, differentiable: the discriminator sees every picture recoloured, moved and partly blanked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.devices import sent
from scenegen.base.records import Refusal, Shown
from scenegen.base.seeding import hash_seed
from scenegen.training.tricks.augment import Augment

POLICIES = ("color", "translation", "cutout")
REACH = 0.125
"""Greatest shift, as a share of the side."""

BOX = 0.5
"""Side of the blanked box, as a share of the picture's."""


@dataclass(frozen=True)
class Draws:
    """The random numbers of b pictures; None where the policy has no such operation.

    Attributes:
        brightness, saturation, contrast: (b,) in [0, 1).
        shift: (b, 2) int64, rows dy and columns dx: out[r, c] = in[r + dy, c + dx].
        centre: (b, 2) int64, row and column of the blanked box's centre.
    """

    brightness: Tensor | None = None
    saturation: Tensor | None = None
    contrast: Tensor | None = None
    shift: Tensor | None = None
    centre: Tensor | None = None


class DiffAugment(Augment):
    """`draw`, once per picture and round, then `augment` of generated and real picture and `move` of the condition.

    Generated and real picture of a sample and its condition share one draw, in the generator's step and in the
    discriminator's, so that feature matching compares what lies in the same place; gradients pass through. Where a
    picture is blank the condition has zeros in every plane: a patch discriminator sees the paper's zero there, and a
    segmenting one, which must name a class, leaves those pixels out of its loss.

    Args:
        policy: some of color, translation, cutout, in the order in which they act.
        probability: share of the pictures that are changed, in (0, 1]; the paper changes all.

    Source: Zhao et al., NeurIPS 2020 (DiffAugment), section 3 and appendix; the condition moves along as in APF-GAN.
    """

    judges: ClassVar[bool] = True

    def __init__(self, *, policy: Sequence[str], probability: float) -> None:
        super().__init__()
        chosen = [policy] if isinstance(policy, str) else list(policy)
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(POLICIES):
            raise Refusal(
                f"trick.augment.policy=[{','.join(map(str, chosen))}] must name some of {', '.join(POLICIES)}, each "
                "once; trick=none augments nothing"
            )
        if not 0 < probability <= 1:
            raise Refusal(
                f"trick.augment.probability={probability} must be above 0 and at most 1; 1 changes every picture, and "
                "trick=none none"
            )
        self.policy = tuple(chosen)
        self.probability = float(probability)

    def shown(self, shown: Shown, *, seed: int) -> Shown:
        return self.part(shown, seed=seed, first=0)

    def part(self, shown: Shown, *, seed: int, first: int) -> Shown:
        b, _, h, w = shown.fake.shape
        streams = [torch.Generator().manual_seed(hash_seed(seed, first + i)) for i in range(b)]
        chosen = [i for i, stream in enumerate(streams) if float(torch.rand((), generator=stream)) < self.probability]
        if not chosen:
            return shown
        draws = draw(self.policy, height=h, width=w, streams=[streams[i] for i in chosen])
        index = None if len(chosen) == b else sent(torch.tensor(chosen), shown.fake.device)

        def changed(x: Tensor, *, picture: bool) -> Tensor:
            some = x if index is None else x[index]
            parts = some.split(3, dim=1) if picture else [some]  # pictures of several sizes or domains, side by side
            changes = augment if picture else move
            some = torch.cat([changes(part, draws, self.policy) for part in parts], dim=1)
            return some if index is None else x.index_copy(0, index, some)

        condition = None if shown.condition is None else changed(shown.condition, picture=False)
        return Shown(condition, changed(shown.fake, picture=True), changed(shown.real, picture=True))


def draw(policy: Sequence[str], *, height: int, width: int, streams: Sequence[torch.Generator]) -> Draws:
    """Random numbers for as many pictures as there are generators, each picture's from its own.

    Args:
        policy: operations in their order.
        height, width: of the pictures.
        streams: CPU generators.

    Source: Zhao et al., NeurIPS 2020, released ranges: shifts up to an eighth of a side, a box of half the sides.
    """
    found: dict[str, Tensor] = {}

    def integers(low: tuple[int, int], high: tuple[int, int]) -> Tensor:
        rows = [[int(torch.randint(a, b, (), generator=g)) for a, b in zip(low, high, strict=True)] for g in streams]
        return torch.tensor(rows)

    for name in policy:
        if name == "color":
            three = torch.stack([torch.rand(3, generator=stream) for stream in streams], dim=1)
            found |= dict(zip(("brightness", "saturation", "contrast"), three, strict=True))
        elif name == "translation":
            dy, dx = (int(side * REACH + 0.5) for side in (height, width))
            found["shift"] = integers((-dy, -dx), (dy + 1, dx + 1))
        else:
            boxes = [int(side * BOX + 0.5) for side in (height, width)]
            ends = [side + 1 - box % 2 for side, box in zip((height, width), boxes, strict=True)]
            found["centre"] = integers((0, 0), (ends[0], ends[1]))
    return Draws(**found)


def augment(image: Tensor, draws: Draws, policy: Sequence[str]) -> Tensor:
    """Pictures under a draw, every operation of the policy in its order.

    Args:
        image: (b, c, h, w) in [-1, 1].
        draws: of b pictures.
        policy: operations in their order.

    Returns:
        (b, c, h, w); colours may leave [-1, 1], what is moved in or blanked is 0.

    Source: Zhao et al., NeurIPS 2020, section 3.
    """
    for name in policy:
        image = recolour(image, draws) if name == "color" else move(image, draws, (name,))
    return image


def recolour(image: Tensor, draws: Draws) -> Tensor:
    """Brightness x + r - 0.5, saturation m + (x - m) 2 r around the pixel's mean, contrast m + (x - m)(r + 0.5)."""
    drawn = (draws.brightness, draws.saturation, draws.contrast)
    light, colour, contrast = (sent(r.to(image.dtype), image.device).view(-1, 1, 1, 1) for r in drawn if r is not None)
    image = image + (light - 0.5)
    image = torch.lerp(image.mean(1, keepdim=True), image, 2 * colour)
    return torch.lerp(image.mean((1, 2, 3), keepdim=True), image, contrast + 0.5)


def move(planes: Tensor, draws: Draws, policy: Sequence[str]) -> Tensor:
    """The operations of a policy that move or blank, on any planes (b, c, h, w); 0 where nothing is left."""
    for name in policy:
        if name == "translation":
            assert draws.shift is not None
            shifts = draws.shift.tolist()
            planes = torch.stack([F.pad(x, (-dx, dx, -dy, dy)) for x, (dy, dx) in zip(planes, shifts, strict=True)])
        elif name == "cutout":
            assert draws.centre is not None
            kept = _outside(draws.centre, planes.shape[-2], planes.shape[-1])
            planes = planes * sent(kept, planes.device).to(planes.dtype)
    return planes


def _outside(centre: Tensor, height: int, width: int) -> Tensor:
    """(b, 1, h, w) bool, false in each picture's box, of which only the part within the picture exists."""

    def covered(middle: Tensor, side: int) -> Tensor:
        box = int(side * BOX + 0.5)
        first = middle[:, None] - box // 2
        places = torch.arange(side)
        return (places >= first) & (places < first + box)  # (b, side)

    rows, columns = covered(centre[:, 0], height), covered(centre[:, 1], width)
    return ~(rows[:, None, :, None] & columns[:, None, None, :])
