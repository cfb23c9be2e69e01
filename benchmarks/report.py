"""The report's page of 200 runs, its size and seconds to write, open and filter it: python benchmarks/report.py

Forty recipes of five seeds, 200 logged steps each, four grids of pictures for the first seed of each recipe. The
browser's seconds are CPU of the page's main thread. Run from the checkout; needs chromium and chromedriver.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.reporting.fakes import write_run
from tests.web.browser import MISSING, REASON, Browser, browser

from scenegen.config.stored import read_values
from scenegen.data.world.render import render
from scenegen.reporting.publish import publish
from scenegen.reporting.results import by_recipe, find
from scenegen.runs.folder import METRICS, grid_path

RECIPES, SEEDS, STEPS = 40, 5, 200
GRIDS = (50, 100, 150, 200)

FILTER = """
const box = document.getElementById('x-filter'), frame = () => new Promise(done => requestAnimationFrame(done));
for (const words of ['t01', '']) { box.value = words; box.oninput(); await frame(); await frame(); }
"""


def write_runs(root: Path) -> None:
    """The runs' files, as training leaves them."""
    scenes = np.concatenate([render(0, k, height=64, width=85).image for k in range(4)], 1).astype(float)
    for recipe in range(RECIPES):
        for seed in range(SEEDS):
            name, draw = f"loss_{recipe:02d}_s{seed}", np.random.default_rng([recipe, seed])
            run = write_run(root / name, seed=seed, loss=f"t{recipe:02d}", accuracy=0.6 + 0.005 * recipe, pictures=20)
            steps = np.arange(STEPS)
            falling = 2 * np.exp(-steps / 60) + 0.02 * recipe + draw.normal(size=STEPS) * 0.05
            lines = [
                f"{step},{g:.4f},{d:.4f}" for step, g, d in zip(steps, falling, draw.normal(1, 0.1, STEPS), strict=True)
            ]
            (run / METRICS).write_text("\n".join(["step,G,D", *lines, ""]))
            for step in GRIDS if seed == 0 else ():
                path = grid_path(run / "grids", step)
                path.parent.mkdir(exist_ok=True)
                noisy = scenes + draw.normal(size=scenes.shape) * (220 - step) / 3
                Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path)


def thread_seconds(window: Browser) -> float:
    """CPU seconds of the page's main thread so far."""
    found = window.devtools("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in found if one["name"] == "ThreadTime")


def main() -> None:
    if MISSING:
        raise SystemExit(REASON)
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as window:
        root = Path(folder)
        write_runs(root / "runs")
        start = time.process_time()
        recipes = {"scene": by_recipe(find([root / "runs"], read_config=read_values))}
        rest = {"leaderboard": root / "L.md", "pictures": 0, "curves": ["G", "D"], "seed": 0}
        page = publish(recipes, [], sisters={}, out=root / "page", **rest)
        print(f"written in {time.process_time() - start:.1f} s of CPU")
        whole = sum(file.stat().st_size for file in page.parent.rglob("*") if file.is_file())
        print(f"{page.stat().st_size / 1e6:.2f} MB of HTML, {whole / 1e6:.2f} MB with its pictures")
        window.devtools("Performance.enable", timeDomain="threadTicks")
        window.go(page.as_uri())
        ready = thread_seconds(window)
        print(f"open and usable after {ready:.2f} s of the main thread's CPU")
        window.run(FILTER)
        print(f"filtered and unfiltered in {thread_seconds(window) - ready:.2f} s")


if __name__ == "__main__":
    main()
