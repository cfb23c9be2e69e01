"""What stands beside the drawing, in a real browser: accuracy, a second run, styles, photographs, holes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.web.address import listening
from scenegen.web.easel import Wish
from tests.web.browser import MISSING, REASON, RIGHT, Browser
from tests.web.runs import READER, SIDE, Pictures, easel, opened_run
from tests.web.served import Served, ids, serving, settle, stroke, visit

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=REASON)]  # a browser is the system's


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of the page's size; Bands reads 3, 10 and 20 off it."""
    grey = np.repeat(np.array([30, 100, 200], np.uint8), [20, 20, SIDE - 40])
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.broadcast_to(grey[:, None, None], (SIDE, SIDE, 3)).copy()).save(path)
    return path


@pytest.fixture(scope="module")
def two() -> Iterator[Served]:
    """Two runs with a VAE, a segmenter and training pictures."""
    with serving(opened_run(), beside=easel(opened_run(ngf=8)), reader=READER, gallery=Pictures()) as made:
        yield made


def shown(page: Browser, canvas: str) -> np.ndarray:
    """(h, w, 4) uint8 pixels of a canvas."""
    flat = page.run(f"const c = $('{canvas}'); return [c.height, c.width, ...c.getContext('2d').getImageData("
                    "0, 0, c.width, c.height).data]")  # fmt: skip
    return np.array(flat[2:], np.uint8).reshape(flat[0], flat[1], 4)


def test_wrong_pixels_are_counted_and_marked_anew_for_every_picture(window: Browser, two: Served) -> None:
    page = visit(window, two)
    for _ in range(2):
        page.click("#class-6")
        page.click("#blank")
        stroke(page, (0.2, 0.3), (0.7, 0.6))
        settle(page)
        page.press("a")
        page.wait("judged[0] === version && judged[1] === version")
        for k, board in enumerate((two.board, None)):
            picture = shown(page, "picture" if k == 0 else "second")[..., :3]
            if board is not None:
                assert np.array_equal(picture, board.paint({"map": ids(page)}, Wish()))
            right = READER.read(picture) == ids(page)
            marked = shown(page, f"marks-{k}").reshape(SIDE, 4, SIDE, 4, 4)[..., 3].any((1, 3))
            assert np.array_equal(marked, ~right)
            assert f"{100 * right.mean():.1f} %" in page.run(f"return $('share-{k}').textContent")
        page.wait("$('picture-stage').scrollHeight <= $('picture-stage').clientHeight")
        page.press("a")
        assert page.run("return $('marks-0').hidden && $('share-0').textContent === ''")


def test_the_second_run_is_painted_wiped_and_saved(window: Browser, two: Served) -> None:
    page = visit(window, two)
    page.wait("secondVersion === version")
    assert not np.array_equal(shown(page, "picture"), shown(page, "second"))
    page.run("$('over').value = 'second'; $('opacity').value = 100; $('over').onchange(); return 1")
    assert np.array_equal(shown(page, "layer"), shown(page, "second"))
    assert page.run("$('which').value = 1; return chosenRun().which") == 1
    page.run("$('over').value = 'none'; $('over').onchange(); return 1")


def test_a_style_is_dropped_suggested_and_taken_away(window: Browser, two: Served, photo: Path) -> None:
    page = visit(window, two)
    plain = shown(page, "picture")
    page.upload("#style-file", photo)
    page.wait("style && pictureVersion === version && !busy")
    assert two.board.wish.style is not None
    assert np.array_equal(two.board.wish.style.picture, np.asarray(Image.open(photo)))
    assert not np.array_equal(shown(page, "picture"), plain)
    page.click("#class-7")
    page.click("#blank")
    page.press("s")
    page.wait("$('suggestions').children.length === 2")
    assert page.run("return $('suggestions').firstChild.getAttribute('aria-label')") == "of_7, likeness 1.00"
    page.run("$('suggestions').firstChild.focus(); return 1")
    page.press(RIGHT)
    page.wait("style.key === 'training-0'")
    settle(page)
    assert two.board.wish.style.picture.max() == 0
    page.go(two.address)
    settle(page)
    assert page.run("return style.key") == "training-0"
    page.click("#style-none")
    settle(page)
    assert two.board.wish.style is None


def test_the_map_of_a_photograph_can_be_undone(window: Browser, two: Served, photo: Path) -> None:
    page = visit(window, two)
    before = ids(page)
    page.upload("#photo-file", photo)
    page.wait("$('note-text').textContent.includes('as bands reads it')")
    assert np.array_equal(ids(page), READER.read(np.array(Image.open(photo))))
    page.click("#undo")
    assert np.array_equal(ids(page), before)


def test_a_run_of_exemplars_starts_with_a_suggestion(window: Browser) -> None:
    with serving(opened_run("cocosnetv1"), gallery=Pictures()) as served:
        page = visit(window, served)
        assert page.run("return style.key.startsWith('training-') && $('style-none').hidden")
        assert served.board.wish.style is not None


def test_holes_are_brushed_into_a_photograph_and_come_back_after_a_restart(window: Browser, photo: Path) -> None:
    with serving(opened_run("picnet")) as served:
        page = visit(window, served)
        assert ids(page).any()
        page.upload("#photo-file", photo)
        page.wait("$('photo').width === 64 && photo && pictureVersion === version")
        page.press("1")
        stroke(page, (0.1, 0.1), (0.9, 0.1))
        settle(page)
        hole, given = ids(page), np.asarray(Image.open(photo))
        assert np.array_equal(served.board.arrived, hole)
        assert set(np.unique(hole)) == {0, 1}
        assert np.array_equal(shown(page, "picture")[..., :3][hole == 0], given[hole == 0])
        assert (shown(page, "map").reshape(SIDE, 12, SIDE, 12, 4)[..., 3].max((1, 3)) > 0).tolist() == (
            hole > 0
        ).tolist()
        served.stop()
        stroke(page, (0.1, 0.9), (0.9, 0.9))
        page.wait("!$('lost').hidden")
        hole = ids(page)
        with listening(served.port) as door:
            again = Served(served.board, door)  # it keeps no picture yet: the page hands the photograph over again
            page.wait("$('lost').hidden && pictureVersion === version && !busy")
            assert np.array_equal(again.board.arrived, hole)
            page.go(again.address)
            settle(page)
            assert np.array_equal(ids(page), hole)
            assert again.board.wish.photo is not None
            assert np.array_equal(again.board.wish.photo.picture, given)
            again.stop()


def test_a_map_and_a_hole_are_two_layers_of_one_undo(window: Browser) -> None:
    with serving(opened_run("sesame_editor"), reader=READER) as served:
        page = visit(window, served)
        hole = ids(page)
        page.press("j", "9")
        stroke(page, (0.2, 0.5), (0.8, 0.5))
        settle(page)
        drawn = ids(page)
        assert (drawn == 9).sum() > 60
        page.press("j")
        assert np.array_equal(ids(page), hole)
        page.run("$('undo').click(); return 1")
        assert page.run("return S.layer") == "map"
        assert (ids(page) == 9).sum() < (drawn == 9).sum()
