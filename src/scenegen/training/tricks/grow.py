"""The slot `grow`: pictures start small, double again and again, and each new size is faded in."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Discriminator, Refusal, SceneModel
from scenegen.networks.layers.small_pictures import SmallPictures


class Grow:
    """Size of a round's pictures as a function of the step; the generator, its terms and its discriminator see it.

    The real pictures are means of pixels, faded as the generated ones are. Label maps reach the generator whole.

    Args:
        steps: rounds of every size but the last.
        fade: rounds over which a new size is faded in; 0 is at once.
        model: a model whose generator has small pictures.

    Raises:
        Refusal: no rounds, a fade longer than they are, or a model that does not grow.

    Source: Karras et al., ICLR 2018 (progressive growing of GANs), section 2 and appendix A.
    """

    def __init__(self, *, steps: int, fade: int, model: SceneModel) -> None:
        if steps < 1 or not 0 <= fade <= steps:
            raise Refusal(f"trick.grow.steps={steps} and trick.grow.fade={fade} do not go together; give 1 round or "
                          "more of each size, of which 0 or more fade it in")  # fmt: skip
        found = _pictures(model)
        if not found or not found[0].growing:
            raise Refusal("trick.grow needs a generator that grows; name the trick as a whole, trick=grow")
        self.steps, self.fade, self.count = steps, fade, found[0].count

    def at(self, step: int) -> tuple[int, float]:
        """Halvings of a round's pictures, and the share of the newest size in them."""
        level = max(0, self.count - step // self.steps)
        since = step - (self.count - level) * self.steps
        return level, 1.0 if level == self.count else min(1.0, (since + 1) / max(1, self.fade))

    def set(self, model: nn.Module, *, step: int) -> None:
        """Let a model end with the picture of a round."""
        for pictures in _pictures(model):
            pictures.set_grown(*self.at(step))

    def seen(self, batch: Batch, *, step: int) -> Batch:
        """The batch as the round's terms and its discriminator see it: everything at the size of the pictures."""
        level, fade = self.at(step)
        if level == 0 and fade == 1:
            return batch

        def made() -> Batch:
            maps = {name: value for name, value in batch.tensors().items() if value.ndim > 2}
            small: dict = {name: _small(value, level, fade) for name, value in maps.items()}
            return dataclasses.replace(batch, **small)

        return batch.once(("grown", step), made)

    @torch.no_grad()
    def require(self, judge: Discriminator, *, height: int, width: int) -> None:
        """Refuse a discriminator that cannot judge the smallest pictures.

        Args:
            judge: looks at a grey picture of that size.
            height, width: of the whole pictures.
        """
        rows, columns = height >> self.count, width >> self.count
        parameter = next(judge.parameters())
        grey = torch.zeros(1, 3, rows, columns, device=parameter.device)
        planes = grey.new_zeros(1, judge.condition_channels, rows, columns) if judge.condition_channels else None
        training = judge.training
        try:
            judge.eval()(planes, grey)
        except (Refusal, RuntimeError) as error:
            raise Refusal(f"trick.small.count={self.count} starts with pictures of {rows}x{columns}, which the "
                          f"discriminator cannot judge ({str(error).splitlines()[0]}); use a smaller "
                          "trick.small.count, or discriminator=patch") from error  # fmt: skip
        finally:
            judge.train(training)

    def remark(self, steps: int) -> str | None:
        """Sentence about a run that ends before its pictures have their whole size; None for others."""
        if steps > self.count * self.steps:
            return None
        return (f"after {steps} steps the pictures are still small, since they grow for {self.count} times "
                f"trick.grow.steps={self.steps}; they are enlarged when they are written")  # fmt: skip


def _pictures(model: nn.Module) -> list[SmallPictures]:
    return [part for part in model.modules() if isinstance(part, SmallPictures)]


def _small(field: Tensor, level: int, fade: float) -> Tensor:
    """A picture (b, c, h, w) by its means, ids (b, h, w) by every 2^level-th."""
    if not field.is_floating_point():
        return field[..., :: 2**level, :: 2**level]
    picture = F.avg_pool2d(field, 2**level)
    if fade < 1:
        picture = torch.lerp(F.interpolate(F.avg_pool2d(picture, 2), scale_factor=2, mode="nearest"), picture, fade)
    return picture
