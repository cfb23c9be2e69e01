"""Shards give what the folder gives that they were made of; webdataset reads and writes the same ones."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base import kept
from scenegen.base.records import Refusal
from scenegen.data import shards
from scenegen.data.fingerprint import fingerprint
from scenegen.data.inspection import require_sound, scan
from scenegen.data.sharding import write_shards
from scenegen.data.stream import StatelessBatchSampler, make_loader
from tests.data import files
from tests.options import replaced

SIZE: dict[str, Any] = {"height": 8, "width": 8}
NAMES = [f"p{i}" for i in range(12)]


def opened(root: Path, split: str = "train", *, data: str = "shards", **choices):
    return replaced(f"data/{data}", split=split, root=str(root), **{**SIZE, **choices})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve samples with instance maps, one of whose photographs is a PNG."""
    root = files.dataset(tmp_path_factory.mktemp("folder"), NAMES)
    (root / "images/p3.jpg").unlink()
    files.photo(root / "images/p3.png", seed=3)
    for i, name in enumerate(NAMES):
        files.label(root / f"instances/{name}.png", np.full((12, 16), 300 + i, dtype=np.uint16))
    return root


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    write_shards(
        {split: opened(folder, split, data="folder", val_fraction=0.25) for split in ("train", "test")},
        out,
        per_shard=4,
        track=lambda items, _: items,
    )
    return out


def same(a, b) -> bool:
    parts = ("label", "image", "instance")
    return a.name == b.name and all(torch.equal(getattr(a, part), getattr(b, part)) for part in parts)


@pytest.mark.parametrize("split", ["train", "test"])
def test_samples_are_those_of_the_folder_bit_for_bit(folder, made, split):
    ours, theirs = opened(made, split), opened(folder, split, data="folder", val_fraction=0.25)
    assert sorted(path.name for path in made.iterdir()) == [
        "classes.json", "shards.json", "train-000000.tar", "train-000001.tar", "train-000002.tar", "val-000000.tar"
    ]  # fmt: skip
    assert ours.classes == theirs.classes
    assert fingerprint(ours) == {**fingerprint(theirs), **{key: fingerprint(ours)[key] for key in ("sizes", "content")}}
    assert len(ours) == len(theirs) == {"train": 9, "test": 3}[split]
    assert all(same(ours[(epoch, i)], theirs[(epoch, i)]) for epoch in (0, 2) for i in range(len(ours)))
    require_sound(ours)


def test_the_same_files_give_the_same_shards(folder, made, tmp_path):
    for name in ("one", "two"):
        write_shards({"train": opened(folder, data="folder", val_fraction=0.25)}, tmp_path / name, per_shard=9,
                     track=lambda items, _: items)  # fmt: skip
    assert (tmp_path / "one/train-000000.tar").read_bytes() == (tmp_path / "two/train-000000.tar").read_bytes()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_goes_on_sees_the_batches_of_one_that_never_stopped(made, workers):
    def batches(start: int) -> list[torch.Tensor]:
        data = opened(made, scale=1.5, flip=0.5)
        order = StatelessBatchSampler(len(data), batch_size=4, seed=5, total_steps=7, start_step=lambda: start)
        return [batch.require("image") for batch in make_loader(data, order, workers=workers)]

    whole, rest = batches(0), batches(3)
    assert len(rest) == 4
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], rest, strict=True))
    assert not torch.equal(whole[0], whole[2])


def test_webdataset_reads_what_is_written_here(made):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed (the extra dev)")
    stream = webdataset.WebDataset([str(made / "train-000000.tar")], shardshuffle=False)
    ours = opened(made)
    for i, sample in enumerate(stream):
        assert sample["__key__"] == ours.names[i]
        with Image.open(io.BytesIO(sample["png"])) as ids:
            assert np.array_equal(np.asarray(ids), ours.source.load(i).label)
        photo = sample["image.png"] if sample["__key__"] == "p3" else sample["jpg"]
        with Image.open(io.BytesIO(photo)) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(ours.source.load(i).image))
    assert i == 3


