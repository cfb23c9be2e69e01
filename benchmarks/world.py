"""Pictures per second of the procedural world on one core at 128x128 (target: at least 100).

Run: python benchmarks/world.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time

from scenegen.data.world import render

PICTURES = 240


def main() -> None:
    began = time.process_time()
    render(0, 0, height=128, width=128)
    first = time.process_time() - began
    began = time.process_time()
    for index in range(PICTURES):
        render(0, index, height=128, width=128)
    seconds = (time.process_time() - began) / PICTURES
    print(f"first picture (makes the noise and the sprites) {first:.2f} s of processor time")
    print(f"{1 / seconds:.0f} pictures/s at 128x128 on one core ({1000 * seconds:.1f} ms each; target 100 pictures/s)")


if __name__ == "__main__":
    main()
