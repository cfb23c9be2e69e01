"""Landscapes at a sea, a lake or a river, and the things that stand in them."""

from __future__ import annotations

from scenegen.data.world.terrain import Place
from scenegen.data.world.things import (
    WINDOW,
    Deck,
    Ribbon,
    Thing,
    block,
    boat,
    boulders,
    house,
    person,
    plants,
    ship,
    trees,
)


def mountain_lake(rng) -> Place:
    p = Place(
        eye=rng.uniform(3, 9),
        horizon=rng.uniform(0.40, 0.50),
        mountains=rng.uniform(1300, 2100),
        water="lake",
        near=rng.uniform(12, 30),
        far=rng.uniform(350, 900),
        forest=rng.uniform(0.4, 0.7),
        forest_from=60,
        conifers=0.9,
        hills=rng.uniform(15, 50),
        valley=rng.uniform(0.3, 0.8),
        beach=str(rng.choice(["", "rock", "earth", "sand"])),
        beach_height=0.8,
        plants=rng.choice([0.0, 0.35]),
    )
    p.things = boulders(rng, int(rng.integers(0, 7)), p.near * 0.55, p.near * 1.1) + trees(
        rng, 4, p.near * 0.9, p.near * 2, 0.7, 0.9, 5.0
    )
    if rng.uniform() < 0.4:
        p.things += [boat(rng, rng.uniform(-0.3, 0.3) * z, z) for z in rng.uniform(p.near * 1.6, p.near * 4, 2)]
    if rng.uniform() < 0.3:
        p.things.append(Deck("pier", rng.uniform(-4, 4), 1.1, (p.near * 0.6, p.near * 2.2), 0.9))
    if rng.uniform() < 0.3:
        p.things.append(house(rng, rng.uniform(-0.4, 0.4) * p.far * 1.3, p.far * 1.3, 12.0))
    return p


def coast(rng) -> Place:
    side = float(rng.choice([-1, 1]))
    p = Place(
        ground="sand",
        far_ground="hill",
        eye=rng.uniform(4, 12),
        horizon=rng.uniform(0.36, 0.48),
        hills=rng.uniform(50, 130),
        water="sea",
        near=rng.uniform(16, 36),
        headland=side,
        relief=1.2,
        beach="sand",
        beach_height=1.6,
        forest=rng.uniform(0.1, 0.35),
        conifers=0.2,
        plants=0.3 * (rng.uniform() < 0.4),
    )
    p.things = boulders(rng, int(rng.integers(2, 12)), p.near * 0.7, p.near * 1.8, (0.04, 0.13))
    if rng.uniform() < 0.5:
        p.things += [
            person(rng, rng.uniform(-0.4, 0.4) * z, z)
            for z in rng.uniform(p.near * 0.5, p.near * 0.85, int(rng.integers(1, 5)))
        ]
    if rng.uniform() < 0.5:
        p.things.append(ship(rng, -side * rng.uniform(0.0, 0.4) * 500, 500.0))
    if rng.uniform() < 0.4:
        p.things.append(
            Thing(
                "building",
                "lighthouse",
                side * 0.42 * 260,
                260.0,
                30.0,
                ((0.95, 0.95, 0.93), (0.75, 0.16, 0.14), WINDOW),
                1.0,
                needs="any",
            )
        )
    return p


def open_sea(rng) -> Place:
    p = Place(
        ground="sand",
        eye=rng.uniform(3, 10),
        horizon=rng.uniform(0.40, 0.6),
        hills=0,
        water="sea",
        near=rng.uniform(6, 18),
        beach="sand",
        beach_height=3.0,
        forest=0,
        relief=0.6,
        clouds=0.65,
    )
    for z in rng.uniform(250, 900, int(rng.integers(0, 3))):
        p.things.append(ship(rng, rng.uniform(-0.5, 0.5) * z, z))
    p.things += [boat(rng, rng.uniform(-0.5, 0.5) * z, z) for z in rng.uniform(30, 120, int(rng.integers(0, 4)))]
    return p


