"""Seconds from a stroke to its picture on the page of scenegen.paint: python benchmarks/paint.py [run=NAME] [strokes=N]

A real chromium dabs at the map; the clock of the page runs from the press to the moment when a picture of that very map
has been drawn: the first one, which is small where the page decides so, and the full one. Beside it model and PNG as
the server sees them. Run from the checkout; needs chromium and chromedriver.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.web.browser import MISSING, REASON, browser

from scenegen.config.opened import open_run
from scenegen.networks.layers.lookup import look_up, looks_up
from scenegen.web import server
from scenegen.web.address import listening
from scenegen.web.easel import Easel, Wish, png

TOKEN = "benchmark"

AT_A_TIME = 10
"""Strokes of one script, which the driver would end after 30 s."""

MEASURE = """
const sheet = $('hint'), r = sheet.getBoundingClientRect(), found = [];
const wait = ms => new Promise(done => setTimeout(done, ms));
const dab = (kind, clientX, clientY) => sheet.dispatchEvent(new PointerEvent(kind, { clientX, clientY, pointerId: 1 }));
sheet.setPointerCapture = () => {};
for (let k = 0; k < arguments[0]; k++) {
  setClass([20, 12, 0, 9][k % 4]);
  await wait(260 + 37 * (k % 5));
  while (busy || pictureVersion !== version) await wait(5);
  const x = r.left + r.width * (.1 + .8 * (k * 7 % 10) / 10), y = r.top + r.height * (.1 + .8 * (k * 3 % 10) / 10);
  const start = performance.now();
  dab('pointerdown', x, y); dab('pointerup', x, y);
  const wanted = version, before = S.latencies.length;
  let first = 0;
  while (pictureVersion < wanted) {
    await wait(1);
    if (!first && S.latencies.length > before) first = performance.now() - start;
  }
  found.push([first || performance.now() - start, performance.now() - start]);
}
return found;
"""


class Timed(Easel):
    """An easel that writes down the seconds of its model."""

    took: list[float]

    def paint(self, drawn: Mapping[str, np.ndarray], wish: Wish) -> np.ndarray:
        start = time.perf_counter()
        made = super().paint(drawn, wish)
        if not wish.small:
            self.took.append(time.perf_counter() - start)
        return made


def line(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"| {name} | {statistics.median(ordered):.3f} s | {ordered[int(0.9 * (len(ordered) - 1))]:.3f} s |"


def main() -> None:
    words: dict[str, Any] = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    if set(words) - {"run", "strokes"}:
        raise SystemExit(__doc__)
    if MISSING:
        raise SystemExit(REASON)
    run = open_run(words.get("run", "landscapes"))
    easel = Timed(run, checkpoint=None, device="cpu", lookup=looks_up(run.model))
    easel.took, encoded = [], []
    if easel.lookup:
        look_up(run.model)

    def timed(array: np.ndarray) -> bytes:
        start = time.perf_counter()
        made = png(array)
        encoded.append(time.perf_counter() - start)
        return made

    server.png = timed
    with tempfile.TemporaryDirectory() as folder, listening(None) as door, browser(Path(folder)) as window:
        port = door.getsockname()[1]
        app = server.application(easel, port=port, token=TOKEN)
        serving = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        threading.Thread(target=serving.run, kwargs={"sockets": [door]}, daemon=True).start()
        window.go(f"http://127.0.0.1:{port}/{TOKEN}/")
        window.wait("S.ids && pictureVersion === version && !busy", seconds=60)
        easel.took.clear()
        encoded.clear()
        rounds = max(1, int(words.get("strokes", 40)) // AT_A_TIME)
        found = [one for _ in range(rounds) for one in window.run(MEASURE, AT_A_TIME)]
        serving.should_exit = True
    h, w = easel.size
    print(f"run={run.folder.name}, {w}x{h}, {torch.get_num_threads()} threads, {len(found)} strokes")
    print("| from the stroke | median | 90 % |\n|---|---|---|")
    print(line("to the first picture", [first / 1000 for first, _ in found]))
    print(line("to the full picture", [full / 1000 for _, full in found]))
    print(line("of it the model", easel.took))
    print(line("of it the PNG", encoded))


if __name__ == "__main__":
    main()
