"""Landscapes without open water, and the things that stand in them."""

from __future__ import annotations

from scenegen.data.world.terrain import Place
from scenegen.data.world.things import (
    CLOTHES,
    ROOFS,
    WINDOW,
    Ribbon,
    Thing,
    boulders,
    extras,
    house,
    person,
    pick,
    plants,
    trees,
)


def farmland(rng) -> Place:
    p = Place(
        ground="field",
        eye=rng.uniform(4, 14),
        horizon=rng.uniform(0.32, 0.46),
        hills=rng.uniform(15, 60),
        mountains=rng.choice([0, 0, 800]),
        fields=1.0,
        forest=rng.uniform(0.2, 0.4),
        forest_from=140,
        conifers=0.2,
        far_ground=str(rng.choice(["field", "hill"])),
        path=str(rng.choice(["", "path", "road"])),
        bends=(rng.uniform(-0.2, 0.2), rng.uniform(0.1, 0.35), rng.uniform(0, 6.3)),
        path_width=3.0,
        clearing=14,
    )
    p.things = trees(rng, 7, 45, 260, 0.6, 0.1) + extras(rng, 0.35)
    if rng.uniform() < 0.6:
        p.things += [house(rng, rng.uniform(-50, 50), rng.uniform(70, 200)) for _ in range(int(rng.integers(1, 4)))]
    if rng.uniform() < 0.5:
        x = rng.uniform(3, 7) * rng.choice([-1, 1])
        p.things.append(Ribbon("fence", (x, 5.0), (x * 2.5, 90.0), 1.3))
    return p


def desert(rng) -> Place:
    return Place(
        ground="sand",
        far_ground="sand",
        eye=rng.uniform(4, 14),
        horizon=rng.uniform(0.32, 0.45),
        hills=rng.uniform(10, 30),
        dunes=rng.uniform(14, 34),
        mountains=rng.choice([0, 500, 900]),
        forest=0,
        clouds=0.25,
        things=boulders(rng, int(rng.integers(0, 4)), 14, 60)
        + [person(rng, rng.uniform(-8, 8), rng.uniform(18, 35)) for _ in range(int(rng.integers(0, 3)))],
    )


def badlands(rng) -> Place:
    p = Place(
        ground="earth",
        far_ground="earth",
        eye=rng.uniform(3, 8),
        horizon=rng.uniform(0.38, 0.5),
        hills=rng.uniform(15, 40),
        mountains=rng.choice([0, 700, 1100]),
        forest=0.12,
        forest_from=90,
        conifers=0.0,
        cliff_wall=rng.choice([0, 45, 70]),
        cliff_from=rng.uniform(140, 320),
        boulders=0.3,
        plants=0.25,
        path=str(rng.choice(["", "path", "road"])),
        bends=(rng.uniform(-0.1, 0.1), rng.uniform(0.1, 0.35), rng.uniform(0, 6.3)),
        clouds=0.35,
        path_width=2.5,
    )
    p.things = boulders(rng, int(rng.integers(3, 12)), 10, 50)
    return p


def steppe(rng) -> Place:
    p = Place(
        ground="land",
        far_ground=str(rng.choice(["land", "hill", "land"])),
        eye=rng.uniform(3, 9),
        horizon=rng.uniform(0.36, 0.55),
        hills=rng.uniform(15, 70),
        mountains=rng.choice([0, 900, 1500]),
        forest=0.12,
        forest_from=150,
        plants=0.25 * (rng.uniform() < 0.5),
        path=str(rng.choice(["road", "path", "road", ""])),
        bends=(rng.uniform(-0.1, 0.1), rng.uniform(0.02, 0.3), rng.uniform(0, 6.3)),
        path_width=5.0,
    )
    p.things = trees(rng, 3, 50, 200, 0.6, 0.3, 8) + extras(rng, 0.6)
    if p.path == "road" and rng.uniform() < 0.5:
        p.things += [
            Thing(
                "other",
                "car",
                rng.uniform(-1, 2),
                24.0,
                2.2,
                (pick(rng, CLOTHES), (0.1, 0.1, 0.1), (0.18, 0.22, 0.26)),
                1.6,
            )
        ]
    if rng.uniform() < 0.35:
        p.things.append(Ribbon("fence", (-5.0, 6.0), (-16.0, 120.0), 1.3))
    return p


