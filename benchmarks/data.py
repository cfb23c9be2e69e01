"""Cost of the data before the networks see them: python benchmarks/data.py --root PATH

    files    CPU seconds and memory of listing, fingerprint, check, and check of a second start, of --files photographs,
             against a quarter of them; they are hard links to --distinct small PNGs, so that no disk is filled: reading
             a file is dearer from a disk than here, where every block lies in memory
    loader   pictures per second and core of data=folder at 256x256, decoded, framed and mirrored as training does

One thread, processor seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from memory import measured, report
from PIL import Image

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.fingerprint import fingerprint
from scenegen.data.inspection import scan


def opened(words: list[str]):
    config = plan(compose("train", [*words, "evaluate=false", "weights=random"])).config
    return build.dataset(config, split="train")


def write(folder: Path, *, files: int, distinct: int) -> None:
    """So many links to small pictures of noise."""
    stream = np.random.default_rng(0)
    for i in range(files):
        path = folder / f"picture_{i:07}.png"
        if i < distinct:
            Image.fromarray(stream.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        else:
            os.link(folder / f"picture_{i % distinct:07}.png", path)


def work(what: str, folder: str) -> None:
    """One part of the work on a folder, for `measured`."""
    words = ["model=rrdb", f"data.root={folder}", "data.val_fraction=0"]
    calls: dict[str, Callable[[], object]] = {"listing": lambda: opened(words)}
    if what != "listing":
        data = opened(words)
        calls = {"fingerprint": lambda: fingerprint(data), "check": lambda: scan(data)}
    began = time.process_time()
    report(calls[what.removesuffix(" again")], seconds=lambda: time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--root", help="a data=folder of real pictures and label maps")
    parser.add_argument("--count", type=int, default=60, help="pictures of --root that are loaded")
    chosen = parser.parse_args()
    if chosen.root:
        data = opened(["data=folder", f"data.root={chosen.root}", "size=s256"])
        data[(0, 0)]
        start = time.process_time()
        for i in range(1, chosen.count + 1):
            data[(0, i % len(data))]
        print(f"{chosen.count / (time.process_time() - start):.0f} pictures/s and core at 256x256", flush=True)
    print("| files | what | CPU s | MiB |\n|---|---|---|---|")
    for files in (chosen.files // 4, chosen.files):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), files=files, distinct=chosen.distinct)
            os.environ["SCENEGEN_CACHE"] = str(Path(folder) / ".cache")
            for what in ("listing", "fingerprint", "check", "check again"):
                mib, seconds = measured(__file__, "part", what, folder)
                print(f"| {files} | {what} | {seconds:.2f} | {mib:.0f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        work(sys.argv[2], sys.argv[3])
    else:
        main()
