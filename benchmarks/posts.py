"""CPU seconds and memory of every post per picture: python benchmarks/posts.py [--height 192 --width 256]

    --run POST=NAME ...   also posts through runs of your own: --run esrgan_x2=NAME cyclegan=NAME
    --post POST ...       these alone

Each post works on one smooth random picture, in the style of another one, in a fresh process with one thread; see
memory.py. Posts that optimise do 20 iterations, and the seconds are those of the 300 of their options. They are CPU
seconds, which a busy machine disturbs least; the ratio is to the first post.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from memory import measured, report
from torch import Tensor

from scenegen.base.pictures import save_png, to_array
from scenegen.base.records import Batch
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.config.posts import posts

POSTS = ("bicubic_x2", "jpeg", "lab", "histogram", "realesrgan_x2", "gatys_scenenet", "gatys")
TRAINED = ("esrgan_x2", "cyclegan", "cut")
DONE, WANTED = 20, 300
"""Iterations that are done here, and those of a picture."""


def smooth(seed: int, height: int, width: int) -> Tensor:
    """(1, 3, h, w) in [-1, 1]."""
    coarse = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, size=(height, width), mode="bilinear")


def one(name: str, height: int, width: int, folder: Path, run: str) -> None:
    """Report memory and CPU seconds of a post on one picture."""
    torch.set_num_threads(1)
    style = folder / "style.png"
    save_png(style, to_array(smooth(1, height, width)[0]))
    key = name.removesuffix("_scenenet")
    styled = [f"post.{key}.style={style}"] if key in ("lab", "histogram", "gatys") else []
    shorter = [f"post.{key}.iterations={DONE}"] if key == "gatys" else []
    through = [f"post.{name}.run={run}"] if name in TRAINED else []
    chosen = compose("post", ["generated=x", "out=y", f"post={name}", *styled, *shorter, *through])
    (post,) = posts(plan(chosen).config)
    picture, seconds = smooth(0, height, width), 0.0

    def call() -> None:
        nonlocal seconds
        begun = time.process_time()
        with torch.no_grad():
            post(picture, Batch(name=("a",)))
        seconds = (time.process_time() - begun) * (WANTED / DONE if shorter else 1)

    report(call, seconds=lambda: seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--run", nargs="+", default=[], metavar="POST=NAME", help=f"of {', '.join(TRAINED)}")
    parser.add_argument("--post", nargs="+", choices=(*POSTS, *TRAINED), help="in place of all that need no run")
    parser.add_argument("--report", action="store_true", help="report one post, for the parent process")
    told = parser.parse_args()
    runs = dict(word.split("=", 1) for word in told.run if "=" in word)
    names = [*(told.post or POSTS), *(name for name in runs if name not in (told.post or ()))]
    lacking = [name for name in names if name in TRAINED and name not in runs]
    if lacking or len(runs) < len(told.run) or not set(runs) <= set(TRAINED):
        parser.error(f"--run names a post and its run, as {(lacking or TRAINED)[0]}=NAME")
    if told.report:
        with tempfile.TemporaryDirectory() as folder:
            return one(names[0], told.height, told.width, Path(folder), runs.get(names[0], ""))
    print(f"{told.width}x{told.height}\n{'post':<16}{'CPU s / picture':>16}{'MiB':>8}{'ratio':>9}")
    first = None
    for name in names:
        through = ("--run", f"{name}={runs[name]}") if name in runs else ()
        size = ("--height", str(told.height), "--width", str(told.width))
        mib, seconds = measured(__file__, "--report", "--post", name, *size, *through)
        first = first or max(seconds, 1e-3)
        print(f"{name:<16}{seconds:>16.3f}{mib:>8.0f}{seconds / first:>9.1f}", flush=True)
    return None


if __name__ == "__main__":
    main()
