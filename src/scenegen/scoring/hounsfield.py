"""Measures of slices in a window of Hounsfield units, per slice: the options psnr_hu, ssim_hu and rmse_hu."""

from __future__ import annotations

from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics import hounsfield
from scenegen.scoring.inputs import Samples
from scenegen.scoring.measures import PictureMeasure

EQUAL = 1e-3
"""Hounsfield units of RMSE at which a PSNR is taken where two slices are equal, so that a mean stays finite."""


class OfSlices(PictureMeasure):
    """Base of the three.

    Args:
        low, high: window in Hounsfield units.
    """

    needs = frozenset({"image"})
    hounsfield: bool = True

    def __init__(self, *, low: float, high: float) -> None:
        if not low < high:
            raise Refusal(f"low={low:g} and high={high:g} of a measure are no window; give Hounsfield units that rise, "
                          "as -1024 and 3072, or -160 and 240 for soft tissue")  # fmt: skip
        self.window = (float(low), float(high))
        self.stamp = f"HU window [{low:g}, {high:g}], range {high - low:g}, mean over slices"


class PsnrHu(OfSlices):
    """Mean over slices of the peak signal-to-noise ratio in dB, see `hounsfield.psnr`; higher is better."""

    name = "psnr_hu"
    better = "higher"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        ceiling = (self.window[1] - self.window[0]) / EQUAL
        found = hounsfield.psnr(made, sample.image, window=self.window)
        return found.clamp(max=20 * found.new_tensor(ceiling).log10())


class RmseHu(OfSlices):
    """Mean over slices of the root mean square difference in Hounsfield units; lower is better."""

    name = "rmse_hu"
    better = "lower"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return hounsfield.rmse(made, sample.image, window=self.window)


class SsimHu(OfSlices):
    """Mean over slices of the structural similarity, borders counted, see `hounsfield.ssim`; 1 for equal slices."""

    name = "ssim_hu"
    better = "higher"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return hounsfield.ssim(made, sample.image, window=self.window)
