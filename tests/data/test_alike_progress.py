"""A search of look-alikes that was killed goes on, one that ended is not made again, and other thumbnails are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenegen.data import alike_progress, look_alikes
from scenegen.data.alike_progress import Progress
from tests.data.test_described import end, killed
from tests.data.test_look_alikes import crowd

GROUPS = [i % 2 for i in range(200)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own; every step of any search is kept, and there are some dozens."""
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(alike_progress, "FROM", 1)
    monkeypatch.setattr(alike_progress, "EVERY", 0)
    monkeypatch.setattr(look_alikes, "ROWS", 8)
    return tmp_path / "cache"


class Watched(look_alikes.Search):
    """A search that counts its steps, and ends the process at one of them."""

    steps = 0
    at = -1

    def compare(self, cell, nearest):
        if cell == Watched.at:
            end()
        Watched.steps += 1
        super().compare(cell, nearest)


def searched(monkeypatch, pixels: np.ndarray, *, at: int = -1) -> tuple[list[tuple[int, int]], int, list[str]]:
    """What is found, in how many steps, and what is said about the cache."""
    said: list[str] = []
    monkeypatch.setattr(look_alikes, "Search", Watched)
    monkeypatch.setattr(Watched, "steps", 0)
    monkeypatch.setattr(Watched, "at", at)
    progress = Progress(Path("data"), count=len(pixels), notice=said.append)
    return look_alikes.look_alikes(pixels, GROUPS, known=progress), Watched.steps, said


def test_a_search_goes_on_where_it_was_killed_and_is_made_once(cache, monkeypatch):
    pixels = crowd("clustered")
    expected = look_alikes.look_alikes(pixels, GROUPS)
    killed(lambda: searched(monkeypatch, pixels, at=20))
    assert searched(monkeypatch, pixels) == (expected, 12, [])
    assert searched(monkeypatch, pixels) == (expected, 0, [])


@pytest.mark.parametrize("change", ["pixels", "groups", "order"])
def test_another_search_takes_nothing_from_it(cache, monkeypatch, change):
    pixels = crowd("clustered")
    searched(monkeypatch, pixels)
    if change == "pixels":
        pixels[3, 4, 5] += 1
    elif change == "groups":
        monkeypatch.setitem(globals(), "GROUPS", GROUPS[::-1])
    else:
        monkeypatch.setattr(look_alikes, "ROWS", 16)
    expected = look_alikes.look_alikes(pixels, GROUPS)
    assert searched(monkeypatch, pixels) == (expected, 16 if change == "order" else 32, [])


def test_damage_is_said_and_searched_anew(cache, monkeypatch):
    pixels = crowd("clustered")
    expected, steps, _ = searched(monkeypatch, pixels)
    (file,) = (cache / "alike").iterdir()
    content = bytearray(file.read_bytes())
    for damaged in (content[:-40], content[:400] + bytes(90) + content[490:], b"", b"no archive"):
        file.write_bytes(damaged)
        found, again, (sentence,) = searched(monkeypatch, pixels)
        assert (found, again) == (expected, steps)
        assert f"{file} is damaged" in sentence


def test_a_cache_that_cannot_be_written_stops_nobody(cache, monkeypatch):
    cache.write_text("a file where a folder should be")
    pixels = crowd("clustered")
    found, steps, said = searched(monkeypatch, pixels)
    assert (found, steps) == (look_alikes.look_alikes(pixels, GROUPS), 32)
    assert any("keeps nothing" in sentence for sentence in said)


def test_few_photographs_keep_nothing(cache, monkeypatch):
    monkeypatch.setattr(alike_progress, "FROM", 201)
    searched(monkeypatch, crowd("clustered"))
    assert not cache.exists()
