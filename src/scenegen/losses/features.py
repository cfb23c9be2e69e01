"""The one place where losses run frozen extractors: each (extractor, picture) at most once per step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from scenegen.base.records import Kind, Refusal
from scenegen.networks.frozen.extractors import Extractor

TARGETS = {"real": "image", "exemplar": "exemplar", "source": "source"}
"""Value of `target` -> the field of Batch that holds the picture."""


BOUNDED, UNBOUNDED = 1.01, 100.0
"""Largest magnitude of a picture's values that is taken for [-1, 1]: of data, and of what a network generates, which
may end in no bound (ESRGAN, denoisers) and be far off while it is untrained. Pictures of 0 to 255 are above both."""


MADE = frozenset({"fake", "other", "fake_hole", "other_hole"})
"""Names of generated pictures: the step's, a second one, and both of them 0 around the hole."""


class FeatureBank(nn.Module):
    """Extractors, and for each the union of the layers that the terms read.

    Args:
        extractors: name -> extractor; those that no term reads are left out.
        reads: per term, extractor name -> layers.

    Attributes:
        forwards: number of runs of each (extractor, picture).

    Raises:
        Refusal: for an extractor that is not there or a layer that it does not have.
    """

    def __init__(self, extractors: Mapping[str, Extractor], reads: Iterable[Mapping[str, Sequence[str]]]) -> None:
        super().__init__()
        self.layers: dict[str, frozenset[str]] = {}
        for wanted in reads:
            for name, layers in wanted.items():
                if name not in extractors:
                    have = ", ".join(extractors) or "none"
                    raise Refusal(f"there is no extractor {name}; there is {have}")
                extractors[name].require(layers)
                self.layers[name] = self.layers.get(name, frozenset()) | frozenset(layers)
        self.extractors = nn.ModuleDict({name: extractors[name] for name in self.layers})
        self.forwards: Counter[tuple[str, str]] = Counter()
        self._in_range: set[str] = set()

    def open(self, pictures: Mapping[str, Tensor]) -> Features:
        """Features of one step's pictures, computed when first asked for.

        Args:
            pictures: name -> (b, 3, h, w) in [-1, 1], or (b, 1, h, w), which stands for three equal channels; gradients
                flow into those of MADE only.

        Raises:
            Refusal: when the data's first pictures are of another range.
        """
        for name in pictures.keys() - MADE:
            self.look(name, pictures[name])
        return Features(self, pictures)

    def look(self, name: str, picture: Tensor) -> None:
        """Refuse a picture of another range than [-1, 1], the first time that one of its name comes."""
        if name not in self._in_range:  # once: a wrong range is a fault of the kind, and looking waits for the device
            refuse_range(picture, name=name)
            self._in_range.add(name)


class Features:
    """The feature maps of one step; see `FeatureBank.open`."""

    def __init__(self, bank: FeatureBank, pictures: Mapping[str, Tensor]) -> None:
        self._bank = bank
        self._pictures = pictures
        self._names: Mapping[str, str] = {}
        self._found: dict[tuple[str, str], dict[str, Tensor]] = {}

    def renamed(self, names: Mapping[str, str]) -> Features:
        """The same maps, where a picture of `names` stands for another: {"fake": "other"}."""
        other = Features(self._bank, self._pictures)
        other._names, other._found = names, self._found
        return other

    def get(self, picture: str, extractor: str) -> dict[str, Tensor]:
        """Layer -> (b, c, h', w'), in float32 or wider, for every layer that any term reads.

        Args:
            picture: "fake", "real" or "exemplar".
            extractor: its name.

        Raises:
            Refusal: when the batch has no such picture.
        """
        picture = self._names.get(picture, picture)
        key = (extractor, picture)
        if key not in self._found:
            self._found[key] = self._run(extractor, picture)
        return self._found[key]

    def _run(self, extractor: str, picture: str) -> dict[str, Tensor]:
        if picture not in self._pictures:
            have = ", ".join(self._pictures)
            raise Refusal(f"a loss term compares with the {picture} picture, but the batch has only {have}")
        self._bank.look(picture, self._pictures[picture])
        self._bank.forwards[extractor, picture] += 1
        with torch.set_grad_enabled(picture in MADE and torch.is_grad_enabled()):
            image = in_colour(full_precision(self._pictures[picture]))
            found = self._bank.extractors[extractor](image, self._bank.layers[extractor])
        return {layer: full_precision(x) for layer, x in found.items()}


