"""Style pictures of a post: one or several, with their names and weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from scenegen.base.listing import few
from scenegen.base.pictures import to_uint8
from scenegen.base.records import Refusal


@dataclass(frozen=True)
class Style:
    """One style picture.

    Attributes:
        name: of its file.
        picture: (1, 3, h, w) in [-1, 1].
        weight: share of the style, > 0; those of all style pictures sum to 1.
    """

    name: str
    picture: Tensor
    weight: float

    @property
    def stamp(self) -> str:
        """Name, and 8 hex digits of the pixels: a protocol must tell two pictures of one name apart."""
        pixels = to_uint8(self.picture).cpu().contiguous().numpy().tobytes()
        return f"{self.name}:{hashlib.sha256(pixels).hexdigest()[:8]}"


def shares(names: Sequence[str], weights: Sequence[float] | None, *, option: str) -> dict[str, float]:
    """Name -> share of a sum of 1.

    Args:
        names: of layers or style pictures.
        weights: one per name, None for equal ones.
        option: name of the weights, for the sentence.

    Raises:
        Refusal: another number of weights, a negative or endless one, or none above 0.
    """
    given = [1.0] * len(names) if weights is None else list(weights)
    if len(given) != len(names):
        raise Refusal(f"{option}={given} has {len(given)} weights for {len(names)}: {few(list(names))}; give one for "
                      "each, or null for equal ones")  # fmt: skip
    if not all(0 <= weight < math.inf for weight in given) or not sum(given) > 0:
        raise Refusal(f"{option}={given} must be numbers >= 0, at least one of them above 0; null takes equal ones")
    return {name: weight / sum(given) for name, weight in zip(names, given, strict=True)}


def only(pictures: Mapping[str, Tensor], *, option: str) -> Style:
    """The one style picture of a post that takes no more.

    Raises:
        Refusal: several.
    """
    if len(pictures) != 1:
        raise Refusal(f"{option} names {len(pictures)} style pictures ({few(list(pictures))}), and this post takes the "
                      "colours of one; give one file")  # fmt: skip
    ((name, picture),) = pictures.items()
    return Style(name, picture, 1.0)
