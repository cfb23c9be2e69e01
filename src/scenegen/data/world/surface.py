"""Surfaces: classes of the land and water, colours of sky, ground and water."""

from __future__ import annotations

import numpy as np

from scenegen.data.classes import LANDSCAPE
from scenegen.data.world.light import Light, mix, rgb, vegetation
from scenegen.data.world.noise import smoothstep, textures
from scenegen.data.world.terrain import FOCAL, WIDTH, Place, View

CLASS = {name: i for i, name in enumerate(LANDSCAPE.names)}

# albedo, and how strongly each of the four ground fields (soft, fine, rocky, facing the sun) shows
GROUND: dict[str, tuple[tuple[float, float, float], tuple[float, float, float, float]]] = {
    "mountain": ((0.46, 0.43, 0.42), (0.05, 0.02, 0.16, 0.30)),
    "rock": ((0.50, 0.47, 0.43), (0.04, 0.05, 0.22, 0.34)),
    "earth": ((0.50, 0.31, 0.19), (0.12, 0.10, 0.08, 0.14)),
    "land": ((0.64, 0.52, 0.33), (0.16, 0.12, 0.02, 0.04)),
    "sand": ((0.78, 0.65, 0.45), (0.04, 0.03, 0.01, 0.08)),
    "path": ((0.70, 0.58, 0.42), (0.08, 0.08, 0.04, 0.08)),
    "road": ((0.36, 0.36, 0.38), (0.03, 0.05, 0.0, 0.0)),
    "wall": ((0.60, 0.56, 0.50), (0.05, 0.08, 0.12, 0.10)),
    "grass": ((0.0, 0.0, 0.0), (0.14, 0.16, 0.0, 0.05)),
    "hill": ((0.0, 0.0, 0.0), (0.16, 0.06, 0.05, 0.14)),
    "field": ((0.0, 0.0, 0.0), (0.05, 0.08, 0.0, 0.0)),
    "plant": ((0.0, 0.0, 0.0), (0.10, 0.14, 0.0, 0.0)),
    "tree": ((0.0, 0.0, 0.0), (0.05, 0.05, 0.0, 0.0)),
}
WATER = {
    "water": ((0.16, 0.21, 0.12), 0.62, 0.5),
    "lake": ((0.10, 0.24, 0.30), 0.85, 0.35),
    "river": ((0.26, 0.34, 0.34), 0.55, 0.9),
    "sea": ((0.05, 0.19, 0.33), 0.42, 1.6),
}  # colour of the body, how much it mirrors, how rough it is