def full_precision(x: Tensor) -> Tensor:
    """The same numbers in float32, or in float64 if they already are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def in_colour(picture: Tensor) -> Tensor:
    """(b, 3, h, w) of a picture (b, 3, h, w) or (b, 1, h, w), whose one channel stands for three."""
    return picture.expand(-1, 3, -1, -1)


def refuse_unlike(x: Tensor, y: Tensor, *, term: str, where: str) -> None:
    """Refuse two maps of unlike shape, for terms that compare position by position."""
    if x.shape != y.shape:
        raise Refusal(
            f"loss.{term} compares position by position, but at {where} the generated picture gives "
            f"{tuple(x.shape)} and its target {tuple(y.shape)}; make the pictures equal in size and number"
        )


def refuse_range(picture: Tensor, *, name: str) -> None:
    """Refuse numbers that lie well outside [-1, 1], as those of pictures in 0 to 255 do."""
    most = UNBOUNDED if name in MADE else BOUNDED
    low, high = (float(end) for end in picture.detach().aminmax()) if picture.numel() else (0.0, 0.0)
    if low < -most or high > most:
        raise Refusal(
            f"losses take pictures in [-1, 1], but the {name} picture reaches from {low:.4g} to {high:.4g}; scale it, "
            f"e.g. by x / 127.5 - 1 from 0 to 255"
        )


def checked_layers(layers: Mapping[str, float], *, term: str) -> dict[str, float]:
    """The layers with weight above 0; refuses none at all and weights that are negative or not finite."""
    for layer, weight in layers.items():
        if not 0 <= weight < float("inf"):
            raise Refusal(f"loss.{term}.layers.{layer}={weight} is not a weight >= 0; 0 leaves the layer out")
    kept = {str(layer): float(weight) for layer, weight in layers.items() if weight > 0}
    if not kept:
        raise Refusal(f"loss.{term}.layers names no layer with a weight above 0; give at least one")
    return kept


def checked_shares(term: str, **shares: float) -> tuple[float, ...]:
    """Shares of a term's parts, in order; refuses those that are negative or not finite."""
    for name, share in shares.items():
        if not 0 <= share < float("inf"):
            raise Refusal(f"loss.{term}.{name}={share} must be 0 or more and finite; 1 is as published")
    return tuple(shares.values())


def target_needs(target: str, *, term: str) -> frozenset[str]:
    """Needs of a term that compares with this target."""
    if target not in TARGETS:
        raise Refusal(f"target={target} of loss.{term} is not one of {', '.join(TARGETS)}")
    return frozenset({TARGETS[target]})


def misread(bank: FeatureBank, *, kind: Kind) -> Iterator[str]:
    """Sentences on segmenters that losses read and that were trained on the other kind of pictures.

    Args:
        bank: the extractors of an objective.
        kind: of the data's pictures.
    """
    for name, layers in bank.layers.items():
        net = cast(Extractor, bank.extractors[name])
        if "logits" in layers and kind not in net.kinds:
            yield (f"! {net.stamp} was trained on {', '.join(sorted(net.kinds))} pictures and misreads {kind}, so that "
                   f"a loss pulls towards its faults; train one on this data with python -m scenegen.train "
                   f"model=scenenet model.role=trunk, and give it as extractor.nets.{name}.name=FILE")  # fmt: skip
