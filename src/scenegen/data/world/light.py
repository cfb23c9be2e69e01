"""Style of a picture: the few numbers that govern its colours, and the colours that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.data.world.noise import smoothstep

STYLE_FIELDS: dict[str, tuple[float, float]] = {
    "sun_azimuth": (-1.0, 1.0),  # left .. right of the picture
    "sun_height": (0.0, 1.0),  # at the horizon (golden) .. noon
    "season": (0.0, 1.0),  # winter, spring (1/3), summer (2/3), autumn (1)
    "haze": (0.0, 1.0),
    "overcast": (0.0, 1.0),
    "warmth": (-1.0, 1.0),  # white balance, blue .. amber
    "exposure": (-1.0, 1.0),
    "contrast": (-1.0, 1.0),
}
"""Names and ranges of `Scene.style`."""


def draw_style(rng: np.random.Generator) -> dict[str, float]:
    """A random style; every field is drawn, so that it never depends on the scene."""
    u = rng.uniform(0, 1, 8)
    return {
        "sun_azimuth": float(2 * u[0] - 1),
        "sun_height": float(u[1]),
        "season": float(u[2] ** 0.8),
        "haze": float(u[3] ** 1.5),
        "overcast": float(max(0.0, u[4] * 1.6 - 0.6)),
        "warmth": float(2 * u[5] - 1),
        "exposure": float(2 * u[6] - 1),
        "contrast": float(2 * u[7] - 1),
    }


def rgb(r: float, g: float, b: float) -> np.ndarray:
    return np.array([r, g, b], np.float32)


def mix(a, b, t):
    return a + (b - a) * t


@dataclass(frozen=True)
class Light:
    """Colours of the light: each (3,) float32; `towards` is the unit vector to the sun (x right, y up, z ahead)."""

    sun: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    glow: np.ndarray
    haze: np.ndarray
    towards: np.ndarray
    side: float
    reach: float
    snow: float


def light_of(style: dict[str, float]) -> Light:
    """Light of a style."""
    noon = float(smoothstep(0.05, 0.55, np.float32(style["sun_height"])))
    grey = style["overcast"]
    sun = mix(rgb(1.05, 0.62, 0.30), rgb(0.98, 0.93, 0.82), noon) * (1 - 0.85 * grey)
    ambient = mix(mix(rgb(0.46, 0.42, 0.47), rgb(0.42, 0.46, 0.52), noon), rgb(0.80, 0.82, 0.85), grey)
    ambient *= mix(0.8, 1.0, noon)
    zenith = mix(mix(rgb(0.20, 0.27, 0.46), rgb(0.20, 0.42, 0.76), noon), rgb(0.56, 0.60, 0.65), grey)
    horizon = mix(mix(rgb(0.86, 0.58, 0.38), rgb(0.70, 0.82, 0.92), noon), rgb(0.78, 0.80, 0.82), grey)
    glow = mix(rgb(1.0, 0.72, 0.36), rgb(0.9, 0.9, 0.8), noon) * (1 - 0.9 * grey)
    towards = np.array(
        [1.1 * style["sun_azimuth"], 0.22 + 0.95 * style["sun_height"], 0.35 - 1.0 * style["sun_height"]]
    )
    towards = (towards / np.linalg.norm(towards)).astype(np.float32)
    reach = 700.0 * 30.0 ** (1 - style["haze"])
    snow = float(smoothstep(0.24, 0.06, np.float32(style["season"])))
    side = 1.0 if style["sun_azimuth"] >= 0 else -1.0
    return Light(sun, ambient, zenith, horizon, glow, mix(horizon, zenith, 0.25), towards, side, reach, snow)


def vegetation(season: float, kind: str) -> np.ndarray:
    """(3,) colour of grass, leaves or conifers at a season."""
    ramps = {
        "grass": [(0.40, 0.36, 0.24), (0.31, 0.39, 0.14), (0.25, 0.33, 0.12), (0.46, 0.38, 0.17)],
        "leaves": [(0.30, 0.26, 0.20), (0.26, 0.42, 0.11), (0.14, 0.28, 0.08), (0.62, 0.33, 0.08)],
        "conifers": [(0.17, 0.23, 0.18), (0.16, 0.27, 0.14), (0.13, 0.23, 0.12), (0.18, 0.23, 0.12)],
        "plant": [(0.38, 0.34, 0.18), (0.26, 0.43, 0.10), (0.17, 0.34, 0.09), (0.52, 0.38, 0.13)],
    }
    ramp = np.array(ramps[kind], np.float32)
    at = season * 3
    i = min(int(at), 2)
    return mix(ramp[i], ramp[i + 1], np.float32(at - i))


def grade(image: np.ndarray, style: dict[str, float], grain: np.ndarray) -> np.ndarray:
    """White balance, exposure, contrast, a filmic shoulder and grain: (h, w, 3) float -> uint8."""
    warm, gain = style["warmth"], 2.0 ** (0.34 * style["exposure"])
    image = image * (rgb(1 + 0.17 * warm, 1 + 0.01 * warm, 1 - 0.20 * warm) * np.float32(gain * 1.02))
    np.clip(image, 0, 4, out=image)
    image = image * (1 + image * np.float32(0.18)) / (1 + image * np.float32(0.42)) * np.float32(1.18)
    slope = np.float32(0.28 + 0.26 * style["contrast"])
    np.clip(image, 0, 1, out=image)
    image += slope * (image - np.float32(0.44)) * image * (1 - image) * np.float32(2.2)
    image += grain[..., None]
    image *= 255
    image += np.float32(0.5)
    return np.clip(image, 0, 255, out=image).astype(np.uint8)
