"""Style error: distance in light and colour between generated pictures and their exemplars' known style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal

FIELDS = ("sun_height", "season", "haze", "overcast", "warmth", "exposure", "contrast")
"""Numbers of a style: light, season, air and palette; without the sun's side, since mirrored pictures swap it."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BANDS = 3

Styles = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class StyleError:
    """Mean absolute errors in standard deviations of each number over the training pictures.

    Attributes:
        error: field -> error of the generated pictures' estimated style against their exemplars' known one.
        floor: field -> the estimator's own error, on real pictures that it has not seen.
        ceiling: field -> error against the exemplars of other pictures, as a model gives that ignores its exemplar.
    """

    error: dict[str, float]
    floor: dict[str, float]
    ceiling: dict[str, float]

    @property
    def means(self) -> tuple[float, float, float]:
        """(error, floor, ceiling), each the mean over the fields."""
        error, floor, ceiling = (sum(d.values()) / len(d) for d in (self.error, self.floor, self.ceiling))
        return error, floor, ceiling

    @property
    def share(self) -> float:
        """Place of the error between floor (0) and ceiling (1), over all fields; NaN where the floor is not below."""
        error, floor, ceiling = self.means
        return (error - floor) / (ceiling - floor) if ceiling > floor else float("nan")


@dataclass(frozen=True)
class StyleEstimator:
    """Reads a style off a picture's colour statistics by ridge regression.

    Attributes:
        fields: names of the numbers.
        mean, scale: (d,) of the statistics of the training pictures.
        weight: (d, k), on standardised statistics.
        bias, deviation: (k,) mean and standard deviation of the numbers over the training pictures.
    """

    fields: tuple[str, ...]
    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    deviation: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        """(n, k) float64 estimates for pictures (n, 3, h, w) uint8."""
        return (colour_statistics(image) - self.mean) / self.scale @ self.weight + self.bias

    def error(self, estimate: Tensor, styles: Styles) -> dict[str, float]:
        """Field -> mean absolute error of estimates (n, k), in standard deviations."""
        apart = (estimate - _table(styles, self.fields)).abs().mean(0) / self.deviation
        return dict(zip(self.fields, apart.tolist(), strict=True))


def fit_style(image: Tensor, styles: Styles, *, fields: Sequence[str] = FIELDS, ridge: float = 1e-2) -> StyleEstimator:
    """Fit the estimator.

    Args:
        image: (n, 3, h, w) uint8 real pictures.
        styles: their known styles.
        fields: which numbers of a style.
        ridge: penalty of the standardised statistics' weights, as a share of n.

    Raises:
        Refusal: fewer pictures than statistics, or a style without one of the fields.

    Source: Hoerl and Kennard, Technometrics 1970 (ridge regression).
    """
    x, y = colour_statistics(image), _table(styles, fields)
    n, d = x.shape
    if n != len(y) or n <= d:
        raise Refusal(f"a style estimator of {d} statistics needs more pictures than that, each with its style; got "
                      f"{n} pictures and {len(y)} styles")  # fmt: skip
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-9)
    z, bias = (x - mean) / scale, y.mean(0)
    gram = z.T @ z + ridge * n * torch.eye(d, dtype=z.dtype)
    weight = torch.linalg.solve(gram, z.T @ (y - bias))
    return StyleEstimator(tuple(fields), mean, scale, weight, bias, y.std(0).clamp(min=1e-9))


def style_error(
    generated: Tensor,
    exemplar_styles: Styles,
    *,
    train: tuple[Tensor, Styles],
    test: tuple[Tensor, Styles],
    fields: Sequence[str] = FIELDS,
) -> StyleError:
    """Distance between the style of generated pictures and the known style of their exemplars.

    The ceiling averages over the n - 1 cyclic shifts of the pictures against the exemplars' styles.

    Args:
        generated: (n, 3, h, w) uint8, n >= 2.
        exemplar_styles: n known styles, of the exemplar of each.
        train: real pictures (m, 3, h', w') uint8 and their styles, to fit the estimator.
        test: other real pictures and their styles, for the floor; of the size of `generated`.
        fields: which numbers of a style.

    Raises:
        Refusal: numbers of pictures and styles that do not fit, or too few pictures.
    """
    if len(generated) != len(exemplar_styles) or len(generated) < 2:
        raise Refusal(f"a style error needs one exemplar's style per picture and at least two; got {len(generated)} "
                      f"pictures and {len(exemplar_styles)} styles")  # fmt: skip
    estimator = fit_style(*train, fields=fields)
    estimate = estimator(generated)
    count = len(exemplar_styles)
    others = [estimator.error(estimate.roll(shift, 0), exemplar_styles) for shift in range(1, count)]
    return StyleError(
        error=estimator.error(estimate, exemplar_styles),
        floor=estimator.error(estimator(test[0]), test[1]),
        ceiling={name: sum(found[name] for found in others) / len(others) for name in estimator.fields},
    )


def colour_statistics(image: Tensor) -> Tensor:
    """Quantiles and deviations of brightness, red-green, blue-yellow and saturation in bands from top to bottom.

    Args:
        image: (n, 3, h, w) uint8, h >= 3.

    Returns:
        (n, 144) float64: the statistics and their squares.
    """
    x = torch.cat([_statistics(part.double() / 255) for part in image.split(64)])
    return torch.cat([x, x.square()], dim=1)


def _statistics(image: Tensor) -> Tensor:
    """(n, d) statistics of pictures in [0, 1], band by band."""
    r, g, b = image.unbind(1)
    high, low = image.amax(1), image.amin(1)
    axes = torch.stack([image.mean(1), r - g, (r + g) / 2 - b, (high - low) / high.clamp(min=1e-3)], dim=1)
    bands = [band.flatten(2) for band in axes.tensor_split(BANDS, dim=2)]  # each (n, 4, pixels)
    levels = torch.tensor(QUANTILES, dtype=image.dtype)
    parts = [t for band in bands for t in (*band.quantile(levels, dim=2), band.std(2, unbiased=False))]
    return torch.cat(parts, dim=1)


def _table(styles: Styles, fields: Sequence[str]) -> Tensor:
    """(n, k) float64 of the fields of every style."""
    if lacking := sorted({name for style in styles for name in fields if name not in style}):
        raise Refusal(f"styles without {', '.join(lacking)}; the procedural world's have {', '.join(FIELDS)}")
    return torch.tensor([[style[name] for name in fields] for style in styles], dtype=torch.float64)