def test_what_webdataset_writes_is_read_here(folder, made, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed (the extra dev)")
    theirs = opened(folder, data="folder", val_fraction=0)
    with webdataset.ShardWriter(str(tmp_path / "set-%06d.tar"), maxcount=5, verbose=0) as writer:
        for pair in theirs.source.pairs:
            ending = "jpg" if pair.image.suffix == ".jpg" else "image.png"
            parts = {ending: pair.image.read_bytes(), "png": pair.label.read_bytes(), "json": {"caption": "a view"}}
            writer.write({"__key__": f"deep/{pair.name}", **parts, "instance.png": pair.instance.read_bytes()})
    shutil.copy(made / "classes.json", tmp_path)
    ours = opened(tmp_path, val_fraction=0)
    assert len(list(tmp_path.glob("*.tar"))) == 3
    assert fingerprint(ours) == fingerprint(theirs)
    assert all(same(ours[(1, i)], theirs[(1, i)]) for i in range(len(theirs)))


Member = tuple[str, bytes]


def picture(ids: np.ndarray | None = None) -> bytes:
    """A label map, or a photograph where no ids are given."""
    content, noise = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise if ids is None else ids).save(content, format="JPEG" if ids is None else "PNG")
    return content.getvalue()


PHOTO, IDS = picture(), picture(np.ones((12, 16), np.uint8))
GOOD: list[Member] = [(f"{name}.{end}", content) for name in "abc" for end, content in (("jpg", PHOTO), ("png", IDS))]


def packed(members: list[Member], *, kind: bytes = tarfile.REGTYPE) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:") as tar:
        for name, data in members:
            head = tarfile.TarInfo(name)
            head.size = len(data)
            tar.addfile(head, io.BytesIO(data))
        if kind != tarfile.REGTYPE:
            head = tarfile.TarInfo("d.png")
            head.type, head.linkname = kind, "/etc/passwd"
            tar.addfile(head)
    return content.getvalue()


def pax(key: str, value: str) -> bytes:
    """A good shard whose last member has a further header."""
    content = io.BytesIO(packed(GOOD))
    with tarfile.open(fileobj=content, mode="a:", format=tarfile.PAX_FORMAT) as tar:
        head = tarfile.TarInfo("z.txt")
        head.pax_headers = {key: value}
        tar.addfile(head)
    return content.getvalue()


@dataclass(frozen=True)
class Bad:
    """A shard with one fault, the words that must be said of it, and the samples that are there all the same."""

    shard: Callable[[], bytes]
    words: tuple[str, ...]
    samples: int


