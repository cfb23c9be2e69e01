"""Time until a command answers that has nothing to compute yet: python benchmarks/startup.py

Against `python -c "import torch, pytorch_lightning"` in the same run, which is what a command costs that imports
its libraries at the top.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "scenegen.train --help": ["-m", "scenegen.train", "--help"],
    "scenegen.train --cfg job": ["-m", "scenegen.train", "--cfg", "job", "loss=cx+dists"],
    "import torch, pytorch_lightning": ["-c", "import torch, pytorch_lightning"],
}
ROUNDS = 7


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    eager = statistics.median(seconds["import torch, pytorch_lightning"])
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(
            f"{name:34} {middle:6.2f} s   ratio {middle / eager:.2f}   (min {min(values):.2f}, max {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
