"""Extractors: frozen networks whose feature maps losses and metrics read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.kinds import KINDS, Kind
from scenegen.base.records import Refusal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Extractor(nn.Module):
    """A trunk that never learns: always in eval mode, without gradients of its own, outside every state dict.

    The trunk is kept out of the module tree, so optimizers, EMA, checkpoints, `.train()` and DDP do not see
    it; `.to()` and friends still reach it. One instance is one treatment of the picture (range, resize), so
    terms that share an instance share its forward pass. Under autocast the trunk follows the ambient precision.

    Args:
        features: the trunk; child i is called on the result of child i - 1.
        taps: layer name -> index of the child whose result it is, shallow to deep.
        stamp: name and weights of the trunk, for the protocol of a number.
        mean, std: per channel of a picture in [0, 1], subtracted and divided; None feeds [-1, 1] as it is.
        treatment: what is done with [-1, 1] pictures in place of mean and std.
        resize_to: pictures whose smaller side exceeds this are shrunk to it, bilinear; None keeps the size.
        aliases: further names of layers -> those of taps.

    Attributes:
        layers: names of the maps on offer, shallow to deep; "image" is the picture itself in [0, 1].
        stamp: as given.
        classes: names of the classes of the map "logits", in id order; None for a trunk without such a map.
        kinds: of pictures that its map "logits" is right about.
        deviations: layer -> standard deviation of its values over photographs, of the layers where it was measured.
    """

    classes: tuple[str, ...] | None = None
    kinds: frozenset[Kind] = frozenset(KINDS)
    deviations: Mapping[str, float] = {}

    def __init__(
        self,
        features: nn.Sequential,
        *,
        taps: Mapping[str, int],
        stamp: str,
        mean: tuple[float, ...] | None = IMAGENET_MEAN,
        std: tuple[float, ...] | None = IMAGENET_STD,
        treatment: nn.Module | None = None,
        resize_to: int | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        if resize_to is not None and resize_to < 32:
            raise Refusal(f"resize_to={resize_to} is too small for {stamp}; use null, or 256 as piq does")
        self.layers: tuple[str, ...] = ("image", *taps)
        self.stamp = stamp
        self.resize_to = resize_to
        if treatment is None:
            treatment = nn.Identity() if mean is None or std is None else Normalise(mean, std)
        frozen = nn.ModuleList([treatment, features]).requires_grad_(False).eval()
        self._frozen = (frozen,)  # a tuple: not registered as a submodule
        self._own = dict(aliases or {})
        self._taps = dict(taps) | {name: taps[own] for name, own in self._own.items()}
        self._smallest = {layer: _smallest_side(features, index) for layer, index in self._taps.items()}

    @property
    def features(self) -> nn.Sequential:
        """The trunk."""
        return self._frozen[0][1]  # pyright: ignore[reportReturnType]

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Run the trunk as deep as asked.

        Args:
            image: (b, 3, h, w) in [-1, 1].
            layers: names out of `self.layers`.

        Returns:
            Layer name -> (b, c, h', w').

        Raises:
            Refusal: for an unknown layer, or a picture too small for a layer.
        """
        self.require(layers)
        image = self._resized(image)
        deepest = max((self._taps[name] for name in layers if name != "image"), default=-1)
        self.require_size(*image.shape[-2:], layers=layers)
        found = {"image": (image + 1) / 2} if "image" in layers else {}
        x = self._frozen[0][0](image)
        for index, module in enumerate(self.features[: deepest + 1]):
            x = module(x)
            found |= {name: x for name in layers if self._taps.get(name) == index}
        return found

    def require(self, layers: Collection[str]) -> None:
        """Refuse layers that this extractor does not have, naming those that it has."""
        missing = [name for name in layers if name not in self.layers and name not in self._taps]
        if missing:
            raise Refusal(
                f"extractor {self.stamp} has no layer {', '.join(missing)}; use one of {', '.join(self.layers)}"
            )

    def own(self, layer: str) -> str:
        """The name out of `self.layers` of the map that a layer stands for, whichever of its names is given."""
        return self._own.get(layer, layer)

    def repooled(self, pool: Callable[[], nn.Module], *, name: str) -> Extractor:
        """The same trunk with other poolings in the place of its max poolings; weights are shared.

        Args:
            pool: makes a module that halves both sides.
            name: of the pooling, for the stamp.

        Raises:
            Refusal: a trunk without max pooling.
        """
        if not any(isinstance(module, nn.MaxPool2d) for module in self.features):
            raise Refusal(f"{self.stamp} has no max pooling to replace by {name}; use post.gatys.pooling=own")
        features = nn.Sequential(*(pool() if isinstance(part, nn.MaxPool2d) else part for part in self.features))
        taps = {layer: self._taps[layer] for layer in self.layers if layer != "image"}
        stamp = f"{self.stamp}, {name} pooling rounded up"
        treatment = self._frozen[0][0]
        return Extractor(features, taps=taps, stamp=stamp, treatment=treatment, resize_to=self.resize_to,
                         aliases=self._own)  # fmt: skip

    def _resized(self, image: Tensor) -> Tensor:
        smaller = min(image.shape[-2:])
        if self.resize_to is None or smaller <= self.resize_to:
            return image
        scale = self.resize_to / smaller
        return F.interpolate(image, scale_factor=scale, mode="bilinear", recompute_scale_factor=False)

    def require_size(self, height: int, width: int, *, layers: Collection[str]) -> None:
        """Refuse pictures of a size of which a layer would have nothing left."""
        for name in layers:
            if min(height, width) < self._smallest.get(name, 1):
                raise Refusal(
                    f"a {height}x{width} picture is too small for layer {name} of {self.stamp}, which needs at least "
                    f"{self._smallest[name]} pixels a side; use larger pictures or shallower layers"
                )

    def _apply(self, fn: Callable, recurse: bool = True) -> Extractor:
        super()._apply(fn, recurse)
        self._frozen[0]._apply(fn, recurse)
        return self


class Normalise(nn.Module):
    """Picture in [-1, 1] -> zero mean and unit deviation per channel, with mean and std of [0, 1] pictures."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.std = mean, std  # numbers, not buffers: exact in every precision

    def forward(self, image: Tensor) -> Tensor:
        mean, std = (image.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return ((image + 1) / 2 - mean) / std


def _smallest_side(features: nn.Sequential, index: int) -> int:
    pools = [m for m in features[: index + 1].modules() if isinstance(m, nn.MaxPool2d) and not m.ceil_mode]
    return 2 ** len(pools)  # halving with ceil never leaves an empty map