def classify(view: View, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) uint8 labels of sky, land and water, and the (h, w) bool mask of the water."""
    label = np.where(view.z < 260, CLASS[place.ground], CLASS[place.far_ground]).astype(np.uint8)
    if place.far_ground == "hill":
        label[(view.z > 200) & (view.hill > 3)] = CLASS["hill"]
    if place.fields:
        label[(view.hill > 0.75 * place.hills) & (view.z > 700)] = CLASS["hill"]
    if place.mountains:
        label[view.mount > 0.07 * place.mountains] = CLASS["mountain"]
    if place.boulders:
        speck = textures().patches(view.x / 150, view.z / 150, 1) + (place.boulders - 0.7) * 2
        label[(speck > 0.5) & (view.z < 160)] = CLASS["rock"]
    if place.cliffs or place.cliff_wall:
        label[view.rock > 1.2] = CLASS["rock"]
    wet = np.zeros_like(view.land_mask)
    water = place.water or place.stream
    if water:
        if place.beach:
            label[(view.bare < place.beach_height) & (view.z < 500)] = CLASS[place.beach]
        elif place.water == "sea":
            label[(view.slope > 0.5) & (view.z < 1500)] = CLASS["rock"]
    if place.path:
        on = (np.abs(view.x - place.bend(view.z)) < place.path_width) & (view.z < place.path_far)
        label[on & (view.rock < 1)] = CLASS[place.path]
    wooded = view.canopy > 1.8
    if place.mountains:
        wooded &= (view.mount < 0.10 * place.mountains) | (view.z < 900)
    distant = wooded & (view.z > 420) & (view.hill > 0.35 * place.hills)
    label[wooded] = CLASS["tree"]
    label[distant] = CLASS["hill"]
    label[(view.bush > 0.12) & (view.canopy < 1.8)] = CLASS["plant"]
    if water:
        wet = (view.height < 0.02) & view.land_mask
        label[wet] = CLASS[water]
    label[~view.land_mask] = CLASS["sky"]
    return label, wet


def colour_sky(rows, columns, place: Place, style, light: Light) -> np.ndarray:
    """(h, w, 3) sky over the whole frame: gradient, sun glow, clouds lit from the sun's side."""
    up = np.clip((place.horizon - rows) / max(place.horizon, 0.2), 0, 1)[:, None, None]
    sky = mix(light.horizon, light.zenith, up ** np.float32(0.75))
    sun_x = WIDTH * (0.5 + 0.46 * style["sun_azimuth"])
    sun_y = place.horizon - 0.03 - 0.75 * style["sun_height"]
    dx, dy = (columns - sun_x)[None], (rows - sun_y)[:, None]
    d = np.sqrt(dx * dx + dy * dy)
    low = 1 - style["sun_height"]
    glow = np.exp(-d * np.float32(4.5 - 1.5 * low)) * np.float32(0.75)
    disc = smoothstep(0.034, 0.022, d) * np.float32(0.9)
    image = sky + light.glow * (glow + disc)[..., None]
    height = np.maximum(place.horizon - rows, 0)[:, None] + np.float32(0.07)
    shelf, o = textures().clouds, place.offset
    scale = np.float32(0.055) / height
    u, v = (columns - WIDTH / 2)[None] * scale * np.float32(2.2) + o[0], scale * np.float32(2.6) + o[1]
    level = shelf.level(np.float32(2.2 / 96) * scale * np.maximum(1, 0.5 / height * 0.3))
    cloud = shelf(u, v, level)
    density = cloud[..., 0]
    threshold = 1.5 - 2.3 * place.clouds - 1.6 * style["overcast"]
    cover = (
        smoothstep(threshold - 0.25, threshold + 1.1, density) * smoothstep(0.0, 0.10, height - 0.07) * np.float32(0.93)
    )
    facing = np.clip(0.75 - 0.16 * (density - threshold) - 0.30 * cloud[..., 1] * light.side, 0.2, 1.15)
    lit = light.sun * 0.75 + light.ambient * 0.62
    shade = mix(light.ambient * 0.9, light.horizon, 0.35) * (1 - 0.18 * style["overcast"])
    cloud_colour = shade + (lit - shade) * facing[..., None] + light.glow * (glow * np.float32(0.4))[..., None]
    image += (cloud_colour - image) * cover[..., None]
    return image.astype(np.float32)


def _tables(style, light: Light) -> tuple[np.ndarray, np.ndarray]:
    albedo, show = np.zeros((29, 3), np.float32), np.zeros((29, 4), np.float32)
    for name, (tone, fields) in GROUND.items():
        albedo[CLASS[name]], show[CLASS[name]] = tone, fields
    season = style["season"]
    grass = vegetation(season, "grass")
    albedo[CLASS["grass"]] = grass
    albedo[CLASS["hill"]] = mix(grass, rgb(0.40, 0.38, 0.24), 0.45)
    albedo[CLASS["plant"]] = vegetation(season, "plant")
    albedo[CLASS["field"]] = mix(grass, rgb(0.74, 0.62, 0.26), 0.6)
    albedo[CLASS["tree"]] = vegetation(season, "leaves")
    snowy = {
        "grass": 0.85,
        "hill": 0.8,
        "land": 0.6,
        "field": 0.7,
        "plant": 0.35,
        "rock": 0.35,
        "earth": 0.45,
        "path": 0.4,
        "tree": 0.25,
        "road": 0.15,
    }
    for name, amount in snowy.items():
        albedo[CLASS[name]] = mix(albedo[CLASS[name]], rgb(0.90, 0.92, 0.97), amount * light.snow)
    return albedo, show


