"""Grey levels of slices of more than 8 bits: their meaning in Hounsfield units, in files and for the eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scenegen.base.refusal import Refusal

MOST = 65535
"""Greatest grey level of a 16-bit file."""


@dataclass(frozen=True)
class Depth:
    """The window of pictures in [-1, 1], the coding of their files, and the window in which they are looked at.

    Attributes:
        low, high: Hounsfield units at -1 and at 1; what lies outside is clipped.
        slope, intercept: Hounsfield units are slope * grey level + intercept.
        shown_low, shown_high: Hounsfield units of black and white on sheets.

    Raises:
        Refusal: an empty window, or one that 16 bits do not hold.
    """

    low: float
    high: float
    slope: float
    intercept: float
    shown_low: float
    shown_high: float

    def __post_init__(self) -> None:
        windows = {"low, high": (self.low, self.high), "shown_low, shown_high": (self.shown_low, self.shown_high)}
        for keys, (low, high) in windows.items():
            if not low < high:
                raise Refusal(f"data.depth ({keys}): {low:g} and {high:g} are no window; give Hounsfield "
                              "units that rise, as -1024 and 3072")  # fmt: skip
        if not self.slope > 0 or self.stored(self.low) < 0 or self.stored(self.high) > MOST:
            raise Refusal(f"data.depth.slope={self.slope:g} and data.depth.intercept={self.intercept:g} code the "
                          f"window [{self.low:g}, {self.high:g}] HU as grey levels {self.stored(self.low):g} to "
                          f"{self.stored(self.high):g}, which 16 bits do not hold; slope 1 and intercept -1024 are "
                          "usual")  # fmt: skip

    def stored(self, units: float) -> float:
        """Grey level of a number of Hounsfield units, unrounded."""
        return (units - self.intercept) / self.slope if self.slope else float("nan")

    def picture(self, units: np.ndarray) -> Tensor:
        """Hounsfield units (h, w), clipped to the window, as a picture (1, h, w) float32 in [-1, 1]."""
        return self.pictures(torch.from_numpy(units.astype(np.float64)))[None]

    def pictures(self, units: Tensor) -> Tensor:
        """Hounsfield units, clipped to the window, as pictures of the same shape, float32 in [-1, 1]."""
        inside = units.double().clamp(self.low, self.high)
        return (2 * (inside - self.low) / (self.high - self.low) - 1).float()

    def units(self, picture: Tensor) -> Tensor:
        """Pictures in [-1, 1] (more is clipped) as Hounsfield units, float64, of the same shape."""
        return self.low + (picture.double().clamp(-1, 1) + 1) / 2 * (self.high - self.low)

    def levels(self, picture: Tensor) -> np.ndarray:
        """One picture (1, h, w) as it is written: (h, w) uint16 grey levels, rounded once."""
        units = self.units(picture)[0].cpu().numpy()
        return np.round((units - self.intercept) / self.slope).clip(0, MOST).astype(np.uint16)

    def of_levels(self, levels: np.ndarray) -> np.ndarray:
        """Grey levels of a file, (h, w), as Hounsfield units, float64."""
        return levels.astype(np.float64) * self.slope + self.intercept

    def seen(self, units: np.ndarray) -> np.ndarray:
        """Hounsfield units (h, w) in the window for the eye, as (h, w, 3) uint8."""
        grey = (units - self.shown_low) / (self.shown_high - self.shown_low) * 255
        return np.repeat(np.round(grey.clip(0, 255)).astype(np.uint8)[..., None], 3, axis=2)
