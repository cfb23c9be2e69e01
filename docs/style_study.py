"""Colours and texture of a style picture, and what they cost in mask accuracy: python docs/style_study.py

Eight test pictures of the embedded world at 96x128 and the sunset that is picture 1 of its training split, which gives
the style. Prints the table of docs/style_transfer.md: per post the style error on the scoring SceneNet's trunk, its
mask accuracy, and the mean over the pictures' pixels of the change in grey levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.pictures import from_uint8, to_uint8
from scenegen.base.records import Batch
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.config.posts import build
from scenegen.metrics.texture import gram_error
from scenegen.networks.frozen.scenenet import Segmenter
from scenegen.scoring.judges.scenenet import SceneNetStages

COUNT, HEIGHT, WIDTH = 8, 96, 128
POSTS = ("none", "lab", "histogram", "gatys", "gatys_scenenet")
LAYERS = [f"relu{stage}_1" for stage in range(1, 6)]


def made(post: str, pictures: Tensor, style: Tensor) -> Tensor:
    """The pictures after a post, Gatys after 100 iterations."""
    if post == "none":
        return pictures
    key = post.removesuffix("_scenenet")
    shorter = ["post.gatys.iterations=100"] if key == "gatys" else []
    config = plan(compose("post", ["generated=x", "out=y", f"post={post}", f"post.{key}.style=s", *shorter])).config
    done = build.make(config["post"][key], offered={"pictures": {"s": style}})
    with torch.no_grad():
        return done(pictures, Batch(name=tuple(map(str, range(len(pictures))))))


def main() -> None:
    torch.set_num_threads(1)
    chosen = [
        f"size.height={HEIGHT}",
        f"size.width={WIDTH}",
        "data.count=64",
        f"data.test_count={COUNT}",
        "data.flip=0",
    ]
    config = plan(compose("train", chosen)).config
    train, test = (build.dataset(config, split=split) for split in ("train", "test"))
    style = from_uint8(train[(0, 1)].image[None])
    samples = [test[(0, place)] for place in range(COUNT)]
    pictures = from_uint8(torch.stack([sample.image for sample in samples]))
    label = torch.stack([sample.label for sample in samples])
    judge, stages = Segmenter.load(), SceneNetStages(name="scorer", folder=None)
    wanted = stages(style, LAYERS)
    print("| post | style error | mask_acc | change in grey levels |\n|---|---|---|---|")
    for post in POSTS:
        after = to_uint8(made(post, pictures, style)).float() / 127.5 - 1
        with torch.no_grad():
            own = stages(after, LAYERS)
            error = gram_error([own[n] for n in LAYERS], [wanted[n].expand(COUNT, -1, -1, -1) for n in LAYERS])
            right = (judge(after).argmax(1) == label).float().mean()
        change = 127.5 * (after - pictures).abs().mean()
        print(f"| {post} | {error.mean():.2f} | {right:.3f} | {change:.0f} |", flush=True)


if __name__ == "__main__":
    main()
