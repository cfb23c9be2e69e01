"""Things that stand in a landscape: their records, and makers that draw their sizes and colours."""

from __future__ import annotations

from dataclasses import dataclass

Tint = str | tuple[float, float, float]  # a kind of vegetation, or a colour


@dataclass(frozen=True)
class Thing:
    """A sprite on the ground: class, sprite, place (x, z), height in metres, width per height, tints, base."""

    label: str
    sprite: str
    x: float
    z: float
    size: float
    tints: tuple[Tint, ...]
    stretch: float = 1.0
    base: float | None = None  # metres above the datum instead of on the ground
    needs: str = "land"  # land, water or any


@dataclass(frozen=True)
class Ribbon:
    """An upright band between two points: wall, fence, railing, bridge, waterfall."""

    label: str
    start: tuple[float, float]
    end: tuple[float, float]
    size: float
    base: float | None = None


@dataclass(frozen=True)
class Deck:
    """A level strip over water or ground: a pier."""

    label: str
    x: float
    half: float
    z: tuple[float, float]
    height: float


BARK = (0.30, 0.23, 0.17)
WALLS = ((0.90, 0.87, 0.80), (0.82, 0.70, 0.52), (0.86, 0.80, 0.66), (0.72, 0.50, 0.38), (0.93, 0.92, 0.90))
ROOFS = ((0.58, 0.25, 0.17), (0.45, 0.22, 0.17), (0.33, 0.31, 0.33), (0.50, 0.33, 0.22))
CLOTHES = ((0.78, 0.16, 0.16), (0.15, 0.28, 0.62), (0.85, 0.72, 0.20), (0.90, 0.90, 0.90), (0.20, 0.45, 0.30))
HULLS = ((0.70, 0.20, 0.15), (0.16, 0.32, 0.55), (0.88, 0.87, 0.84), (0.20, 0.42, 0.32), (0.45, 0.28, 0.15))
WINDOW = (0.16, 0.20, 0.27)
SKIN = (0.72, 0.52, 0.40)


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


def tree(rng, x, z, conifers=0.5, size=None) -> Thing:
    kind = "conifer" if rng.uniform() < conifers else "broadleaf"
    size = size or rng.uniform(8, 15)
    return Thing(
        "tree", kind, x, z, size, (("conifers" if kind == "conifer" else "leaves"), BARK, BARK), rng.uniform(0.85, 1.15)
    )


def trees(rng, count, near, far, spread=0.7, conifers=0.5, gap=0.0) -> list[Thing]:
    out = []
    for _ in range(count):
        z = near * (far / near) ** rng.uniform()
        side = rng.choice([-1, 1])
        out.append(tree(rng, side * (gap + rng.uniform(0.02, spread) * z), z, conifers))
    return out


def house(rng, x, z, size=None) -> Thing:
    return Thing(
        "house",
        "house",
        x,
        z,
        size or rng.uniform(6, 9),
        (pick(rng, WALLS), pick(rng, ROOFS), WINDOW),
        rng.uniform(1.2, 1.6),
    )


def block(rng, x, z, size=None) -> Thing:
    tone = pick(
        rng, ((0.70, 0.68, 0.66), (0.62, 0.60, 0.62), (0.76, 0.66, 0.56), (0.52, 0.58, 0.66), (0.66, 0.48, 0.40))
    )
    return Thing(
        "building", "block", x, z, size or rng.uniform(16, 40), (tone, (0.4, 0.4, 0.42), WINDOW), rng.uniform(0.6, 1.2)
    )


def person(rng, x, z) -> Thing:
    return Thing("person", "person", x, z, rng.uniform(1.6, 1.85), (pick(rng, CLOTHES), (0.17, 0.19, 0.28), SKIN), 1.0)


def boat(rng, x, z) -> Thing:
    if rng.uniform() < 0.5:
        return Thing(
            "boat", "rowboat", x, z, 1.6, (pick(rng, HULLS), (0.80, 0.72, 0.58), (0.42, 0.30, 0.2)), 2.2, 0.0, "water"
        )
    return Thing(
        "boat",
        "sailboat",
        x,
        z,
        rng.uniform(6, 9),
        (pick(rng, HULLS), (0.96, 0.95, 0.92), (0.45, 0.36, 0.28)),
        0.85,
        0.0,
        "water",
    )


def ship(rng, x, z) -> Thing:
    hull = pick(rng, ((0.22, 0.25, 0.32), (0.55, 0.16, 0.14), (0.80, 0.80, 0.80), (0.14, 0.24, 0.36)))
    return Thing(
        "ship",
        "ship",
        x,
        z,
        rng.uniform(18, 26),
        (hull, (0.93, 0.93, 0.90), (0.16, 0.14, 0.14)),
        rng.uniform(2.0, 2.6),
        0.0,
        "water",
    )


def plants(rng, count, near, far, kind="bush") -> list[Thing]:
    out = []
    for _ in range(count):
        z = rng.uniform(near, far)
        flower = pick(rng, ((0.86, 0.30, 0.38), (0.92, 0.80, 0.25), (0.75, 0.55, 0.85), (0.30, 0.45, 0.15)))
        out.append(
            Thing(
                "plant",
                kind,
                rng.uniform(-0.62, 0.62) * z,
                z,
                rng.uniform(0.09, 0.17) * z,
                ("plant", flower, BARK),
                rng.uniform(1.0, 1.5),
            )
        )
    return out


def boulders(rng, count, near, far, size=(0.05, 0.12)) -> list[Thing]:
    tone = (0.52, 0.50, 0.48)
    zs = rng.uniform(near, far, count)
    return [
        Thing(
            "rock",
            "boulder",
            rng.uniform(-0.65, 0.65) * z,
            z,
            rng.uniform(*size) * z,
            (tone, tone, tone),
            rng.uniform(1.1, 1.7),
            needs="any",
        )
        for z in zs
    ]


def extras(rng, odds: float = 0.22) -> list[Thing]:
    """Now and then something of no class: poles, grazing sheep, a balloon."""
    if rng.uniform() > odds:
        return []
    chance = rng.uniform()
    if chance < 0.35:
        x0, lean = rng.uniform(3, 9) * rng.choice([-1, 1]), rng.uniform(-0.2, 0.2)
        return [
            Thing("other", "pole", x0 + lean * z, z, 9.0, ((0.36, 0.29, 0.23), (0.5, 0.5, 0.5), BARK), 1.0)
            for z in (24.0, 48.0, 80.0, 125.0, 190.0)
        ]
    if chance < 0.75:
        z0, x0 = rng.uniform(16, 40), rng.uniform(-0.3, 0.3)
        wool = pick(rng, ((0.90, 0.88, 0.82), (0.42, 0.26, 0.16)))
        return [
            Thing("other", "sheep", x0 * z + rng.uniform(-6, 6), z, 1.6, (wool, (0.2, 0.17, 0.15), BARK), 1.3)
            for z in z0 * rng.uniform(0.8, 1.6, 7)
        ]
    z = rng.uniform(150, 400)
    return [
        Thing(
            "other",
            "balloon",
            rng.uniform(-0.4, 0.4) * z,
            z,
            24.0 * z / 200,
            (pick(rng, CLOTHES), (0.95, 0.90, 0.75), BARK),
            1.0,
            base=rng.uniform(0.08, 0.2) * z,
            needs="any",
        )
    ]