def colour_ground(view: View, label, place: Place, style, light: Light, height: int) -> np.ndarray:
    """(h, w, 3) lit land behind its haze, in a picture of `height` rows."""
    albedo_of, show_of = _tables(style, light)
    shelf, o, z = textures().ground, place.offset, view.z
    v = z + 1.3 * view.height
    pixel = z / (height * FOCAL)
    steep = np.sqrt(np.clip(z / max(place.eye, 1.0), 1, 30))
    near = shelf.nearest(view.x / 14 + o[0], v / 14 + o[1], shelf.level(pixel * steep / 14))
    wide = shelf(view.x / 420 + o[2], v / 420 + o[3], shelf.level(pixel * steep / 420))
    fade = np.clip(120 / z, 0, 1)[..., None]
    huge = smoothstep(500, 2500, z)[..., None]
    if place.mountains:
        range_ = shelf(view.x / 4200 + o[2], (z + 2.2 * view.height) / 4200 + o[3], shelf.level(pixel * 2 / 4200))
        wide = wide * (1 - 0.6 * huge) + range_ * huge * 1.1
    detail = near * fade + wide * (0.55 + 0.3 * (1 - fade))
    detail[..., 3] *= np.float32(-light.side)
    np.clip(detail, -2.5, 2.5, out=detail)
    show = show_of.take(label, axis=0)
    tone = np.einsum("hwc,hwc->hw", detail, show)
    albedo = albedo_of.take(label, axis=0)
    _special(albedo, tone, view, label, place, style, light, detail)
    sun = view.sun * np.float32(1.0)
    under = 0.72 + 0.28 * smoothstep(1.0, 14.0, view.canopy)
    under = np.where(label == CLASS["tree"], under * 0.9, 1)
    bright = (light.ambient * np.float32(0.72)) + light.sun * sun[..., None]
    image = albedo * np.clip(1 + tone, 0.25, 1.9)[..., None] * bright * under[..., None]
    far = 1 - np.exp(-z / np.float32(light.reach))
    far *= np.float32(0.93)
    sun_x = WIDTH * (0.5 + 0.46 * style["sun_azimuth"])
    along = np.exp(-((view.x / z * FOCAL + WIDTH / 2 - sun_x) ** 2) * 5) * np.float32((1 - style["sun_height"]) * 0.45)
    haze = light.haze + (light.glow - light.haze * 0.5) * along[..., None]
    image += (haze - image) * far[..., None]
    return image


