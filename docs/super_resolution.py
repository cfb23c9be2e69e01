"""The picture of docs/super_resolution.md: renders of the embedded world, halved and enlarged again.

    python docs/super_resolution.py --run NAME

Columns: the small picture with its pixels enlarged, bicubic, the run's model, Real-ESRGAN, the render itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scenegen.base.pictures import from_uint8, save_png, to_array
from scenegen.base.records import Batch
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.config.posts import posts
from scenegen.sampling.apply_posts import apply_posts

HERE = Path(__file__).parent
WORLD = (
    "data=procedural",
    "data.count=2",
    "data.test_count=8",
    "degrade=smaller",
    "size=s192x256",
    "weights=published",
)


def chosen(*choices: str) -> dict[str, Any]:
    return plan(compose("post", ["generated=x", "out=y", *choices])).config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="of model=rrdb, esrgan or esrgan_log at model.scale=2")
    parser.add_argument("--scenes", type=int, nargs="+", default=[0, 5])
    told = parser.parse_args()
    data = build.dataset(plan(compose("train", [*WORLD])).config, split="test")
    ways = [posts(chosen(*choices)) for choices in (
        ("post=bicubic_x2",), ("post=esrgan_x2", f"post.esrgan_x2.run={told.run}"), ("post=realesrgan_x2",)
    )]  # fmt: skip
    rows = []
    for scene in told.scenes:
        sample = data[(0, scene)]
        small, whole = sample.source, sample.image.permute(1, 2, 0).numpy()
        nearest = Image.fromarray(small.permute(1, 2, 0).numpy()).resize(whole.shape[1::-1], Image.Resampling.NEAREST)
        made = [to_array(apply_posts(from_uint8(small)[None], Batch(name=("a",)), way)[0]) for way in ways]
        rows.append(np.concatenate([np.asarray(nearest), *made, whole], 1))
    save_png(HERE / "super_resolution.png", np.concatenate(rows))


if __name__ == "__main__":
    main()
