"""The report's view of all runs: what it holds, and that it works from disk in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.reporting.explorer import MOST_GRIDS, MOST_STEPS, POINTS, curves_of, differing, explorer, flat
from scenegen.reporting.page import STYLE
from scenegen.reporting.results import Result
from scenegen.runs.folder import METRICS, grid_path
from tests.web.browser import DOWN, MISSING, REASON, Browser, browser

STEPS = 250


def result(folder: Path, k: int, *, grids: int = 0, steps: int = STEPS) -> Result:
    """A run that was never trained: its loss falls to 1/(1 + k), its total is k/1000."""
    folder.mkdir(parents=True)
    x = np.arange(1, steps + 1)
    rows = [f"{step},{1 / (1 + k) + np.exp(-step / 50):.6f},{0.1 * k}" for step in x]
    (folder / METRICS).write_text("\n".join(["step,G,D", *rows]) + "\n")
    for place in range(grids):
        path = grid_path(folder / "grids", 100 * (place + 1))
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 20), (k % 256, 10 * place, 0)).save(path)
    loss = ("cx", "dists", "<b>&lpips")[k % 3]
    config: dict[str, Any] = {"seed": k, "loss": {loss: {"weight": 1 + k % 5}}, "optim": {"lr": 10.0 ** -(2 + k % 4)}}
    record = {"total": k / 1000, "parts": {"mask_acc": {"value": k / 500}}}
    return Result(folder, f"loss={loss} optim.lr=1e-{2 + k % 4}", k, "", config, record)


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="x-data">(.*?)</script>', html)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp("three")
    runs = [result(root / f"run_{k}", k, grids=2 * k) for k in range(3)]
    return explorer(runs, out=root / "page", curves=["D"]), root / "page"


def test_numbers_tags_and_differences_are_those_of_the_runs(three: tuple[str, Path]) -> None:
    data = data_of(three[0])
    assert [run["numbers"] for run in data["runs"]] == [{"total": k / 1000, "mask_acc": k / 500} for k in range(3)]
    assert data["keys"] == ["loss", "loss.cx.weight", "optim.lr", "loss.dists.weight", "loss.<b>&lpips.weight", "seed"]
    assert data["runs"][1]["config"] == {"loss": "dists", "optim.lr": 1e-3, "loss.dists.weight": 2, "seed": 1}
    assert data["runs"][1]["tags"] == ["run_1", "seed=1", "loss=dists", "optim.lr=1e-3", "task=scene"]
    assert list(data["runs"][0]["curves"]) == ["D", "G"]
    assert "<b>" not in three[0]  # of a run's own text: shown, never obeyed


def test_grids_lie_beside_the_page_first_and_last_step_among_them(three: tuple[str, Path]) -> None:
    html, out = three
    for k, run in enumerate(data_of(html)["runs"]):
        assert [step for step, _ in run["grids"]] == [100 * (i + 1) for i in range(2 * k)]
        for place, (_, name) in enumerate(run["grids"]):
            with Image.open(out / name) as picture:
                assert np.abs(np.asarray(picture)[0, 0].astype(int) - (k, 10 * place, 0)).max() <= 3  # JPEG


def test_a_long_curve_keeps_its_mean_and_a_short_one_its_points(tmp_path: Path) -> None:
    y = np.random.default_rng(0).normal(size=3 * POINTS)
    for n in (3 * POINTS, 7):
        (tmp_path / "m.csv").write_text("step,G\n" + "".join(f"{k},{v}\n" for k, v in enumerate(y[:n])) + "500,nan\n")
        steps, values = curves_of(tmp_path / "m.csv", first=[])["G"]
        assert len(values) == min(n, POINTS)
        assert np.mean(values) == pytest.approx(y[:n].mean(), abs=1e-5)
        assert np.mean(steps) == pytest.approx(np.arange(n).mean(), abs=1e-2)


def test_a_grid_that_is_a_link_out_of_the_run_is_refused(tmp_path: Path) -> None:
    run = result(tmp_path / "run", 1)
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (run.folder / "grids").mkdir()
    grid_path(run.folder / "grids", 100).symlink_to(tmp_path / "secret.png")
    with pytest.raises(Refusal, match="link"):
        explorer([run], out=tmp_path / "page", curves=[])


def test_configs_are_compared_by_every_key_and_not_by_those_that_agree() -> None:
    one, other = flat({"a": {"b": 1, "c": [1, 2]}, "d": None}), flat({"a": {"b": 1, "c": [1, 3]}, "e": float("inf")})
    assert differing([one, other]) == ["a.c", "d", "e"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """200 runs, of which 60 wrote more grids than are shown, opened from disk."""
    root = tmp_path_factory.mktemp("many")
    runs = [result(root / f"run_{k:03d}", k, grids=8 if k < 60 else 0, steps=40) for k in range(200)]
    html = explorer(runs, out=root / "page", curves=[])
    head = f'<!doctype html><meta charset="utf-8"><title>r</title><style>{STYLE}</style>'
    (root / "page" / "index.html").write_text(f"{head}<main>{html}</main>", encoding="utf-8")
    assert len(list((root / "page").rglob("*.jpg"))) == MOST_GRIDS == 40 * MOST_STEPS
    with browser(root) as window:
        window.go((root / "page" / "index.html").as_uri())
        yield window


def inked(page: Browser, canvas: str) -> int:
    """Pixels of a canvas that are drawn on."""
    page.run("await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); return 1")
    return page.run(
        f"const c = document.getElementById('x-{canvas}'); let n = 0;"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n"
    )


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=REASON)  # a browser is a program of the system
def test_200_runs_are_filtered_brushed_and_compared(page: Browser) -> None:
    count = "return document.getElementById('x-count').textContent"
    assert page.run(count) == "200 of 200 runs"
    whole = {name: inked(page, name) for name in ("curves", "parallel")}
    assert min(whole.values()) > 10_000
    page.run("const f = document.getElementById('x-filter'); f.value = 'loss=cx -lr=1e-2'; f.oninput(); return 1")
    assert page.run(count) == f"{sum(k % 3 == 0 and k % 4 != 0 for k in range(200))} of 200 runs"
    assert inked(page, "parallel") < whole["parallel"]
    shown = page.run(
        "return [...document.querySelectorAll('#x-rows tr')].filter(r => !r.hidden).map(r => +r.dataset.k)"
    )
    assert shown == [k for k in range(200) if k % 3 == 0 and k % 4 != 0]
    page.run("const f = document.getElementById('x-filter'); f.value = ''; f.oninput(); return 1")
    # A range dragged on the axis of the total, its upper half, leaves the upper half of the runs.
    left, top, width, high, axes = page.run(
        "const c = document.getElementById('x-parallel'); c.scrollIntoView({block: 'center'});"
        "const r = c.getBoundingClientRect(), ticked = document.querySelectorAll('#x-axes input:checked');"
        "return [r.left, r.top, r.width, r.height, [...ticked].map(t => t.value)]"
    )
    x = left + 70 + axes.index("total") * (width - 140) / (len(axes) - 1)
    page.drag([(x, top + 56 + (high - 86) / 2), (x, top + 80), (x, top + 30)])
    left_over = int(page.run(count).split()[0])
    assert abs(left_over - 100) <= 2  # a pixel of the axis is 0.7 runs


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=REASON)  # a browser is a program of the system
def test_ticked_runs_have_pictures_by_step_and_differences_and_keys_alone_suffice(page: Browser) -> None:
    pictures = "return [...document.querySelectorAll('#x-grids img')].map(i => [i.alt, i.naturalWidth])"
    page.run("document.getElementById('x-grids').scrollIntoView(); return 1")
    page.wait("[...document.querySelectorAll('#x-grids img')].every(i => i.complete && i.naturalWidth)")
    assert page.run(pictures) == [[f"run_{k:03d} at step 800", 40] for k in range(3)]
    page.run("const s = document.getElementById('x-step'); s.value = 0; s.oninput(); return 1")
    assert page.run(pictures.replace(", i.naturalWidth", ""))[0] == ["run_000 at step 100"]
    rows = page.run(
        "return [...document.querySelectorAll('#x-diff tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    assert ["seed", "0", "1", "2"] in rows
    assert ["loss.cx.weight", "1", "–", "–"] in rows
    page.run("document.getElementById('x-curves').focus(); return 1")
    page.press(DOWN)
    assert re.match(r"run_\d+: total", page.run("return document.getElementById('x-near').textContent"))
    assert (
        page.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('file:')).length") == 0
    )
