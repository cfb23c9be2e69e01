"""A page of 24 landscapes by the shipped net, on maps of the embedded world that it never saw.

    python benchmarks/landscapes/page.py OUT.png

The quality mark (aesthetic=quality) of every picture is taken; the three with the highest have a green frame, the three
with the lowest a red one. The marks are printed in the order of the page.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from PIL import Image, ImageDraw

import scenegen
from scenegen.base.pictures import colour_labels
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.sampling.sheets import contact_sheet, legend, spread

COUNT, ENDS = 24, 3
GREEN, RED = (30, 160, 60), (210, 40, 40)


def framed(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The picture with a frame of four pixels."""
    drawn = Image.fromarray(picture)
    ImageDraw.Draw(drawn).rectangle((0, 0, drawn.width - 1, drawn.height - 1), outline=colour, width=4)
    return np.asarray(drawn)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    run = scenegen.open_run("landscapes")
    sides = [f"size.{side}={run.config['size'][side]}" for side in ("height", "width")]
    config = plan(compose("train", ["data=procedural", "aesthetic=quality", f"data.test_count={COUNT}", *sides])).config
    data, mark = build.dataset(config, split="test"), build.make(config["aesthetic"])
    labels = [data[(0, index)].label.numpy() for index in spread(len(data), COUNT)]
    pictures = [scenegen.paint_map(run, label) for label in labels]
    marks = [float(mark(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None])) for picture in pictures]
    order = np.argsort(marks)
    for places, colour in ((order[-ENDS:], GREEN), (order[:ENDS], RED)):
        for place in places:
            pictures[place] = framed(pictures[place], colour)
    sheet = contact_sheet(
        [
            [colour_labels(label, data.classes.colours), picture]
            for label, picture in zip(labels, pictures, strict=True)
        ],
        titles=["label", "run=landscapes"],
        side_by_side=4,
        legend=legend(data.classes, {int(i) for label in labels for i in np.unique(label)}),
        notes=[f"frames: the {ENDS} highest (green) and lowest (red) quality marks of {COUNT}"],
    )
    Image.fromarray(sheet).quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(sys.argv[1], optimize=True)
    print(" ".join(f"{value:.1f}" for value in marks))


if __name__ == "__main__":
    main()