def river_valley(rng) -> Place:
    p = Place(
        eye=rng.uniform(5, 14),
        horizon=rng.uniform(0.34, 0.46),
        hills=rng.uniform(30, 90),
        mountains=rng.choice([0, 1100, 1700]),
        stream="river",
        stream_width=rng.uniform(8, 16),
        bends=(rng.uniform(-0.1, 0.1), rng.uniform(0.3, 0.5), rng.uniform(0, 6.3)),
        forest=rng.uniform(0.35, 0.6),
        forest_from=50,
        clearing=24,
        conifers=float(rng.uniform() < 0.5),
        beach=str(rng.choice(["sand", "earth", "rock"])),
        beach_height=0.5,
        bank=1.1,
        plants=0.3 * (rng.uniform() < 0.5),
        far_ground=str(rng.choice(["grass", "hill"])),
    )
    p.things = trees(rng, 10, 30, 160, 0.6, p.conifers, 12) + boulders(rng, int(rng.integers(0, 8)), 12, 40)
    if rng.uniform() < 0.5:
        p.things.append(Ribbon("bridge", (-60.0, 85.0), (60.0, 85.0), 7.0, base=0.0))
    if rng.uniform() < 0.3:
        p.things += [house(rng, rng.uniform(-60, 60), rng.uniform(90, 160)) for _ in range(3)]
    return p


def gorge(rng) -> Place:
    p = Place(
        ground=str(rng.choice(["rock", "grass", "rock"])),
        eye=rng.uniform(3, 6),
        horizon=rng.uniform(0.50, 0.62),
        hills=30,
        cliffs=rng.uniform(26, 40),
        cliff_gap=rng.uniform(0.3, 0.45),
        cliff_wall=rng.uniform(24, 36),
        cliff_from=rng.uniform(60, 90),
        stream=str(rng.choice(["river", "water", "river"])),
        stream_width=rng.uniform(7, 11),
        stream_far=90,
        bends=(0.0, rng.uniform(0.05, 0.16), rng.uniform(0, 6.3)),
        forest=0.75,
        forest_from=45,
        conifers=float(rng.uniform() < 0.5),
        bank=0.9,
        beach="rock",
        beach_height=0.7,
        plants=0.3,
        relief=0.6,
    )
    p.stream_far = p.cliff_from
    p.things = (
        boulders(rng, int(rng.integers(6, 14)), 9, 40, (0.06, 0.15))
        + trees(rng, 4, 25, 50, 0.3, p.conifers, 12)
        + plants(rng, 2, 6, 9)
    )
    x = rng.uniform(-6, 6)
    p.things.append(
        Ribbon(
            "waterfall",
            (x - rng.uniform(2.0, 4.5), p.cliff_from * 0.92),
            (x + rng.uniform(2.0, 4.5), p.cliff_from * 0.92),
            p.cliff_wall * 1.0,
            base=0.0,
        )
    )
    return p


def harbour(rng) -> Place:
    p = Place(
        ground="earth",
        far_ground="hill",
        eye=rng.uniform(5, 10),
        horizon=rng.uniform(0.38, 0.5),
        hills=rng.uniform(40, 110),
        water="sea",
        near=rng.uniform(12, 20),
        headland=float(rng.choice([-1, 1])),
        forest=0.3,
        beach=str(rng.choice(["", "wall", "earth"])),
        beach_height=0.9,
        bank=1.6,
    )
    p.things = [
        boat(rng, rng.uniform(-0.5, 0.5) * z, z) for z in rng.uniform(p.near * 1.5, p.near * 5, int(rng.integers(3, 8)))
    ]
    p.things += [ship(rng, rng.uniform(-0.4, 0.4) * z, z) for z in rng.uniform(160, 300, 2)]
    p.things += [
        block(rng, p.headland * rng.uniform(0.3, 0.62) * z, z, rng.uniform(14, 26)) for z in rng.uniform(130, 260, 6)
    ]
    p.things.append(Deck("pier", rng.uniform(-6, 6), rng.uniform(1.5, 2.5), (p.near * 0.5, p.near * 4), 1.4))
    if rng.uniform() < 0.5:
        p.things.append(Ribbon("railing", (-14.0, p.near * 0.62), (14.0, p.near * 0.62), 1.1))
    return p