def village(rng) -> Place:
    p = Place(
        eye=rng.uniform(4, 10),
        horizon=rng.uniform(0.36, 0.46),
        hills=rng.uniform(25, 70),
        mountains=rng.choice([0, 1000, 1600]),
        forest=rng.uniform(0.3, 0.5),
        forest_from=150,
        path=str(rng.choice(["road", "road", "path"])),
        path_width=rng.uniform(4, 6),
        bends=(rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.25), rng.uniform(0, 6.3)),
        clearing=30,
        plants=0.25 * (rng.uniform() < 0.4),
        far_ground=str(rng.choice(["grass", "hill"])),
    )
    for _ in range(int(rng.integers(5, 10))):
        z = rng.uniform(26, 120)
        p.things.append(house(rng, rng.choice([-1, 1]) * (9 + rng.uniform(0.08, 0.5) * z), z))
    p.things += trees(rng, 8, 25, 150, 0.5, 0.3, 11) + extras(rng, 0.2)
    if rng.uniform() < 0.5:
        p.things.append(
            Thing(
                "building",
                "church",
                rng.uniform(-30, 30),
                120.0,
                26.0,
                ((0.92, 0.90, 0.84), pick(rng, ROOFS), WINDOW),
                1.0,
            )
        )
    side = rng.choice([-1, 1])
    p.things.append(
        Ribbon(str(rng.choice(["fence", "wall"])), (side * 5.0, 6.0), (side * 11.0, 60.0), rng.uniform(1.2, 1.7))
    )
    if rng.uniform() < 0.5:
        p.things += [person(rng, rng.uniform(-3, 3), rng.uniform(12, 30)) for _ in range(2)]
    return p


def forest_path(rng) -> Place:
    conifers = float(rng.choice([0.0, 0.9]))
    p = Place(
        ground=str(rng.choice(["grass", "earth"])),
        eye=rng.uniform(1.8, 3),
        horizon=rng.uniform(0.45, 0.56),
        hills=rng.uniform(20, 50),
        forest=0.95,
        forest_from=34,
        clearing=7,
        conifers=conifers,
        path="path",
        path_width=1.6,
        path_far=150,
        plants=rng.uniform(0.3, 0.55),
        bends=(rng.uniform(-0.06, 0.06), rng.uniform(0.08, 0.28), rng.uniform(0, 6.3)),
    )
    p.things = trees(rng, 14, 9, 45, 0.5, conifers, 3.2)
    p.things += plants(rng, int(rng.integers(2, 6)), 5, 9)
    if rng.uniform() < 0.35:
        p.things.append(person(rng, 0.4, rng.uniform(11, 20)))
    return p


def meadow(rng) -> Place:
    p = Place(
        eye=rng.uniform(1.8, 4),
        horizon=rng.uniform(0.42, 0.56),
        hills=rng.uniform(30, 80),
        mountains=rng.choice([900, 1500, 2000]),
        forest=rng.uniform(0.35, 0.6),
        forest_from=90,
        conifers=0.9,
        plants=rng.uniform(0.15, 0.42),
        path=str(rng.choice(["path", ""])),
        path_width=1.2,
        clearing=30,
        bends=(rng.uniform(-0.2, 0.2), rng.uniform(0.15, 0.4), rng.uniform(0, 6.3)),
        far_ground=str(rng.choice(["grass", "hill", "hill"])),
    )
    p.things = (
        boulders(rng, int(rng.integers(0, 6)), 8, 30)
        + trees(rng, 4, 30, 120, 0.6, 0.9, 6)
        + extras(rng, 0.35)
        + plants(rng, int(rng.integers(0, 5)), 4, 8)
    )
    if rng.uniform() < 0.3:
        p.things.append(Ribbon("fence", (-9.0, 9.0), (14.0, 40.0), 1.2))
    if rng.uniform() < 0.25:
        p.things += [person(rng, rng.uniform(-3, 3), rng.uniform(10, 18)) for _ in range(2)]
    return p


def highlands(rng) -> Place:
    return Place(
        ground=str(rng.choice(["grass", "rock", "land"])),
        far_ground="hill",
        eye=rng.uniform(6, 18),
        horizon=rng.uniform(0.30, 0.42),
        hills=rng.uniform(60, 130),
        mountains=rng.uniform(1200, 2300),
        forest=rng.uniform(0.2, 0.6),
        forest_from=70,
        conifers=0.9,
        relief=1.6,
        valley=rng.uniform(0, 0.5),
        boulders=0.4,
        things=boulders(rng, int(rng.integers(2, 12)), 14, 60) + trees(rng, 5, 40, 120, 0.6, 0.9),
    )