CASES = {
    "cut within a member": Bad(lambda: packed(GOOD)[:3500], ("train-0.tar", "truncated", "copy the shard again"), 0),
    "cut between members": Bad(lambda: packed(GOOD)[:-10240], ("train-0.tar", "truncated", "copy the shard again"), 0),
    "no tar": Bad(lambda: b"something else" * 100, ("train-0.tar", "no plain tar"), 0),
    "compressed": Bad(lambda: gzip.compress(packed(GOOD)), ("train-0.tar", "no plain tar", "uncompressed"), 0),
    "empty": Bad(lambda: b"", ("train-0.tar", "no plain tar"), 0),
    "no label map": Bad(lambda: packed(GOOD[:5]), ("train-0.tar/c.jpg", "no label map (NAME.png) of that name"), 2),
    "no photograph": Bad(lambda: packed([*GOOD[:4], GOOD[5]]), ("train-0.tar/c.png", "no photograph (NAME.jpg)"), 2),
    "a name twice": Bad(lambda: packed([*GOOD, ("sub/a.jpg", PHOTO)]), ("a.jpg", "already; keep one of them"), 3),
    "ids outside": Bad(lambda: packed([*GOOD, ("d.jpg", PHOTO), ("d.png", picture(np.full((12, 16), 9, np.uint8)))]),
                       ("train-0.tar/d.png", "label id 9 (192 pixels) lies outside the 2 classes"), 4),
    "a damaged photograph": Bad(lambda: packed([*GOOD, ("d.jpg", PHOTO[:200]), ("d.png", IDS)]),
                                ("train-0.tar/d.jpg", "unreadable or truncated"), 4),
    "a link": Bad(lambda: packed(GOOD, kind=tarfile.SYMTYPE), ("train-0.tar", "d.png in it is a link"), 0),
    "a hard link": Bad(lambda: packed(GOOD, kind=tarfile.LNKTYPE), ("train-0.tar", "d.png in it is a link"), 0),
    "a device": Bad(lambda: packed(GOOD, kind=tarfile.CHRTYPE), ("train-0.tar", "d.png in it is a link, a device"), 0),
    "a header of 1 MB": Bad(lambda: pax("comment", "x" * 2**20), ("train-0.tar", "a header of", "at most"), 0),
    "a negative size": Bad(lambda: pax("size", "-100000"), ("train-0.tar", "damaged"), 0),
    "a huge size": Bad(lambda: pax("size", "9" * 30), ("train-0.tar", "copy the shard again"), 0),
    "a name of a folder above": Bad(lambda: packed([*GOOD, ("../../d.jpg", PHOTO)]), ("d.jpg", "no label map"), 3),
    "a name with backslashes": Bad(lambda: packed([*GOOD, ("a\\d.jpg", PHOTO)]), ("no file can have",), 3),
    "a long name": Bad(lambda: packed([*GOOD, ("1" * 5000 + ".jpg", PHOTO)]), ("1 to 255 bytes",), 3),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_fault_is_one_sentence_with_the_shard_and_the_member(tmp_path, case):
    (tmp_path / "train-0.tar").write_bytes(case.shard())
    (tmp_path / "train-1.tar").write_bytes(packed([(f"other{name}", content) for name, content in GOOD]))
    (tmp_path / "val-0.tar").write_bytes(packed(GOOD))
    (tmp_path / "classes.json").write_text('{"classes": ["sky", "sea"]}')
    data = opened(tmp_path)
    (fault,) = scan(data)
    assert all(word in str(fault) for word in case.words), fault
    assert "\n" not in str(fault)
    assert len(data) == case.samples + 3
    with pytest.raises(Refusal, match="1 file cannot be used"):
        require_sound(data)
    assert sorted(path.name for path in tmp_path.parent.glob("d.*")) == []


def test_folders_without_shards_are_refused(tmp_path):
    with pytest.raises(Refusal, match=r"data.root is missing: write data.root=PATH; it should hold train-\*.tar"):
        replaced("data/shards", split="train", **SIZE)
    with pytest.raises(Refusal, match="there is no such folder"):
        opened(tmp_path / "none")
    (tmp_path / "train-0.tar.gz").write_bytes(gzip.compress(packed(GOOD)))
    with pytest.raises(Refusal, match=r"what do the ids mean\? No such file"):
        opened(tmp_path)
    with pytest.raises(Refusal, match=r"holds no \*.tar \(compressed ones are not read: train-0.tar.gz"):
        opened(tmp_path, classes=["sky", "sea"])
    (tmp_path / "train-0.tar").write_bytes(packed([("a.txt", b"a caption")]))
    with pytest.raises(Refusal, match="not one whole sample"):
        opened(tmp_path, classes=["sky", "sea"])


@pytest.mark.parametrize(
    ("there", "faults"),
    [
        (("a-0.tar", "a-1.tar", "b-7.tar", "b-8.tar"), []),
        (("a-00.tar", "a-01.tar", "a-03.tar"), ["a-02.tar: this shard is not there, and its row goes on to a-03.tar"]),
        (("0.tar", "1.tar.gz", "2.tar", "2.tar.gz"), ["1.tar.gz: a compressed tar, which is not read"]),
        (("a-0.tar", "a-1.tgz", "other9.tar.gz"), ["a-1.tgz: a compressed tar"]),
        (("20240101.tar", "20240131.tar", "plain.tar"), []),
    ],
)  # fmt: skip
def test_shards_that_are_not_there(tmp_path, there, faults):
    for name in there:
        (tmp_path / name).touch()
    found = shards.absent(sorted(tmp_path.glob("*.tar")))
    assert len(found) == len(faults)
    assert all(str(fault).startswith(f"{tmp_path}/{words}") for fault, words in zip(found, faults, strict=True))


@pytest.mark.parametrize(("place", "why"), [(1, "its row goes on to"), (-1, "shards.json counts 3 of train")])
def test_a_lost_shard_stops_a_training(made, tmp_path, place, why):
    shutil.copytree(made, tmp_path / "s")
    tars = sorted((tmp_path / "s").glob("train-*.tar"))
    assert len(tars) > 2
    tars[place].unlink()
    with pytest.raises(Refusal, match=f"{tars[place].name}: this shard is not there, and {why}"):
        require_sound(opened(tmp_path / "s"))
    require_sound(opened(tmp_path / "s", "test"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"train": "three"}', "train should be a whole number"),
        ('{"train": -1}', "counts -1 shards of train, not 0 to 999999"),
        ("[3]", "should be an object"),
    ],
)
def test_a_file_of_counts_that_counts_nothing(made, tmp_path, content, said):
    shutil.copytree(made, tmp_path / "s")
    (tmp_path / "s" / "shards.json").write_text(content)
    with pytest.raises(Refusal, match=f"shards.json.*{said}.*delete shards.json"):
        opened(tmp_path / "s")