def promenade(rng) -> Place:
    p = Place(
        ground="road",
        far_ground="hill",
        eye=rng.uniform(2.4, 4),
        horizon=rng.uniform(0.40, 0.5),
        hills=60,
        water=str(rng.choice(["sea", "lake", "water"])),
        near=18.0,
        far=600,
        headland=float(rng.choice([-1, 1, 0])),
        mountains=rng.choice([0, 1200]),
        forest=0.35,
        bank=1.4,
    )
    p.ground = str(rng.choice(["road", "path", "grass"]))
    p.things = [Ribbon(str(rng.choice(["railing", "wall", "railing"])), (-16.0, 9.5), (16.0, rng.uniform(9, 12)), 1.1)]
    p.things += [person(rng, rng.uniform(-3, 3), z) for z in rng.uniform(6, 9, int(rng.integers(0, 4)))]
    p.things += [boat(rng, rng.uniform(-0.4, 0.4) * z, z) for z in rng.uniform(40, 120, 3)] + trees(
        rng, 2, 13, 17, 0.5, 0.1
    )
    return p


def pond(rng) -> Place:
    p = Place(
        eye=rng.uniform(2.2, 5),
        horizon=rng.uniform(0.36, 0.46),
        hills=rng.uniform(10, 35),
        water="water",
        near=rng.uniform(8, 12),
        far=rng.uniform(35, 80),
        forest=rng.uniform(0.55, 0.8),
        forest_from=60,
        conifers=float(rng.uniform() < 0.3),
        plants=0.4,
        bank=0.7,
        beach=str(rng.choice(["", "earth"])),
        beach_height=0.4,
    )
    p.things = trees(rng, 6, p.far * 1.2, p.far * 2, 0.6, p.conifers) + plants(
        rng, int(rng.integers(2, 6)), 5, p.near * 1.1, "reeds"
    )
    if rng.uniform() < 0.4:
        p.things.append(Ribbon("bridge", (-14.0, p.far * 0.6), (14.0, p.far * 0.7), 2.4, base=0.0))
    if rng.uniform() < 0.3:
        p.things.append(Deck("pier", rng.uniform(-3, 3), 0.9, (p.near * 0.6, p.near * 2), 0.6))
    if rng.uniform() < 0.25:
        p.things.append(boat(rng, rng.uniform(-6, 6), p.far * 0.65))
    return p


def city(rng) -> Place:
    kind = str(rng.choice(["river", "lake", "water"]))
    p = Place(
        eye=rng.uniform(5, 12),
        horizon=rng.uniform(0.42, 0.54),
        hills=rng.uniform(5, 25),
        water=kind,
        near=rng.uniform(14, 24),
        far=rng.uniform(140, 240),
        forest=0.4,
        forest_from=80,
        conifers=0.1,
        beach=str(rng.choice(["", "wall"])),
        beach_height=0.9,
    )
    zs = p.far * rng.uniform(1.25, 2.6, 16)
    p.things = [block(rng, rng.uniform(-0.64, 0.64) * z, z, rng.uniform(0.06, 0.2) * z) for z in zs] + trees(
        rng, 8, p.far * 1.2, p.far * 1.4, 0.65, 0.1
    )
    if rng.uniform() < 0.65:
        p.things.append(Ribbon("bridge", (-150.0, p.far * 0.75), (150.0, p.far * 0.62), 14.0, base=0.0))
    p.things += [
        boat(rng, rng.uniform(-0.3, 0.3) * z, z) for z in rng.uniform(p.near * 1.6, p.near * 3, int(rng.integers(0, 3)))
    ]
    return p