def _special(albedo, tone, view: View, label, place: Place, style, light: Light, detail) -> None:
    """Colours that no table holds: snow and woods on mountains, crops, crowns, flowers, road marks."""
    z = view.z
    at = label == CLASS["mountain"]
    if at.any():
        high = view.mount[at] / max(place.mountains, 1)
        wood = smoothstep(0.34, 0.16, high + 0.05 * detail[at][:, 0])
        woods = mix(vegetation(style["season"], "conifers"), vegetation(style["season"], "grass"), 0.35)
        tones = mix(albedo[at], woods, (0.8 * wood)[:, None])
        line = 0.62 - 0.5 * light.snow - 0.40 * abs(style["season"] - 0.66)
        snow = smoothstep(
            line - 0.06, line + 0.08, high + 0.07 * detail[at][:, 2] - 0.10 * np.clip(view.slope[at] - 0.7, 0, 1)
        )
        albedo[at] = mix(tones, rgb(0.93, 0.95, 1.0), (0.92 * snow)[:, None])
        tone[at] *= 1 - 0.35 * snow
    at = label == CLASS["tree"]
    if at.any():
        kind = "conifers" if place.conifers > 0.5 else "leaves"
        shelf = textures().conifers if place.conifers > 0.5 else textures().leaves
        x, v = view.x[at] / 230 + place.offset[1], z[at] / 230 + place.offset[2]
        crown = shelf(x, v, shelf.level(z[at] / 90 / 230 * 2))
        base = mix(vegetation(style["season"], kind), rgb(0.88, 0.91, 0.96), 0.25 * light.snow)
        other = mix(base, vegetation(style["season"], "grass"), 0.45)
        albedo[at] = mix(base, other, crown[:, 1:2] * np.float32(1.2 - 0.7 * (kind == "conifers")))
        side = np.clip(crown[:, 2] * np.float32(light.side), -1, 1)
        tone[at] += 0.32 * side + 0.7 * (crown[:, 0] - 0.45) + 0.14 * detail[at][:, 1]
    at = label == CLASS["field"]
    if at.any():
        _crops(albedo, tone, at, view, place, style, light)
    at = label == CLASS["plant"]
    if at.any():
        fine = detail[at][:, 1]
        flower = np.array([(0.86, 0.30, 0.38), (0.92, 0.80, 0.25), (0.75, 0.55, 0.85), (0.95, 0.95, 0.90)], np.float32)[
            int(place.offset[5] * 4)
        ]
        bloom = smoothstep(0.9, 1.4, fine) * np.float32(0.8 * (0.15 < style["season"] < 0.8))
        albedo[at] = mix(albedo[at], flower, bloom[:, None])
        tone[at] += 1.3 * np.clip(view.bush[at], 0, 0.7) - 0.42
    at = label == CLASS["sand"]
    if at.any():
        wave = np.sin(v := (view.x[at] * 1.1 + z[at] * 4.2 + 3 * detail[at][:, 0])) * np.clip(14 / z[at], 0, 1)
        tone[at] += np.float32(0.05) * wave * (v == v)
        if place.water or place.stream:
            damp = smoothstep(0.5, 0.1, view.bare[at])
            albedo[at] *= (1 - 0.4 * damp)[:, None]
    at = label == CLASS["road"]
    if at.any() and place.path == "road":
        zz = z[at]
        middle = place.bend(zz)
        off = np.abs(view.x[at] - middle)
        dash = (off < 0.13) & (np.sin(zz * 0.9) > -0.1) | (np.abs(off - place.path_width * 0.88) < 0.12)
        albedo[at] = np.where(dash[:, None], rgb(0.85, 0.84, 0.78), albedo[at])
    at = (label == CLASS["grass"]) & (z < 60)
    if at.any():
        tone[at] += 0.10 * np.clip(detail[at][:, 1], -1.5, 1.5) * np.clip(18 / z[at], 0, 1)


def _crops(albedo, tone, at, view: View, place: Place, style, light: Light) -> None:
    """Patches of crops with furrows that run towards the distance."""
    turn = 0.35 * (place.offset[3] - 0.5)
    x, z = view.x[at] + turn * view.z[at], view.z[at] - turn * view.x[at]
    column = np.floor(x / 46 + 0.37)
    row = np.floor(np.log(np.maximum(z, 4)) * 2.1 + 0.3 * column + place.offset[4])
    chance = np.abs(np.sin(column * 12.9898 + row * 78.233 + place.offset[4] * 40) * 43758.547) % 1
    season = style["season"]
    crops = np.array(
        [
            vegetation(season, "grass"),
            (0.70, 0.59, 0.32),
            (0.44, 0.33, 0.24),
            (0.50, 0.50, 0.24),
            vegetation(season, "plant"),
        ],
        np.float32,
    )
    crops[3] = mix(crops[3], rgb(0.80, 0.72, 0.24), float(0.2 < season < 0.5))
    crops = mix(crops, rgb(0.90, 0.92, 0.97), 0.7 * light.snow)
    albedo[at] = crops[np.minimum((chance * 5).astype(int), 4)]
    across = np.where(chance * 10 % 1 > 0.3, x, z * 0.35)
    sharp = np.clip(60 / view.z[at], 0, 1) ** 0.7
    tone[at] += (0.20 * sharp * np.sin(across * 4.2)).astype(np.float32)
    edge = np.abs(x / 46 + 0.37 - column - 0.5) > 0.485
    tone[at] -= 0.25 * edge


