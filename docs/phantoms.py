"""Picture and numbers of docs/denoising.md: phantoms at two doses, and what their noise is worth in the measures.

python docs/phantoms.py docs/phantoms.png
"""

from __future__ import annotations

import sys

import torch
from PIL import Image

from scenegen.base.depth import Depth
from scenegen.data.phantoms import TEST_START, Phantoms, Scanner
from scenegen.metrics import hounsfield
from scenegen.sampling.sheets import contact_sheet

DEPTH = Depth(low=-1024, high=3072, slope=1, intercept=-1024, shown_low=-160, shown_high=240)
DOSES = (10_000, 100_000)
COUNT = 40


def source(dose: int, *, size: int) -> Phantoms:
    """The test phantoms of data=phantoms."""
    scanner = Scanner(views=180, photons=dose, size=size)
    return Phantoms(range(TEST_START, TEST_START + COUNT), seed=0, scanner=scanner, cache_bytes=0)


def main(path: str) -> None:
    rows = []
    for index in (0, 3):
        pairs = [source(dose, size=192).pair(index) for dose in DOSES]
        rows.append([*(DEPTH.seen(noisy) for noisy, _ in pairs), DEPTH.seen(pairs[0][1])])
    titles = [*(f"{dose} photons a ray" for dose in DOSES), "without noise"]
    Image.fromarray(contact_sheet(rows, titles=titles, side_by_side=1)).quantize(64).save(path, optimize=True)
    for dose in DOSES:
        data = source(dose, size=128)
        noisy, clean = (torch.stack([torch.from_numpy(data.pair(i)[side]) for i in range(COUNT)])[:, None].double()
                        for side in (0, 1))  # fmt: skip
        for window in ((-1024.0, 3072.0), (-160.0, 240.0)):
            found = [float(measure(noisy, clean, window=window).mean())
                     for measure in (hounsfield.psnr, hounsfield.ssim, hounsfield.rmse)]  # fmt: skip
            print(f"{dose} photons, {window} HU: PSNR {found[0]:.2f} dB, SSIM {found[1]:.4f}, RMSE {found[2]:.1f} HU")


if __name__ == "__main__":
    main(sys.argv[1])