def test_headers_are_read_once_and_again_when_the_shard_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shards, "MANY", 2)
    monkeypatch.setattr(kept, "YOUNG_NS", -(10**12))
    (tmp_path / "train-0.tar").write_bytes(packed(GOOD))
    (tmp_path / "train-1.tar").write_bytes(packed([("d.jpg", PHOTO), ("d.png", IDS)]))
    names = opened(tmp_path, classes=["sky", "sea"], val_fraction=0).names
    read: list[str] = []
    honest = shards._read_headers
    monkeypatch.setattr(shards, "_read_headers", lambda tar: (read.append(tar.name), honest(tar))[1])
    assert opened(tmp_path, classes=["sky", "sea"], val_fraction=0).names == names == ["a", "b", "c", "d"]
    assert read == []
    (tmp_path / "train-1.tar").write_bytes(packed([("e.jpg", PHOTO), ("e.png", IDS)]))
    assert opened(tmp_path, classes=["sky", "sea"], val_fraction=0).names == ["a", "b", "c", "e"]
    assert read == ["train-1.tar"]


def test_shards_are_whole_or_not_there(folder, tmp_path, monkeypatch):
    data = opened(folder, data="folder", val_fraction=0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OSError, match="No space"):
        write_shards({"train": data}, tmp_path / "out", per_shard=5, track=lambda items, _: items)
    assert list(tmp_path.iterdir()) == []


def test_what_shards_cannot_hold_is_refused(tmp_path):
    rendered = replaced("data/procedural", split="train", count=2, **SIZE)
    with pytest.raises(Refusal, match="photographs with label maps in files; choose data=folder"):
        write_shards({"train": rendered}, tmp_path / "out", per_shard=5, track=lambda items, _: items)
    root = files.dataset(tmp_path / "dots", ["a.b", "c"])
    with pytest.raises(Refusal, match=r"1 names of train hold a dot or a backslash \(a.b\)"):
        write_shards({"train": opened(root, data="folder", val_fraction=0)}, tmp_path / "out", per_shard=5,
                     track=lambda items, _: items)  # fmt: skip


def test_ids_that_are_remapped_become_class_ids(tmp_path):
    root = files.dataset(tmp_path / "folder", ["a", "b"])
    (root / "classes.json").write_text(json.dumps({"classes": {"0": "sky", "1": "tree", "3": "sea"}, "unlabelled": 2}))
    theirs = opened(root, data="folder", val_fraction=0)
    write_shards({"train": theirs}, tmp_path / "out", per_shard=5, track=lambda items, _: items)
    ours = opened(tmp_path / "out", val_fraction=0)
    assert (ours.classes.names, ours.classes.ignore) == (theirs.classes.names, theirs.classes.ignore)
    assert all(torch.equal(ours[(1, i)].label, theirs[(1, i)].label) for i in range(2))
