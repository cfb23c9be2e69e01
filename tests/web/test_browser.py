"""The page in a real browser: what is painted is what arrives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.data.classes import LANDSCAPE
from scenegen.web.address import listening
from tests.web.browser import CTRL, ENTER, MISSING, REASON, RIGHT, Browser
from tests.web.runs import SIDE, opened_run
from tests.web.served import Served, ids, serving, settle, stroke, visit

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=REASON)]  # a browser is the system's


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(opened_run(vae=False)) as made:
        yield made


@pytest.fixture
def page(window: Browser, served: Served) -> Browser:
    return visit(window, served)


def test_what_is_painted_is_what_arrives_and_no_third_colour_is_shown(page: Browser, served: Served) -> None:
    before = ids(page)
    page.click("#class-14")
    stroke(page, (0.2, 0.2), (0.8, 0.7))
    settle(page)
    after = ids(page)
    assert (after == 14).sum() > 100
    assert np.array_equal(after[after != 14], before[after != 14])
    assert np.array_equal(served.board.arrived, after)
    page.run("drawNow(); return 1")
    shown = page.run("const c = $('map'); return Array.from(new Set(new Uint32Array("
                     "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)))")  # fmt: skip
    assert {(v & 255, v >> 8 & 255, v >> 16 & 255) for v in shown} == {LANDSCAPE.colours[i] for i in np.unique(after)}


def test_undo_redo_fill_and_shapes(page: Browser) -> None:
    page.click("#class-3")
    page.click("#blank")
    page.press("1", "1", "r")
    stroke(page, (0.25, 0.25), (0.75, 0.75))
    box = ids(page)
    inside = box == 11
    assert inside.any()
    assert inside.sum() == inside.any(0).sum() * inside.any(1).sum()
    page.press("2", "f")
    stroke(page, (0.5, 0.5))
    assert np.array_equal(ids(page), np.where(inside, 2, 3))
    page.press(CTRL + "z")
    assert np.array_equal(ids(page), box)
    page.press(CTRL + "y")
    assert np.array_equal(ids(page), np.where(inside, 2, 3))
    page.press("p", "5")
    for corner in ((0.1, 0.9), (0.5, 0.1), (0.9, 0.9)):
        stroke(page, corner)
    page.press("m", ENTER)
    assert 0.2 < (ids(page) == 5).mean() < 0.45


def test_four_variations_differ_and_the_chosen_one_becomes_the_picture(window: Browser) -> None:
    drawn = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
    with serving(opened_run(vae=True)) as served:
        page = visit(window, served)
        page.press("v")
        page.wait(f"[...document.querySelectorAll('#strip canvas')].every(c => {drawn}.some(v => v))")
        four = page.run(f"return [...document.querySelectorAll('#strip canvas')].map(c => Array.from({drawn}))")
        assert len({tuple(picture) for picture in four}) == 4
        page.click("#copy-2")
        settle(page)
        assert page.run(f"const c = $('picture'); return Array.from({drawn})") == four[2]


def test_keys_alone_paint(page: Browser) -> None:
    page.click("#class-0")
    page.click("#blank")
    page.press("/", *"water", ENTER)
    page.press("b", *(["["] * 30), ENTER, RIGHT, RIGHT, ENTER)
    painted = ids(page)
    assert (painted == page.run("return S.cls")).sum() == 3
    assert LANDSCAPE.names[page.run("return S.cls")] == "water"


def test_a_saved_map_opens_again(page: Browser, downloads: Path) -> None:
    page.click("#class-9")
    stroke(page, (0.1, 0.5), (0.9, 0.5))
    drawn = ids(page)
    page.click("#save-map")
    saved = downloads / "painting.png"
    end = time.monotonic() + 120
    while not saved.exists():
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    assert np.array_equal(np.asarray(Image.open(saved)), drawn)
    page.click("#blank")
    page.upload("#file", saved)
    page.wait("S.ids.some(v => v !== S.cls)")
    assert np.array_equal(ids(page), drawn)
    saved.unlink()


def test_a_file_of_50_mb_and_a_strange_one_get_a_sentence_and_the_drawing_stays(page: Browser, tmp_path: Path) -> None:
    drawn = ids(page)
    big, strange = tmp_path / "big.png", tmp_path / "strange.png"
    big.write_bytes(bytes(50_000_000))
    Image.fromarray(np.full((SIDE, SIDE), 77, np.uint8)).save(strange)
    for file, words in ((big, "8 MiB"), (strange, "77")):
        page.upload("#file", file)
        page.wait(f"$('note-text').textContent.includes('{words}')")
    assert np.array_equal(ids(page), drawn)


def test_a_killed_server_is_said_and_the_drawing_is_kept(page: Browser, served: Served) -> None:
    page.click("#class-20")
    stroke(page, (0.3, 0.3), (0.6, 0.3))
    settle(page)
    served.stop()
    stroke(page, (0.3, 0.6), (0.6, 0.6))
    page.wait("!$('lost').hidden")
    assert "Your drawing is kept" in page.run("return $('lost-text').textContent")
    drawn = ids(page)
    with listening(served.port) as door:
        again = Served(served.board, door)
        page.wait("$('lost').hidden && pictureVersion === version")
        assert np.array_equal(again.board.arrived, drawn)
        page.go(again.address)
        settle(page)
        assert np.array_equal(ids(page), drawn)
        again.stop()


def test_two_tabs_keep_their_own_drawings(page: Browser, served: Served) -> None:
    first = page.ask("GET", "/window")
    page.click("#class-4")
    page.click("#blank")
    second = page.ask("POST", "/window/new", {"type": "tab"})["handle"]
    page.ask("POST", "/window", {"handle": second})
    page.go(served.address)
    settle(page)
    page.click("#class-7")
    page.click("#blank")
    settle(page)
    page.ask("DELETE", "/window")
    page.ask("POST", "/window", {"handle": first})
    page.ask("POST", "/refresh", {})
    settle(page)
    assert np.unique(ids(page)).tolist() == [4]


@pytest.mark.parametrize("width", [390, 760, 1360])
def test_nothing_is_wider_than_the_window_and_everything_has_a_name(page: Browser, width: int) -> None:
    page.devtools(
        "Emulation.setDeviceMetricsOverride", width=width, height=860, deviceScaleFactor=1, mobile=width < 800
    )
    try:
        page.wait(f"innerWidth === {width}")
        assert page.run("return document.documentElement.scrollWidth") <= width
        named = "e.ariaLabel || e.textContent.trim() || e.labels && e.labels.length"
        everything = "[...document.querySelectorAll('button, input, select')]"
        nameless = page.run(f"return {everything}.filter(e => !({named})).map(e => e.id)")
        assert nameless == []
    finally:
        page.devtools("Emulation.clearDeviceMetricsOverride")