def colour_water(canvas, view: View, wet, place: Place, style) -> None:
    """Paint the water of a finished picture: mirror of what stands above it, waves, glints, foam."""
    name = place.water or place.stream
    body, mirror, rough = WATER[name]
    light, rows, columns = canvas.light, canvas.rows, canvas.columns
    if not wet.any():
        return
    skip = int(np.flatnonzero(wet.any(axis=1))[0])
    start = view.first_row + skip
    z, x, bare, wet = view.z[skip:], view.x[skip:], view.bare[skip:], wet[skip:]
    rows, h, w = rows[start:], len(rows), wet.shape[1]
    grid = np.arange(start, h)[:, None]
    # the row where the water of this pixel begins, column by column
    begin = np.maximum.accumulate(np.where(wet, start, grid + 1), axis=0)
    o = place.offset
    shelf = textures().waves
    if place.stream:
        across = x - z * place.bends[0]
        wave = shelf(z / 30 + o[0], across / 16 + o[1], shelf.level(z / 200 / 16)) * 0.6
    else:
        level = shelf.level(z * np.sqrt(np.maximum(z / place.eye, 1)) / h / 60)
        wave = shelf(x / 60 + o[0], z / 45 + o[1], level)
    swell = shelf(x / 700 + o[2], z / 400 + o[3], shelf.level(z / h / 200))
    grazing = np.clip(place.eye / z, 0, 1)
    shift = wave * np.float32(rough * 0.012 * h) * (0.3 + np.minimum(grazing * 8, 1))
    mirrored = np.clip(2 * begin - 1 - grid + shift, 0, h - 1).astype(np.int64)
    mirrored = np.where(mirrored >= begin, np.maximum(begin - 1, 0), mirrored)
    side = np.clip(np.arange(w)[None] + shift * np.float32(0.4), 0, w - 1).astype(np.int64)
    at = mirrored * w + side
    reflected = canvas.image.reshape(-1, 3).take(at, axis=0)
    fresnel = np.clip(mirror * (1.05 - 3.0 * grazing * rough * 0.6) + 0.10 * wave * rough * 0.5, 0.08, 0.95)
    bright = light.ambient * np.float32(0.8) + light.sun * np.float32(0.55)
    base = rgb(*body) * np.float32(1.25)
    if name == "sea":
        base = mix(base, rgb(0.10, 0.42, 0.42), smoothstep(-4, 0.0, bare)[..., None] * np.float32(0.7))
    elif name in ("lake", "river"):
        base = mix(base, rgb(0.34, 0.36, 0.26), smoothstep(-1.6, 0.0, bare)[..., None] * np.float32(0.5))
    contrast = {"sea": 0.34, "river": 0.22, "lake": 0.08, "water": 0.10}[name]
    texture = 1 + contrast * wave * np.clip(grazing * 20, 0.35, 1) + 0.5 * contrast * swell
    image = base * bright * np.clip(texture, 0.3, 2)[..., None]
    image += (reflected * np.float32(0.93) - image) * fresnel[..., None]
    sun_x = WIDTH * (0.5 + 0.46 * style["sun_azimuth"])
    spread = 0.03 + 0.25 * (rows[:, None] - place.horizon)
    lane = np.exp(-(((columns[None] - sun_x) / np.maximum(spread, 0.03)) ** 2)) * np.float32(
        (1 - style["sun_height"]) ** 1.5
    )
    glint = lane * smoothstep(0.0, 1.2, wave) * np.float32(1.0 if name == "sea" else 0.6)
    image += light.glow * glint[..., None]
    foam = _foam(name, bare, z, wave, swell)
    if foam is not None:
        image += ((light.ambient * 0.75 + light.sun * 0.55) - image) * foam[..., None]
    far = (1 - np.exp(-z / np.float32(1.5 * light.reach))) * np.float32(0.9)
    image += (light.haze - image) * far[..., None]
    np.copyto(canvas.image[start:], image, where=wet[..., None])


def _foam(name: str, bare, z, wave, swell):
    if name == "sea":
        depth = -bare + 0.5 * wave
        surf = smoothstep(0.55, 0.1, np.abs(depth - 0.25)) + 0.8 * smoothstep(
            0.45, 0.1, np.abs(depth - 1.8 - 0.4 * swell)
        )
        caps = smoothstep(1.3, 2.2, wave + 0.4 * swell) * 0.6 * np.clip(120 / z, 0, 1)
        return np.clip(surf * np.clip(160 / z, 0, 1) * 0.85 + caps, 0, 0.95)
    if name == "river":
        return smoothstep(1.0, 2.2, wave) * np.float32(0.55) * np.clip(90 / z, 0, 1)
    return None
