"""The picture of docs/tricks.md: what each post makes of one picture that run=landscapes painted, at full size.

    python docs/posts.py [--run NAME ...] [--translate NAME]

A map of the embedded world, painted at 128x128 and enlarged twofold: pixels, bicubic, super-resolution runs,
Real-ESRGAN; below, at 128x128 with pixels doubled: JPEG of quality 20, Lab moments, histograms and Gatys' transfer of
the colours of another picture of the same net, and a run of model=cyclegan or cut.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from scenegen.base.pictures import save_png, to_array
from scenegen.base.records import Batch
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import open_run
from scenegen.config.plan import plan
from scenegen.config.posts import posts
from scenegen.data.samples import collate
from scenegen.sampling.apply_posts import apply_posts

WORLD = ("data=procedural", "data.count=2", "data.test_count=12", "size=s128", "weights=published")


def changed(picture: Tensor, *words: str) -> np.ndarray:
    """The picture after a post, with its pixels doubled where it was not enlarged; (256, 256, 3) uint8."""
    way = posts(plan(compose("post", ["generated=x", "out=y", *words])).config) if words else []
    made = to_array(apply_posts(picture, Batch(name=("a",)), way)[0])
    factor = 2 * picture.shape[-1] // made.shape[1]
    return made.repeat(factor, 0).repeat(factor, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="+", default=[], help="of model=rrdb, esrgan or esrgan_log at model.scale=2")
    parser.add_argument("--translate", help="run of model=cyclegan, cut or fastcut")
    parser.add_argument("--scenes", type=int, nargs=2, default=[3, 7], help="the picture's map and the style's")
    told = parser.parse_args()
    model = open_run("landscapes").model
    data = build.dataset(plan(compose("train", [*WORLD])).config, split="test")
    painted, style = (model.paint(collate([data[(0, scene)]]), seed=0).image for scene in told.scenes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "style.png"
        save_png(file, to_array(style[0]))
        own = [("post=esrgan_x2", f"post.esrgan_x2.run={run}") for run in told.run]
        translated = [("post=cyclegan", f"post.cyclegan.run={told.translate}")] if told.translate else []
        rows = [
            [(), ("post=bicubic_x2",), *own, ("post=realesrgan_x2",)],
            [("post=jpeg", "post.jpeg.quality=20"), *((f"post={name}", f"post.{name}.style={file}")
                                                      for name in ("lab", "histogram", "gatys")), *translated],
        ]  # fmt: skip
        cells = [[changed(painted, *words) for words in row] for row in rows]
        empty = np.full_like(cells[0][0], 255)
        columns = max(map(len, cells))
        sheet = [np.concatenate([*row, *[empty] * (columns - len(row))], 1) for row in cells]
    # A third of the bytes of a PNG; its own loss is far below that of the quality that is shown.
    Image.fromarray(np.concatenate(sheet)).save(Path(__file__).with_name("posts.jpg"), quality=92, subsampling=0)


if __name__ == "__main__":
    main()
