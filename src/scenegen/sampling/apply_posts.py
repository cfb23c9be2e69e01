"""Posts in their order, on pictures in memory and on folders of pictures made by any project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scenegen.base.console import bar
from scenegen.base.outputs import take_folder, told_of
from scenegen.base.pictures import FORMATS, SUFFIXES, from_uint8, save_png, to_array
from scenegen.base.records import Batch, Refusal
from scenegen.data.photographs import read_photo
from scenegen.posts.post import Post


@torch.no_grad()
def stages(picture: Tensor, batch: Batch, posts: Sequence[Post]) -> list[Tensor]:
    """Pictures (b, 3, h, w) in [-1, 1] as they are given, and after every post, first to last."""
    found = [picture]
    for post in posts:
        found.append(post(found[-1], batch))
    return found


def apply_posts(picture: Tensor, batch: Batch, posts: Sequence[Post]) -> Tensor:
    """Pictures (b, 3, h, w) in [-1, 1] after all posts."""
    return stages(picture, batch, posts)[-1]


def keep_beside(out: Path, posts: Sequence[Post]) -> None:
    """Give every post a folder beside `out` for its curves and checkpoints; it is made when something is kept."""
    for place, post in enumerate(posts, start=1):
        post.folder = out.with_name(f"{out.name}_posts") / f"{place}_{type(post).__name__.lower()}"


def size_after(posts: Sequence[Post], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a picture after the posts; a post refuses sizes that it cannot take."""
    for post in posts:
        size = post.size_after(*size)
    return size


def require_size(posts: Sequence[Post], *, size: tuple[int, int], scored: Sequence[int]) -> None:
    """Refuse posts that leave pictures of another size than the label maps that they are scored under.

    Args:
        posts: in their order.
        size: (height, width) of the model's pictures.
        scored: height and width of the label maps.
    """
    after = size_after(posts, size)
    if after != tuple(scored):
        named = f"post= ({', then '.join(post.stamp for post in posts)})" if posts else "the model"
        raise Refusal(
            f"{named} makes pictures of {after[0]}x{after[1]}, but they are scored under label maps of "
            f"{scored[0]}x{scored[1]}; use evaluate_size=[{after[0]},{after[1]}], other posts, or evaluate=false"
        )


def apply_to_folder(source: Path, out: Path, posts: Sequence[Post]) -> list[Path]:
    """Write every picture of a folder after the posts, as NAME.png; all are looked at before the first is written.

    Args:
        source: folder of pictures.
        out: folder for the results, with their record; made if need be.
        posts: in their order.

    Returns:
        The files that were written.

    Raises:
        Refusal: no folder, no pictures, two of one name, one that is no file, is damaged, turned by EXIF, transparent
            or of more than 8 bits, or an `out` that is read or holds what this call has not written.
    """
    if not source.is_dir():
        raise Refusal(f"generated={source} is no folder; give one with pictures ({', '.join(FORMATS)})")
    pictures = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise Refusal(f"generated={source} holds no pictures ({', '.join(FORMATS)}); give the folder that does")
    stems = [path.stem for path in pictures]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise Refusal(f"generated={source} holds {twice} twice, under two suffixes; keep one of them")
    for size in {read_photo(path).size for path in pictures}:
        size_after(posts, (size[1], size[0]))
    told = told_of(source)
    choice = {**told, "command": "post", "generated": str(source.resolve()),
              "posts": [*told.get("posts", []), *(post.stamp for post in posts)]}  # fmt: skip
    take_folder(out, made=choice, files=[f"{stem}.png" for stem in stems], reads={"generated": source})
    files = []
    keep_beside(out, posts)
    for path in bar(pictures, "posts"):
        pixels = torch.from_numpy(np.array(read_photo(path))).permute(2, 0, 1)[None]
        made = apply_posts(from_uint8(pixels), Batch(name=(path.stem,)), posts)
        files.append(out / f"{path.stem}.png")
        save_png(files[-1], to_array(made[0]))
    return files
