"""The cache of the reference: the same numbers from a hit, a new description for new content, never a stopped score."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.data.pairs import Files, Pair
from scenegen.data.samples import Pairs
from scenegen.data.transforms import Framing
from scenegen.scoring.inputs import Options, batches
from scenegen.scoring.prefetch import prefetched, shared_out
from scenegen.scoring.reference import cache_folder, describe, reference_of

from .fakes import MeanColour, Sample, World, scorer


class Counting(MeanColour):
    """FID features that count the pictures they see."""

    seen = 0

    def __call__(self, image):
        self.seen += len(image)
        return super().__call__(image)


def plain(items, _):
    return items


def get(photos, fid, folder, notice=lambda _: None):
    return reference_of(photos, fid=fid, options=Options(cache=str(folder)), track=plain, notice=notice)


def test_a_hit_gives_the_same_and_looks_at_no_picture(tmp_path):
    world, fid, told = World(7), Counting(), []
    first, second = (get(world, fid, tmp_path, told.append) for _ in range(2))
    assert fid.seen == 7
    assert torch.equal(first.features[:], second.features[:])
    assert (first.hash, dict(first.digests)) == (second.hash, dict(second.digests))
    assert (first.source, second.source) == ("cache miss", "cache hit")
    assert [line.partition(":")[0] for line in told] == ["cache miss", "cache hit"]
    assert describe(world, fid=fid, options=Options(), track=plain).hash == first.hash


@pytest.mark.parametrize("change", ["picture", "name", "judge", "resize"])
def test_other_content_or_another_judge_is_a_miss(tmp_path, change):
    world, fid = World(5), Counting()
    get(world, fid, tmp_path)
    if change == "picture":
        world.images[3, 0, 0, 0] ^= 1
    elif change == "name":
        world.names[3] = "another"
    elif change == "judge":
        fid = Counting(stamp="colour-2")
    else:
        fid.resize = "bicubic"
    assert get(world, fid, tmp_path).source == "cache miss"


class Photos(Pairs):
    """The photographs of a world read from their files, which have no label maps beside them."""

    def __init__(self, world: World, folder: Path) -> None:
        self.files = [world.write(folder) / f"{name}.png" for name in world.names]
        pairs = tuple(Pair(file.stem, label=file, image=file) for file in self.files)
        super().__init__(Files(folder, world.classes, pairs), framing=Framing(height=12, width=16))
        self.read = 0

    def __getitem__(self, index):
        self.read += 1
        pixels = np.array(Image.open(self.files[index]))
        return Sample(self.names[index], torch.zeros(12, 16), torch.from_numpy(pixels).permute(2, 0, 1))


def test_files_are_known_by_their_bytes(tmp_path):
    """A hit decodes no file; one changed byte is a miss; the record's hash is that of the pixels."""
    files, fid = Photos(World(5), tmp_path / "photos"), Counting()
    assert get(files, fid, tmp_path / "cache").hash == get(World(5), fid, tmp_path / "other").hash
    files.read = 0
    assert get(files, fid, tmp_path / "cache").source == "cache hit"
    assert files.read == 0
    Image.new("RGB", (16, 12)).save(files.files[2])
    assert get(files, fid, tmp_path / "cache").source == "cache miss"


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "cut", "other"])
def test_a_damaged_cache_is_made_anew(tmp_path, content):
    world, fid, told = World(5), Counting(), []
    get(world, fid, tmp_path)
    (file,) = (tmp_path / "reference").iterdir()
    whole = file.read_bytes()
    spoilt = {"cut": whole[:-8], "other": whole.replace(b"scenegen.reference/1", b"scenegen.reference/9")}
    file.write_bytes(spoilt[content] if isinstance(content, str) else content)
    assert get(world, fid, tmp_path, told.append).source == "cache miss"
    assert "cannot be used and is made anew" in told[0]
    assert get(world, fid, tmp_path).source == "cache hit"


def test_a_cache_that_takes_nothing_stops_no_score(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    told = []
    monkeypatch.setattr(Path, "write_bytes", full)
    assert len(get(World(5), Counting(), tmp_path, told.append)) == 5
    assert told == [f"the reference's statistics could not be kept in {tmp_path / 'reference'} "
                    "(No space left on device); the score goes on"]  # fmt: skip


def test_cached_and_computed_scores_are_equal(tmp_path):
    world, train = World(24, seed=1), World(30, seed=2)
    folder = world.write(tmp_path / "out")
    options = [Options(), *[Options(cache=str(tmp_path / "cache"))] * 2]
    scores = [scorer().score(folder, world, reference=train, options=o) for o in options]
    records = [score.as_dict() for score in scores]
    assert [r["protocol"]["circumstances"].pop("reference") for r in records] == ["computed", "cache miss", "cache hit"]
    assert records[0] == records[1] == records[2]


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.delenv("SCENEGEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("off") is None
    assert cache_folder("auto") == tmp_path / "scenegen"
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "own"))
    assert cache_folder("auto") == tmp_path / "own"
    assert cache_folder(str(tmp_path / "there")) == tmp_path / "there"


def test_reading_ahead_keeps_order_and_errors():
    assert list(prefetched(lambda i: i * i, range(7))) == [i * i for i in range(7)]
    assert list(prefetched(str, [])) == []
    found = prefetched(lambda i: 1 // i, [2, 1, 0, 5])
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


class Convolving(MeanColour):
    """FID features of a convolution, whose sums torch splits by its threads; says what it was called by."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 64, 5, padding=2).requires_grad_(False)
        self.threads = []

    def __call__(self, image):
        self.threads.append(torch.get_num_threads())
        return self.conv(image.float()).mean((2, 3))


@pytest.fixture
def threads():
    """Torch's setting, put back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_numbers_do_not_depend_on_the_cores(threads):
    """Each batch is described by one thread alone, however many work, and torch's setting stays."""
    world, fid, found = World(13), Convolving(), []
    for count in (1, 3):
        threads(count)
        found.append(describe(world, fid=fid, options=Options(batch_size=2), track=plain).features)
        assert torch.get_num_threads() == count
    assert torch.equal(*found)
    assert set(fid.threads) == {1}


def test_threads_keep_order_and_errors(threads):
    threads(3)

    def look(i: int) -> tuple[int, bool]:
        time.sleep(0.01 * (i % 3))
        return 6 // (5 - i), torch.is_inference_mode_enabled()

    found = shared_out(look, range(9), device="cpu")
    assert [next(found) for _ in range(5)] == [(value, True) for value in (1, 1, 2, 3, 6)]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (7, [7]), (16, [8, 8]), (17, [8, 9]), (40, [10] * 4)])
def test_batches_that_cores_end_together(count, sizes):
    assert [len(part) for part in batches(count, 16)] == sizes


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_batches_are_even_and_cover_all(size):
    for count in range(1, 200):
        found = batches(count, size)
        lengths = {len(part) for part in found}
        assert [i for part in found for i in part] == [*range(count)]
        assert min(lengths) >= 1
        assert max(lengths) <= min(size, min(lengths) + 1)


def test_few_batches_wait(threads):
    """As many as there are threads and one more have been begun before the first is asked for."""
    threads(2)
    begun = []
    found = shared_out(lambda i: i, (begun.append(i) or i for i in range(50)), device="cpu")
    assert next(found) == 0
    assert len(begun) == 3
    assert list(found) == list(range(1, 50))
